package engine

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
)

// priced builds one list of rows, given as from, to, known, price.
func priced(rows ...[4]int64) (*priceList, *texts) {
	t := newTexts()
	p := prices{lists: map[priceKey]*priceList{}}
	for _, r := range rows {
		p.add(&schemas.Price{Provider: "p", Currency: "USD", From: r[0], To: r[1], KnownAt: r[2], PerHour: r[3]}, &t)
	}
	l := p.list(priceKey{provider: "p"})
	l.build()
	return l, &t
}

// in writes down what is in force in each step.
func (l *priceList) in() (s string) {
	for _, step := range l.steps[1:] {
		if step.row == nil {
			s += fmt.Sprintf("%d:- ", step.from)
		} else {
			s += fmt.Sprintf("%d:%d ", step.from, step.row.perHour)
		}
	}
	return s
}

func TestPriceInForce(t *testing.T) {
	for _, c := range []struct {
		name string
		rows [][4]int64
		want string
	}{
		{"open", [][4]int64{{10, 0, 0, 5}}, "10:5 "},
		{"closed", [][4]int64{{10, 20, 0, 5}}, "10:5 20:- "},
		{"empty", [][4]int64{{10, 10, 0, 5}, {20, 5, 0, 5}}, ""},
		{"identical rows are one", [][4]int64{{10, 20, 0, 5}, {10, 20, 0, 5}}, "10:5 20:- "},
		{"the latest known", [][4]int64{{10, 0, 1, 5}, {10, 30, 2, 6}}, "10:6 30:5 "},
		{"absent known_at is effective_from", [][4]int64{{10, 0, 15, 5}, {20, 0, 0, 6}}, "10:5 20:6 "},
		{"a conflict is unpriced", [][4]int64{{10, 30, 9, 5}, {20, 40, 9, 6}}, "10:5 20:- 30:6 40:- "},
		{"what is known later ends a conflict", [][4]int64{{10, 30, 9, 5}, {10, 30, 9, 6}, {20, 30, 10, 7}}, "20:7 30:- "},
		{"one price twice is no conflict", [][4]int64{{10, 30, 9, 5}, {20, 40, 9, 5}}, "10:5 20:5 40:- "},
	} {
		if l, _ := priced(c.rows...); l.in() != c.want {
			t.Errorf("%s: %q, want %q", c.name, l.in(), c.want)
		}
	}
}

func TestPriceIDNamesTheLaterRow(t *testing.T) {
	l, texts := priced([4]int64{10, 0, 9, 5}, [4]int64{20, 40, 9, 5})
	for at, want := range map[int64]string{15: "p///@10/9", 25: "p///@20/9", 45: "p///@10/9"} {
		if got := texts.all[l.steps[l.at(at)].row.id]; got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

// The sweep agrees with the rule applied instant by instant.
func TestPriceIsTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.Int64Range(1, 12)
		rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [4]int64 {
			return [4]int64{small.Draw(t, "from"), small.Draw(t, "to"), rapid.Int64Range(0, 3).Draw(t, "known"), rapid.Int64Range(0, 2).Draw(t, "price")}
		}), 0, 12).Draw(t, "rows")
		l, _ := priced(rows...)
		for at := int64(0); at < 14; at++ {
			got, want := int64(-1), ruleSeven(rows, at)
			if row := l.steps[l.at(at)].row; row != nil {
				got = row.perHour
			}
			if got != want {
				t.Fatalf("at %d: %d, want %d", at, got, want)
			}
		}
	})
}

// ruleSeven is the price at one instant, -1 for none.
func ruleSeven(rows [][4]int64, at int64) int64 {
	latest, price := int64(-1), int64(-1)
	for _, r := range rows {
		known := r[2]
		if known == 0 {
			known = r[0]
		}
		if r[0] > at || r[1] <= at || known < latest {
			continue
		}
		if known == latest && price != r[3] {
			price = -1
			continue
		}
		if known > latest {
			latest, price = known, r[3]
		}
	}
	return conflictFree(rows, at, latest, price)
}

// conflictFree is -1 when another row known at the same instant says otherwise.
func conflictFree(rows [][4]int64, at, latest, price int64) int64 {
	for _, r := range rows {
		known := r[2]
		if known == 0 {
			known = r[0]
		}
		if r[0] <= at && at < r[1] && known == latest && r[3] != price {
			return -1
		}
	}
	return price
}

func TestChangedStretches(t *testing.T) {
	a, _ := priced([4]int64{10, 30, 1, 5})
	b, _ := priced([4]int64{10, 30, 1, 5}, [4]int64{20, 40, 2, 6})
	b.steps[1].row = a.steps[1].row
	got := ""
	changed(a.steps, b.steps, func(from, to int64) { got += fmt.Sprint(from, "-", to, " ") })
	if got != "20-30 30-40 " {
		t.Errorf("changed %q", got)
	}
}
