package wire

import "github.com/apache/arrow/go/v17/arrow"

// A costPlan says where the columns of a stream with one schema lie.
type costPlan struct {
	columns map[string]plannedColumn
	widths  []int // buffers of each column and of those inside it, in order
}

// A plannedColumn is a top-level column of the schema.
type plannedColumn struct {
	kind       arrow.DataType
	dictionary int64 // its id, when kind is a dictionary
	node       int   // among the columns of the message
	buffer     int   // its first
}

// planCosts reads a schema message. Arrow may panic: the caller recovers.
func planCosts(raw []byte, p *part) (*costPlan, error) {
	schema, err := readSchema(raw, p)
	if err != nil {
		return nil, err
	}
	plan := &costPlan{columns: map[string]plannedColumn{}}
	fields := p.head.follow(p.head.field(1))
	buffers := 0
	for i, f := range schema.Fields() {
		c := plannedColumn{kind: f.Type, node: len(plan.widths), buffer: buffers}
		if f.Type.ID() == arrow.DICTIONARY {
			c.dictionary = dictionaryID(&fields, i)
		}
		if plan.widths, err = appendWidths(plan.widths, f.Type); err != nil {
			return nil, err
		}
		for _, w := range plan.widths[c.node:] {
			buffers += w
		}
		if _, twice := plan.columns[f.Name]; !twice {
			plan.columns[f.Name] = c
		}
	}
	return plan, nil
}

// dictionaryID is the id in field i's dictionary encoding, which Arrow's own
// schema does not tell.
func dictionaryID(fields *table, i int) int64 {
	const dictionary, id = 4, 0
	f := fields.follow(fields.at + 4 + 4*i)
	encoding := f.follow(f.field(dictionary))
	if at := encoding.field(id); at > 0 {
		return encoding.i64(at)
	}
	return 0
}
