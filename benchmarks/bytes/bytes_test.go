package main

import "testing"

// The promise of the wire: bytes of value per row of a busy node's message.
func TestSamplesAreSmall(t *testing.T) {
	for rows, most := range map[int]float64{80: 16, 10_000: 10} {
		m, err := weigh(rows)
		if err != nil {
			t.Fatal(err)
		}
		if m.Value > most || m.Value >= m.JSON || m.Value >= m.ProtobufNarrow {
			t.Errorf("%d rows: %.1f bytes a row, want at most %.0f and less than protobuf (%.1f) and JSON (%.1f)", rows, m.Value, most, m.ProtobufNarrow, m.JSON)
		}
	}
}
