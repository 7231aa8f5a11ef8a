package contract_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// transcript reads a file and writes down one line for each row or refusal.
func transcript(t *testing.T, file string, in io.Reader) string {
	t.Helper()
	var f contract.File
	for _, known := range contract.Files() {
		if known.Name == file {
			f = known
		}
	}
	r := contract.NewReader(f, in)
	var out strings.Builder
	for {
		err := r.Next()
		var why *contract.Error
		switch {
		case errors.Is(err, io.EOF):
			return out.String()
		case errors.As(err, &why):
			l := r.DeadLetter(why)
			fmt.Fprintf(&out, "%s %s %s\n", l.Stream, l.Place, l.Reason)
		case err != nil:
			t.Fatal(err)
		default:
			fmt.Fprintf(&out, "%s %s%s%s%s\n", r.Place(), r.Sample.GPU, r.Allocation.Allocation, r.Price.SKU, strings.Join(r.Ignored(), ","))
		}
	}
}

func TestReader(t *testing.T) {
	for _, c := range []struct{ name, file, in, want string }{
		{"empty", "samples.ndjson", "", ""},
		{
			"blank lines, other line ends, a byte order mark, no line feed at the end", "samples.ndjson",
			"\ufeff{\"ts\":1,\"node\":\"n\",\"gpu\":\"a\"}\r\n\n  \t\n{\"ts\":1,\"node\":\"n\",\"gpu\":\"b\"}",
			"samples.ndjson:1 a\nsamples.ndjson:4 b\n",
		},
		{
			"a bad line harms no other", "samples.ndjson",
			"{\"ts\":1,\"node\":\"n\",\"gpu\":\"a\"}\nrubbish\n{\"ts\":1,\"node\":\"n\",\"gpu\":\"b\",\"utilization\":7}\n{\"ts\":1,\"node\":\"n\",\"gpu\":\"c\",\"zone\":1}\n",
			"samples.ndjson:1 a\nsamples samples.ndjson:2 bad_json\nsamples samples.ndjson:3 bad_number\nsamples.ndjson:4 czone\n",
		},
		{
			"cut in the last line", "allocations.ndjson",
			"{\"ts\":1,\"event\":\"end\",\"allocation\":\"a\"}\n{\"ts\":1,\"event\":\"en",
			"allocations.ndjson:1 a\nallocations allocations.ndjson:2 truncated\n",
		},
		{
			"a whole last line that is wrong is not cut", "allocations.ndjson",
			"{\"ts\":1,\"event\":\"stop\",\"allocation\":\"a\"}", "allocations allocations.ndjson:1 unknown_event\n",
		},
		{
			"a table", "prices.csv",
			priceHeader + ",note\n\naws,r,x,spot,USD,1,1,,,\naws,r,y,spot,USD,-1,1,,,\naws,r,z,spot,USD,1,1,,,why\n",
			"prices.csv:3 xnote\nprices prices.csv:4 bad_number\nprices.csv:5 z\n",
		},
		{"a table cut in the last row", "prices.csv", priceHeader + "\naws,r,x,spot,US", "prices prices.csv:2 truncated\n"},
		{
			"a table without header", "prices.csv", "aws,r,x,spot,USD,1,1,2,3\naws,r,y,spot,USD,1,1,2,3\n",
			"prices prices.csv:1 bad_row\nprices prices.csv:2 bad_row\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := transcript(t, c.file, strings.NewReader(c.in)); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
			if got := transcript(t, c.file, iotest.OneByteReader(strings.NewReader(c.in))); got != c.want {
				t.Errorf("byte by byte: got\n%swant\n%s", got, c.want)
			}
		})
	}
}

func TestLongLines(t *testing.T) {
	const good = `{"ts":1,"node":"n","gpu":"a"}`
	fits := good + strings.Repeat(" ", contract.MaxLine-len(good))
	for _, c := range []struct{ name, in, want string }{
		{"just fits", fits + "\n" + good, "samples.ndjson:1 a\nsamples.ndjson:2 a\n"},
		{"just fits, with a carriage return", fits + "\r\n" + good, "samples.ndjson:1 a\nsamples.ndjson:2 a\n"},
		{"one byte over", fits + " \n" + good, "samples samples.ndjson:1 too_long\nsamples.ndjson:2 a\n"},
		{"far over", good + "\n" + strings.Repeat("x", 3*contract.MaxLine) + "\n" + good, "samples.ndjson:1 a\nsamples samples.ndjson:2 too_long\nsamples.ndjson:3 a\n"},
		{"far over and the last", strings.Repeat("x", 3*contract.MaxLine), "samples samples.ndjson:1 too_long\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := transcript(t, "samples.ndjson", strings.NewReader(c.in)); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

func TestDeadLetterRepeatsTheLine(t *testing.T) {
	long := bytes.Repeat([]byte("x"), schemas.MaxPayload+1)
	r := contract.NewReader(contract.File{Name: "samples.ndjson", Stream: schemas.StreamSamples}, bytes.NewReader(append(long, '\n')))
	var why *contract.Error
	if err := r.Next(); !errors.As(err, &why) {
		t.Fatal(err)
	}
	l := r.DeadLetter(why)
	if !bytes.Equal(l.Payload, long[:schemas.MaxPayload]) || l.Count != 1 || !strings.Contains(l.Detail, why.Detail) {
		t.Errorf("payload of %d bytes, count %d, detail %q", len(l.Payload), l.Count, l.Detail)
	}
}

func TestReaderGivesItsInputsError(t *testing.T) {
	broken := errors.New("disk on fire")
	r := contract.NewReader(contract.Files()[0], io.MultiReader(strings.NewReader("{"), iotest.ErrReader(broken)))
	if err := r.Next(); !errors.Is(err, broken) {
		t.Errorf("error is %v, want the disk's", err)
	}
}

func TestBatch(t *testing.T) {
	var b contract.Batch
	one, two := emptySample(), emptySample()
	two.GPU, two.Utilization, two.TS = "g1", 5, at+1
	for _, s := range []contract.Sample{one, two, one} {
		if !b.Add(&s) {
			t.Fatal("a row of the same node is refused")
		}
	}
	if got := fmt.Sprint(b.Node, b.Index, b.TS, b.Utilization, len(b.Series)); got != fmt.Sprint("n1", []uint16{0, 1, 0}, []int64{at, at + 1, at}, []uint32{schemas.Absent32, 5, schemas.Absent32}, 2) {
		t.Error(got)
	}
	other := emptySample()
	other.Node = "n2"
	if b.Add(&other) {
		t.Error("a row of another node is taken")
	}
	b.Reset()
	if !b.Add(&other) || b.Len() != 1 || len(b.Series) != 1 || b.Node != "n2" {
		t.Errorf("after Reset: %+v", b.Samples)
	}
}

func TestBatchNumbersAsManySeriesAsFit(t *testing.T) {
	var b contract.Batch
	s := emptySample()
	for i := range 1 << 16 {
		s.GPU = fmt.Sprint(i)
		if !b.Add(&s) {
			t.Fatalf("series %d is refused", i)
		}
	}
	if s.GPU = "one more"; b.Add(&s) {
		t.Error("a series that has no number is taken")
	}
	if s.GPU = "0"; !b.Add(&s) || b.Index[b.Len()-1] != 0 {
		t.Error("a row of a known series is refused")
	}
}
