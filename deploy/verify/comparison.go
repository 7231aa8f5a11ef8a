package verify

import (
	"fmt"
	"iter"
	"reflect"
	"strings"

	"github.com/gpumeter/gpumeter/deploy/oracle"
)

// comparison merges the rows of the ledger with the oracle's: both come in one
// order, so neither is kept.
type comparison struct {
	tally
	next     func() (oracle.Row, bool)
	halt     func()
	expected oracle.Row
	more     bool
}

func newComparison(rows iter.Seq[oracle.Row]) *comparison {
	c := &comparison{tally: newTally("oracle", "every row is the oracle's in every column, and the other way round")}
	c.next, c.halt = iter.Pull(rows)
	c.expected, c.more = c.next()
	return c
}

func (c *comparison) stop() { c.halt() }

func (c *comparison) row(r *oracle.Row) {
	c.Compared++
	for c.more && c.expected.Compare(r) < 0 {
		c.isMissing()
	}
	if !c.more || c.expected.Compare(r) > 0 {
		c.broken(keyOf(r), "", "no such row", describe(r))
		return
	}
	c.columns(&c.expected, r)
	c.expected, c.more = c.next()
}

func (c *comparison) isMissing() {
	c.broken(keyOf(&c.expected), "", describe(&c.expected), "no row")
	c.expected, c.more = c.next()
}

func (c *comparison) end() {
	for c.more {
		c.isMissing()
	}
}

func describe(r *oracle.Row) string {
	return fmt.Sprintf("gpu_ms %d, list_cost %s", r.GPUMs, money(r, r.ListCost))
}

func money(r *oracle.Row, nanos int64) string {
	if !r.Priced {
		return "NULL"
	}
	return fmt.Sprintf("%d nano-%s", nanos, r.Currency)
}

// columns compares the rows of one key.
func (c *comparison) columns(expected, found *oracle.Row) {
	if len(expected.Labels) == 0 {
		expected.Labels = nil
	}
	if len(found.Labels) == 0 {
		found.Labels = nil
	}
	if reflect.DeepEqual(expected, found) {
		return
	}
	e, f := reflect.ValueOf(expected).Elem(), reflect.ValueOf(found).Elem()
	for i := range e.NumField() {
		if x, y := e.Field(i).Interface(), f.Field(i).Interface(); !reflect.DeepEqual(x, y) {
			c.broken(keyOf(expected), column(e.Type().Field(i).Name), show(x), show(y))
			return // a row counts once, by its first column that differs
		}
	}
}

func show(v any) string {
	if n, ok := v.(int64); ok {
		return value(n)
	}
	if text, ok := v.(string); ok {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprint(v)
}

// column is the name in cost of a field of oracle.Row.
func column(field string) string {
	switch field {
	case "GPUModel":
		return "gpu_model"
	case "GPUMs":
		return "gpu_ms"
	case "UsedGPUMs":
		return "used_gpu_ms"
	case "Utilization":
		return "utilization_avg"
	case "SMActive":
		return "sm_active_avg"
	case "MemoryMax":
		return "memory_used_max_bytes"
	case "Energy":
		return "energy_joules"
	case "Priced":
		return "price_status"
	}
	var b strings.Builder
	for i, r := range field {
		isUpper := r >= 'A' && r <= 'Z'
		if isUpper && i > 0 && field[i-1] >= 'a' && field[i-1] <= 'z' {
			b.WriteByte('_')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}
