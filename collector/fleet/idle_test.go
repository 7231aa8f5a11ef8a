package fleet

import (
	"fmt"
	"strings"
	"testing"
)

// A span is so many seconds of work or not.
type span struct {
	seconds int
	works   bool
}

func works(seconds int) span { return span{seconds, true} }
func rests(seconds int) span { return span{seconds, false} }

// times repeats spans.
func times(n int, spans ...span) []span {
	var all []span
	for range n {
		all = append(all, spans...)
	}
	return all
}

func seconds(spans []span) []bool {
	var all []bool
	for _, s := range spans {
		for range s.seconds {
			all = append(all, s.works)
		}
	}
	return all
}

// told writes findings as opened/threshold/resolved in seconds, - for none.
func told(all []Expected) string {
	one := func(ms *int64) string {
		if ms == nil {
			return "-"
		}
		return fmt.Sprint(float64(*ms) / 1000)
	}
	texts := make([]string, len(all))
	for i, e := range all {
		texts[i] = one(&e.OpenedAt) + "/" + one(e.ThresholdAt) + "/" + one(e.ResolvedAt)
	}
	return strings.Join(texts, " ")
}

// TestFindings: what the rule says, worked out by hand. Two percent of five
// minutes are 6 seconds, of thirty 36.
func TestFindings(t *testing.T) {
	for _, c := range []struct {
		name    string
		gpus    [][]span
		unknown []Stretch // of the first GPU
		ends    bool
		want    string
	}{
		{"never works", [][]span{{rests(3600)}}, nil, false, "300/1800/-"},
		{"never works and ends", [][]span{{rests(3600)}}, nil, true, "300/1800/3600"},
		{"ends before it is a notice", [][]span{{rests(299)}}, nil, true, ""},
		{"ends as it becomes one", [][]span{{rests(300)}}, nil, true, "300/-/300"},
		{"always works", [][]span{{works(7200)}}, nil, false, ""},
		{"stops to work", [][]span{{works(1000), rests(2000)}}, nil, false, "1294.001/2764.001/-"},
		{"works again: 36 seconds are enough", [][]span{{works(1000), rests(2000), works(100)}}, nil, false, "1294.001/2764.001/3036"},
		{"a pause of five minutes less what counts as work", [][]span{{works(1000), rests(294), works(1000)}}, nil, false, ""},
		{"and one second more", [][]span{{works(1000), rests(295), works(1000)}}, nil, false, "1294.001/-/1331"},
		{"a checkpoint of ten minutes is no alert", [][]span{{works(1000), rests(600), works(1000)}}, nil, false, "1294.001/-/1636"},
		{"blips hide nothing", [][]span{append([]span{works(1000)}, times(6, rests(590), works(10))...)}, nil, false, "1294.001/2784.001/-"},
		{"a notice waits for blips to leave its window", [][]span{times(8, works(10), rests(290))}, nil, false, ""},
		{"work of two seconds a minute is above two percent", [][]span{times(120, works(2), rests(58))}, nil, false, ""},
		{"of one it is below", [][]span{times(120, works(1), rests(59))}, nil, false, "300/1800/-"},
		{"blips that add up resolve", [][]span{append([]span{rests(1000)}, times(5, works(12), rests(348))...)}, nil, false, "300/-/1732 2026.001/-/-"},
		{"unknown time stretches", [][]span{{works(1000), rests(6000)}}, []Stretch{{2000_000, 5000_000}}, false, "1294.001/5764.001/-"},
		{"unknown is no idleness", [][]span{{works(5000)}}, []Stretch{{1000_000, 4600_000}}, false, ""},
		{"nothing is ever known", [][]span{{rests(5000)}}, []Stretch{{0, 5000_000}}, false, ""},
		{"one of two works", [][]span{{rests(5000)}, {works(5000)}}, nil, false, ""},
		{"both rest, one of them later", [][]span{{rests(4000)}, {works(1000), rests(3000)}}, nil, false, "1288.001/2728.001/-"},
		{"half of the GPUs are unknown: time passes at half the rate", [][]span{{rests(4000)}, {rests(4000)}}, []Stretch{{0, 4000_000}}, false, "600/3600/-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := len(seconds(c.gpus[0]))
			w := newWatch(len(c.gpus), n)
			for i, g := range c.gpus {
				var unknown []Stretch
				if i == 0 {
					unknown = c.unknown
				}
				w.add(seconds(g), unknown)
			}
			var end *int64
			if c.ends {
				ms := int64(n) * 1000
				end = &ms
			}
			if got := told(w.findings(0, end)); got != c.want {
				t.Errorf("findings %s, want %s", got, c.want)
			}
		})
	}
}

func TestIdleStretches(t *testing.T) {
	w := newWatch(2, 10)
	w.add(seconds([]span{works(2), rests(4), works(4)}), nil)
	idle := w.add(seconds([]span{works(3), rests(7)}), []Stretch{{4500, 8000}})
	if got, want := fmt.Sprint(w.idle(7000)), "[{10000 13000}]"; got != want {
		t.Errorf("idle %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(idle), "[0 0 0 1000 500 0 0 0 1000 1000]"; got != want {
		t.Errorf("idle of the second GPU %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(newWatch(1, 2).idle(0)), "[{0 2000}]"; got != want {
		t.Errorf("idle %s, want %s", got, want)
	}
}
