package service

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// A Key is one setting of a configuration struct.
type Key struct {
	Name    string // dotted, as in --set
	Env     string // variable of the environment
	Type    string // what a value looks like: text, number, true|false, duration, list
	Default string // value in the struct that was asked
	Doc     string // the field's doc tag
	list    bool
	text    bool // an empty value is a value
	address bool // it may hold a password
}

// Keys lists the settings of cfg, a struct or a pointer to one, in the order of
// its fields. Fields without a koanf tag are no settings.
func Keys(cfg any) []Key {
	v := reflect.Indirect(reflect.ValueOf(cfg))
	if v.Kind() != reflect.Struct {
		panic(fmt.Sprintf("service: %T is not a configuration struct", cfg)) // a bug of the caller, found by any test that runs it
	}
	return appendKeys(nil, "", v)
}

func appendKeys(keys []Key, prefix string, v reflect.Value) []Key {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		tag, ok := field.Tag.Lookup("koanf")
		if !ok || tag == "-" {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case options == "squash":
			keys = appendKeys(keys, prefix, v.Field(i))
		case isBranch(field.Type):
			keys = appendKeys(keys, prefix+name+".", v.Field(i))
		default:
			keys = append(keys, newKey(prefix+name, field, v.Field(i)))
		}
	}
	return keys
}

// isBranch tells a struct of settings from a struct that is one value.
func isBranch(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func newKey(name string, field reflect.StructField, v reflect.Value) Key {
	k := Key{Name: name, Env: EnvName(name), Doc: field.Tag.Get("doc"), address: field.Tag.Get("secret") == "address", Default: fmt.Sprint(v.Interface())}
	switch kind := field.Type.Kind(); {
	case field.Type == reflect.TypeFor[time.Duration]():
		k.Type, k.Default = "duration", duration(time.Duration(v.Int()))
	case reflect.PointerTo(field.Type).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		k.Type = "text"
		if none, ok := v.Interface().(interface{ IsZero() bool }); ok && none.IsZero() { // a time that is not given
			k.Default = ""
		}
	case kind == reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = fmt.Sprint(v.Index(i).Interface())
		}
		k.Type, k.list, k.Default = "list", true, strings.Join(items, ",")
	case kind == reflect.Bool:
		k.Type = "true|false"
	case kind == reflect.String:
		k.Type, k.text = "text", true
	default:
		k.Type = "number"
	}
	return k
}

// duration drops the zero parts that time.Duration prints: 1h0m0s is 1h.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// EnvName is the variable of the environment that sets the key: idle.epsilon is
// GPUMETER_IDLE_EPSILON.
func EnvName(key string) string {
	return "GPUMETER_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// nearest gives the key that a person probably meant, "" when none is near.
func nearest(name string, keys []Key) string {
	best, least := "", max(2, len(name)/3)+1
	for _, k := range keys {
		d := distance(name, k.Name)
		if strings.HasSuffix(k.Name, "."+name) {
			d = 1 // the right leaf without its branch
		}
		if d < least {
			best, least = k.Name, d
		}
	}
	return best
}

// distance is Levenshtein's: how many bytes to insert, drop or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
