package wire

import "bytes"

// Types of Arrow columns, from Arrow's Schema.fbs.
const (
	typeNull            = 1
	typeInt             = 2
	typeFloat           = 3
	typeBinary          = 4
	typeText            = 5
	typeBool            = 6
	typeDecimal         = 7
	typeDate            = 8
	typeTime            = 9
	typeTimestamp       = 10
	typeInterval        = 11
	typeList            = 12
	typeStruct          = 13
	typeFixedSizeBinary = 15
	typeFixedSizeList   = 16
	typeMap             = 17
	typeDuration        = 18
	typeLargeBinary     = 19
	typeLargeText       = 20
	typeLargeList       = 21
)

// Limits on a schema. References of a flatbuffer may be shared, so its size does
// not bound what it describes.
const (
	maxFields = 4096
	maxDepth  = 8
)

// A field is a column of a schema and where its parts lie in a record batch.
type field struct {
	name     string
	kind     byte
	width    int // of integers, bytes
	signed   bool
	encoded  bool  // by a dictionary: kind is of its values, width and signed of its indices
	id       int64 // of the dictionary
	children []field
	node     int // its first node and buffer; its children's follow
	buffer   int
}

// An ipcStream is an Arrow IPC stream of one record batch, taken apart in place.
type ipcStream struct {
	schema       []byte // the message that fields are of
	fields       []field
	dictionaries []dictionary
	batch        recordBatch
	texts        string // a copy of the dictionaries' messages
}

type dictionary struct {
	id     int64
	values recordBatch
	texts  string // a copy of the body
}

// read takes b apart. It allocates what a new schema needs, and once for the texts
// of all dictionaries; a stream with the schema of the one before reuses that.
func (s *ipcStream) read(b []byte) error {
	m, rest, ok, err := readFrame(b)
	if err != nil {
		return err
	}
	if !ok || m.kind != kindSchema {
		return corrupt("the stream does not begin with a schema")
	}
	if raw := b[:len(b)-len(rest)]; !bytes.Equal(raw, s.schema) {
		s.schema = nil
		if s.fields, err = readSchema(&m); err != nil {
			return err
		}
		s.schema = bytes.Clone(raw)
	}
	s.dictionaries = s.dictionaries[:0]
	start := rest
	for {
		before := rest
		if m, rest, ok, err = readFrame(rest); err != nil {
			return err
		}
		if !ok {
			return corrupt("the stream ends before its record batch")
		}
		if m.kind == kindBatch {
			s.texts = string(start[:len(start)-len(before)])
			break
		}
		if err := s.dictionary(&m); err != nil {
			return err
		}
	}
	if s.batch, err = m.batchAt(m.header); err != nil {
		return err
	}
	return s.finish(start, rest)
}

// finish checks the end of the stream and gives each dictionary its texts.
func (s *ipcStream) finish(start, rest []byte) error {
	if _, rest, ok, err := readFrame(rest); err != nil || ok || len(rest) > 0 {
		return corrupt("the stream does not end after its record batch: %v", err)
	}
	for i := range s.dictionaries {
		d := &s.dictionaries[i]
		// Offset of the body in the stream, by capacities: both are tails of it.
		at := cap(start) - cap(d.values.body)
		d.texts = s.texts[at : at+len(d.values.body)]
	}
	return nil
}

// dictionary keeps a dictionary for the columns that use it.
func (s *ipcStream) dictionary(m *frame) error {
	if m.kind != kindDictionary {
		return corrupt("a message of kind %d in the stream", m.kind)
	}
	f := &m.flat
	d := dictionary{}
	if at := f.field(m.header, 0); at > 0 {
		d.id = f.i64(at)
	}
	data := f.follow(m.header, 1)
	if at := f.field(m.header, 2); at > 0 && f.u8(at) != 0 {
		return corrupt("dictionary %d comes in parts", d.id)
	}
	if f.bad || data == 0 {
		return corrupt("the metadata of a dictionary is cut")
	}
	var err error
	if d.values, err = m.batchAt(data); err != nil {
		return err
	}
	s.dictionaries = append(s.dictionaries, d)
	return nil
}

