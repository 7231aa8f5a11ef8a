package cells

import (
	"reflect"
	"testing"

	"github.com/gpumeter/gpumeter/schemas"
)

func TestLabelsThatAreNotJSONAreSeen(t *testing.T) {
	if got := labels("{"); len(got) != 1 || got[0].Key != "not JSON" {
		t.Errorf("%v", got)
	}
}

func TestRevisionsThatSayNothingNewAreCounted(t *testing.T) {
	one := schemas.Text{Dict: []string{"x"}, Index: []uint32{0}}
	batch := func(finality uint8, gpuMs int64) *schemas.Costs {
		c := &schemas.Costs{Finality: []uint8{finality}, Restated: []uint8{0}, Window: []int64{60_000}}
		fields := reflect.ValueOf(c).Elem()
		for i := range fields.NumField() {
			switch f := fields.Field(i).Addr().Interface().(type) {
			case *schemas.Text:
				*f = one
			case *[]int64:
				if *f == nil {
					*f = []int64{gpuMs}
				}
			case *[]uint8:
				if *f == nil {
					*f = []uint8{1}
				}
			case *[]uint32:
				*f = []uint32{0}
			case *[]uint64:
				*f = []uint64{0}
			}
		}
		c.Runs = nil
		return c
	}
	l := New()
	for _, b := range []*schemas.Costs{batch(0, 1), batch(0, 2), batch(1, 2), batch(1, 2), batch(1, 3)} {
		l.Costs(b)
	}
	if l.Revisions() != 5 || l.Repeated() != 1 || len(l.Rows()) != 1 || l.Rows()[0].GPUMs != 3 {
		t.Errorf("%d revisions, %d repeated, %+v", l.Revisions(), l.Repeated(), l.Rows())
	}
}
