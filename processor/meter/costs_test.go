package meter

import (
	"reflect"

	"github.com/gpumeter/gpumeter/schemas"
)

// newCosts has n rows of zeros and empty texts in every column of the
// declaration, and no runs.
func newCosts(n int) *schemas.Costs {
	c := new(schemas.Costs)
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		switch {
		case f.Type() == reflect.TypeFor[schemas.Text]():
			f.Set(reflect.ValueOf(schemas.Text{Index: make([]uint32, n), Dict: []string{""}}))
		case v.Type().Field(i).Name != "Runs":
			f.Set(reflect.MakeSlice(f.Type(), n, n))
		}
	}
	return c
}
