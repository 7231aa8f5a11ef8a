package wire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// rewriting says whether -rewrite was given: golden files are then written.
func rewriting() bool {
	f := flag.Lookup("rewrite")
	return f != nil && f.Value.String() == "true"
}

func TestMain(m *testing.M) {
	flag.Bool("rewrite", false, "write the golden files anew")
	flag.Parse()
	os.Exit(m.Run())
}

// dump is a record as text: headers and value in hex, the compressed ones also
// as what lies beneath, so that a new version of zstd does not hide the layout.
func dump(t *testing.T, rec *kgo.Record) (record, beneath string) {
	t.Helper()
	out := fmt.Sprintf("topic %s\nkey %q\n", rec.Topic, rec.Key)
	for _, h := range rec.Headers {
		out += fmt.Sprintf("header %s %q\n", h.Key, h.Value)
	}
	raw := rec.Value
	if !bytes.HasPrefix(raw, []byte{0xFF, 0xFF, 0xFF, 0xFF}) {
		z, err := newDecompressor()
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		if raw, err = z.DecodeAll(rec.Value, nil); err != nil {
			t.Fatal(err)
		}
	}
	return out + hex.Dump(rec.Value), hex.Dump(raw)
}

// What is in topics must stay readable, byte by byte: a change here is a change
// of the wire. Run with -rewrite once it is meant.
func TestGoldenRecords(t *testing.T) {
	for name, rec := range records(t) {
		record, beneath := dump(t, rec)
		for file, got := range map[string]string{name + ".hex": record, name + ".raw.hex": beneath} {
			path := filepath.Join("testdata", file)
			if rewriting() {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(want) != got {
				t.Errorf("%s: the bytes of %s changed: run go test -rewrite if that is meant", path, name)
			}
		}
	}
}

// A record written by an earlier build is read the same.
func TestGoldenRecordsAreRead(t *testing.T) {
	for name, rec := range records(t) {
		text, err := os.ReadFile(filepath.Join("testdata", name+".raw.hex"))
		if err != nil {
			t.Fatal(err)
		}
		raw := undump(t, text)
		if name != schemas.StreamAllocations {
			raw = compressed(t, raw)
		}
		old := resealed(rec, raw)
		switch name {
		case schemas.StreamSamples:
			var a, b schemas.Samples
			same(t, name, &a, &b, new(SampleDecoder).Decode(&a, rec), new(SampleDecoder).Decode(&b, old))
		case schemas.StreamCost:
			var a, b schemas.Costs
			same(t, name, &a, &b, new(CostDecoder).Decode(&a, rec), new(CostDecoder).Decode(&b, old))
		default:
			a, errA := Decode[schemas.Allocation](nil, rec)
			b, errB := Decode[schemas.Allocation](nil, old)
			same(t, name, a, b, errA, errB)
		}
	}
}

func same(t *testing.T, name string, a, b any, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%s: the golden record reads as\n%+v\nand not\n%+v", name, b, a)
	}
}

// undump reads hex.Dump back.
func undump(t *testing.T, text []byte) []byte {
	t.Helper()
	var out []byte
	for line := range bytes.Lines(text) {
		digits := bytes.ReplaceAll(line[8:59], []byte(" "), nil)
		b, err := hex.DecodeString(string(digits))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}
