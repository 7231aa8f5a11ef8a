package idle

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
)

// A script is the records of a short world: one allocation, some GPUs, runs of all
// states, with rows that are split, late, restated and taken back. A tame one has
// windows that are longer than what is late, takes nothing back, and says nothing of a
// GPU after its release, as is usual.
type script struct {
	cfg     Config
	records [][]schemas.Activity
}

type run struct {
	state    uint32
	from, to int64
}

func drawScript(t *rapid.T, tame bool) *script {
	notice := rapid.Int64Range(1, 30).Draw(t, "notice")
	s := &script{cfg: Config{
		Default: Settings{
			Share:  rapid.SampledFrom([]uint32{20_000, 100_000, 333_333, 500_000, 1_000_000}).Draw(t, "share"),
			Notice: notice, Alert: notice + rapid.Int64Range(0, 90).Draw(t, "longer"), Grace: rapid.SampledFrom([]int64{0, 0, 50}).Draw(t, "grace"),
		},
		cell: rapid.Int64Range(1, 40).Draw(t, "cell"), steps: []int64{15, 40, 41, worldMs + 1}, settled: 15,
	}}
	if tame {
		s.cfg.Default.Alert += 120
	}
	gpus := rapid.IntRange(1, 4).Draw(t, "gpus")
	wide := rapid.SampledFrom([]uint32{0, uint32(gpus), uint32(gpus) + 1}).Draw(t, "width")
	var rows []schemas.Activity
	for g := range gpus {
		rows = append(rows, drawPart(t, g, wide)...)
	}
	var last int64
	for _, r := range rows {
		last = max(last, r.To)
	}
	for i := range rows {
		if r := &rows[i]; r.State == released && r.From < last {
			r.Width = max(1, wide)
		}
	}
	s.records = shuffle(t, rows, tame)
	return s
}

// drawPart makes the rows of a GPU, in order.
func drawPart(t *rapid.T, g int, wide uint32) (rows []schemas.Activity) {
	rate := rapid.Int64Range(-1, 5).Draw(t, "rate")
	at := rapid.Int64Range(0, 60).Draw(t, "begins")
	row := schemas.Activity{Allocation: "a", Node: "n", GPU: fmt.Sprintf("g%d", g), Engine: uint32(g % 2), Width: wide, User: "u", Currency: "USD", MemoryUsed: schemas.Absent64}
	end := rapid.SampledFrom([]int64{200, 500, worldMs}).Draw(t, "ends")
	for at < end {
		r := run{rapid.SampledFrom([]uint32{active, idleHeld, idle, idle, idle, 0}).Draw(t, "state"), at, 0}
		longest := int64(120)
		if r.state == active {
			longest = 20
		}
		r.to = min(end, at+rapid.Int64Range(1, longest).Draw(t, "length"))
		for at < r.to {
			next := min(r.to, at+rapid.Int64Range(1, 40).Draw(t, "row"))
			if row.State, row.From, row.To, row.Cost = r.state, at, next, rate*(next-at); r.state != 0 {
				rows = append(rows, row)
			}
			at = next
		}
	}
	if end < worldMs || rapid.Bool().Draw(t, "released") {
		row.State, row.From, row.To, row.Cost, row.Width = released, end, end, 0, 0
		rows = append(rows, row)
	}
	return rows
}

// shuffle sends rows about when they were measured, some late, some twice with
// another state, some taken back, and watermarks between them.
func shuffle(t *rapid.T, rows []schemas.Activity, tame bool) (records [][]schemas.Activity) {
	type sent struct {
		at  int64
		row schemas.Activity
	}
	latest, marks := int64(150), int64(200)
	if tame {
		latest, marks = 20, 20
	}
	var all []sent
	over := map[string]int64{} // when the release of a GPU is sent
	for _, r := range rows {
		if over[r.GPU] = never; tame && r.State == released {
			over[r.GPU] = r.From
		}
	}
	for _, r := range rows {
		switch rapid.IntRange(0, 19).Draw(t, "how") {
		case 0:
			all = append(all, sent{min(over[r.GPU], r.To+rapid.Int64Range(0, latest).Draw(t, "late")), r})
			continue
		case 1:
			if again := r; r.State != released {
				again.State = rapid.SampledFrom([]uint32{active, idle, unknown}).Draw(t, "after all")
				if again.State == unknown {
					if again.Cost = 0; tame {
						again.State = idleHeld
					}
				}
				all = append(all, sent{min(over[r.GPU], r.To+rapid.Int64Range(0, latest).Draw(t, "restated")), again})
			}
		}
		all = append(all, sent{r.To, r})
	}
	if rapid.Bool().Draw(t, "watermarks") {
		for e := range uint32(2) {
			for at := int64(0); at < worldMs+100; at += rapid.Int64Range(10, marks).Draw(t, "mark") {
				all = append(all, sent{at, schemas.Activity{Engine: e, From: at, To: at}})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b sent) int { return int(a.at - b.at) })
	for len(all) > 0 {
		n := rapid.IntRange(1, min(8, len(all))).Draw(t, "record")
		var rec []schemas.Activity
		for _, s := range all[:n] {
			rec = append(rec, s.row)
		}
		records, all = append(records, rec), all[n:]
	}
	return records
}
