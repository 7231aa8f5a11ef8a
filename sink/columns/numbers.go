package columns

import (
	"fmt"
	"reflect"

	"github.com/ClickHouse/ch-go/proto"
)

// number is the constraint of the columns of the hot streams.
type number interface {
	uint8 | int16 | uint16 | int32 | uint32 | int64 | uint64
}

// numbers is a column of a fixed width that is appended to by slices or by
// single elements of slices. values is the same memory as the encoded column.
type numbers[T number] struct {
	values *[]T
}

func (n numbers[T]) appendRange(source any, from, to int) {
	*n.values = append(*n.values, (*source.(*[]T))[from:to]...)
}

func (n numbers[T]) appendAt(source any, row int) {
	*n.values = append(*n.values, (*source.(*[]T))[row])
}

func (n numbers[T]) reset() { *n.values = (*n.values)[:0] }

// slices of numbers without their type.
type slicesOf interface {
	appendRange(source any, from, to int) // source is a *[]T
	appendAt(source any, row int)
	reset()
}

// newNumbers makes a column of elements of type t, sent under a ClickHouse
// type of the same width.
func newNumbers(t reflect.Type, kind string) (slicesOf, proto.ColInput) {
	var values slicesOf
	var data proto.ColInput
	switch t.Kind() {
	case reflect.Uint8:
		c := new(proto.ColUInt8)
		values, data = numbers[uint8]{(*[]uint8)(c)}, c
	case reflect.Int16:
		c := new(proto.ColInt16)
		values, data = numbers[int16]{(*[]int16)(c)}, c
	case reflect.Int32:
		c := new(proto.ColInt32)
		values, data = numbers[int32]{(*[]int32)(c)}, c
	case reflect.Uint32:
		c := new(proto.ColUInt32)
		values, data = numbers[uint32]{(*[]uint32)(c)}, c
	case reflect.Int64:
		c := new(proto.ColInt64)
		values, data = numbers[int64]{(*[]int64)(c)}, c
	case reflect.Uint64:
		c := new(proto.ColUInt64)
		values, data = numbers[uint64]{(*[]uint64)(c)}, c
	default:
		panic(fmt.Sprintf("columns: no column of %s: a declaration needs one here", t))
	}
	return values, typed{data, proto.ColumnType(kind)}
}