// find gives the dictionary with the id.
func (s *ipcStream) find(id int64) *dictionary {
	for i := range s.dictionaries {
		if s.dictionaries[i].id == id {
			return &s.dictionaries[i]
		}
	}
	return nil
}

// fieldNamed is the field with the name, nil when there is none.
func fieldNamed(fields []field, name string) *field {
	for i := range fields {
		if fields[i].name == name {
			return &fields[i]
		}
	}
	return nil
}

// A schemaReader counts as it walks: nodes, buffers, and fields against maxFields.
type schemaReader struct {
	flat                  *flat
	fields, node, buffers int
}

func readSchema(m *frame) ([]field, error) {
	r := &schemaReader{flat: &m.flat}
	if at := m.flat.field(m.header, 0); at > 0 && m.flat.u16(at) != 0 {
		return nil, corrupt("the schema is big-endian")
	}
	return r.list(m.header, 1, maxDepth)
}

// list reads the vector of fields in field k of the table t.
func (r *schemaReader) list(t, k, depth int) ([]field, error) {
	n, first := r.flat.vector(t, k, 4)
	if r.fields += n; depth == 0 || r.fields > maxFields {
		return nil, corrupt("the schema has more than %d columns or %d levels", maxFields, maxDepth)
	}
	var out []field
	for i := range n {
		at := first + 4*i
		o := r.flat.i32(at)
		if o <= 0 || r.flat.bad {
			return nil, corrupt("the schema is cut")
		}
		f, err := r.field(at+o, depth)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	if r.flat.bad {
		return nil, corrupt("the schema is cut")
	}
	return out, nil
}

func (r *schemaReader) field(t, depth int) (f field, err error) {
	fl := r.flat
	f.name, f.node, f.buffer = string(fl.text(t, 0)), r.node, r.buffers
	if at := fl.field(t, 2); at > 0 {
		f.kind = fl.u8(at)
	}
	r.node++
	if encoding := fl.follow(t, 4); encoding > 0 {
		f.encoded, f.width, f.signed = true, 4, true // Arrow's default index
		if at := fl.field(encoding, 0); at > 0 {
			f.id = fl.i64(at)
		}
		if index := fl.follow(encoding, 1); index > 0 {
			f.width, f.signed = r.integer(index)
		}
		r.buffers += 2
		return f, nil
	}
	if f.kind == typeInt {
		f.width, f.signed = r.integer(fl.follow(t, 3))
	}
	n, ok := buffersOf(f.kind)
	if !ok {
		return f, corrupt("column %q is of Arrow type %d, which is not read", f.name, f.kind)
	}
	r.buffers += n
	f.children, err = r.list(t, 5, depth-1)
	return f, err
}

// integer reads an Int type: width in bytes, 0 for one that does not exist.
func (r *schemaReader) integer(t int) (width int, signed bool) {
	if t == 0 {
		return 0, false
	}
	if at := r.flat.field(t, 0); at > 0 {
		switch r.flat.i32(at) {
		case 8:
			width = 1
		case 16:
			width = 2
		case 32:
			width = 4
		case 64:
			width = 8
		}
	}
	if at := r.flat.field(t, 1); at > 0 {
		signed = r.flat.u8(at) != 0
	}
	return width, signed
}

// buffersOf is how many buffers a column of the type has beside its children's.
// Columns that nobody asked for are skipped by these counts.
func buffersOf(kind byte) (n int, ok bool) {
	switch kind {
	case typeNull:
		return 0, true
	case typeStruct, typeFixedSizeList:
		return 1, true
	case typeInt, typeFloat, typeBool, typeDecimal, typeDate, typeTime, typeTimestamp, typeInterval,
		typeDuration, typeFixedSizeBinary, typeList, typeMap, typeLargeList:
		return 2, true
	case typeBinary, typeText, typeLargeBinary, typeLargeText:
		return 3, true
	default:
		return 0, false
	}
}
