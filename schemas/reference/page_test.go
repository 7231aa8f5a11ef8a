package reference

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/schemas"
)

const pagePath = "../../docs/schemas.md"

func TestPageFollowsTheDeclarations(t *testing.T) {
	want, err := Page("..")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(pagePath)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/schemas.md and the declarations differ: run make generate")
	}
}

// declared gives the name and tags of each column of a struct, lists of structs
// included.
func declared(t reflect.Type, fn func(name string, tag reflect.StructTag)) {
	for f := range t.Fields() {
		name, ok := f.Tag.Lookup("col")
		if !ok {
			continue
		}
		fn(t.Name()+"."+name, f.Tag)
		if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct {
			declared(f.Type.Elem(), fn)
		}
	}
}

func TestEveryColumnIsOnThePageWithItsMeaning(t *testing.T) {
	page, err := os.ReadFile(pagePath)
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(page), "\n## ")
	for _, s := range schemas.Streams() {
		section := ""
		for _, text := range sections {
			if strings.HasPrefix(text, s.Topic()+"\n") {
				section = text
			}
		}
		declared(reflect.TypeOf(s.Row), func(name string, tag reflect.StructTag) {
			if doc := tag.Get("doc"); doc == "" {
				t.Errorf("%s has no doc tag", name)
			}
			_, column, _ := strings.Cut(name, ".")
			inList := regexp.MustCompile(`struct<[^|]*\b` + column + ": ")
			if !strings.Contains(section, "| `"+column+"` |") && !inList.MatchString(section) {
				t.Errorf("%s is not in the section of %s", name, s.Topic())
			}
		})
	}
}

func TestReasonsAreReadFromTheirDeclaration(t *testing.T) {
	all, err := reasons("..")
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]bool{}
	for _, r := range all {
		if r.doc == "" {
			t.Errorf("reason %s has no comment", r.name)
		}
		kept[r.name] = r.kept
	}
	for name, want := range map[string]bool{schemas.ReasonBadJSON: false, schemas.ReasonTooLate: false, schemas.ReasonNoStart: true, schemas.ReasonPriceConflict: true} {
		if got, ok := kept[name]; !ok || got != want {
			t.Errorf("reason %s: found %t, kept %t, want kept %t", name, ok, got, want)
		}
	}
}
