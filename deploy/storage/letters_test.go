package storage

import (
	"bytes"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/deploy/letters"
	"github.com/gpumeter/gpumeter/schemas"
)

const (
	topicPrices = schemas.Prefix + schemas.StreamPrices
	group       = "gpumeter-sink"
)

// letter publishes a dead letter about a stream.
func (p *pipe) letter(stream, place, reason string, payload []byte) {
	p.Helper()
	p.publish(kgo.TryCommit, encode(p, schemas.DeadLetter{Stream: stream, Place: place, Reason: reason, Detail: "d", Payload: payload, Count: 1}))
}

// retry retries the one letter that has the place.
func (e *engine) retry(p *pipe, place string) letters.Outcome {
	e.Helper()
	all, err := letters.List(e.Context(), e.conn, letters.Filter{Limit: 100, All: true})
	if err != nil {
		e.Fatal(err)
	}
	opts, err := p.config.Options("test")
	if err != nil {
		e.Fatal(err)
	}
	for _, l := range all {
		if l.Place != place {
			continue
		}
		out, err := letters.Retry(e.Context(), e.conn, opts, letters.Filter{IDs: []string{l.ID}, Limit: 1, All: true})
		if err != nil || len(out) != 1 {
			e.Fatalf("retry %s: %v, %v", place, out, err)
		}
		return out[0]
	}
	e.Fatalf("no letter about %s", place)
	return letters.Outcome{}
}

// A record that a letter names is published again, byte by byte, once; a line that
// a letter holds is read again.
func TestRetriedLettersArePublishedAgain(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	rec := encode(p, schemas.Price{Provider: "p", PricingCategory: "owned", Currency: "USD", PerHour: 1, From: origin})
	p.publish(kgo.TryCommit, rec)
	const place = "topic " + topicPrices + " partition 0 offset 0"
	p.letter("prices", place, schemas.ReasonQuarantined, nil)
	p.letter("prices", "prices.csv:7", schemas.ReasonBadRow, []byte("sku,provider,region,pricing_category,currency,price_per_hour,effective_from\nx,aws,,owned,USD,3.6,2026-05-01T00:00:00Z"))
	p.letter("allocations", "allocations.ndjson:3", schemas.ReasonBadField, []byte(`{"ts":1780275600000,"event":"start","allocation":"late","gpus":[]}`))
	p.run(e.DSN(), group)

	for _, at := range []string{place, "prices.csv:7", "allocations.ndjson:3"} {
		if o := e.retry(p, at); !o.Done {
			t.Errorf("%s: %s", at, o.Why)
		}
		if o := e.retry(p, at); o.Done || !strings.Contains(o.Why, "it was before") {
			t.Errorf("%s a second time: %+v", at, o)
		}
	}
	p.run(e.DSN(), group)
	e.want("provider, toString(price_per_hour)", "gpumeter.prices ORDER BY provider", "aws|3.6", "p|0.000000001")
	e.want("allocation", "gpumeter.allocations", "late")
	again := p.read(topicPrices)
	if len(again) != 3 || !bytes.Equal(again[1].Value, rec.Value) || !bytes.Equal(again[1].Key, rec.Key) || len(again[1].Headers) != len(rec.Headers) {
		t.Errorf("%d records", len(again))
	}
	if open, err := letters.List(t.Context(), e.conn, letters.Filter{Limit: 100}); err != nil || len(open) != 0 {
		t.Errorf("still listed: %+v, %v", open, err)
	}
	e.want("toString(count())", "gpumeter.dead_letters WHERE state = 'retried'", "3")
}

// read are the records of the first partition of a topic, without markers.
func (p *pipe) read(topic string) []*kgo.Record {
	p.Helper()
	opts, err := p.config.Options("test")
	if err != nil {
		p.Fatal(err)
	}
	ends, err := p.admin.ListEndOffsets(p.Context(), topic)
	if err != nil {
		p.Fatal(err)
	}
	end, _ := ends.Lookup(topic, 0)
	client, err := kgo.NewClient(append(opts, kgo.KeepControlRecords(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))...)
	if err != nil {
		p.Fatal(err)
	}
	defer client.Close()
	var all []*kgo.Record
	for next := int64(0); next < end.Offset; {
		for _, rec := range client.PollFetches(p.Context()).Records() {
			if next = rec.Offset + 1; !rec.Attrs.IsControl() {
				all = append(all, rec)
			}
		}
	}
	return all
}

// What cannot be retried says why, and stays open.
func TestLettersThatCannotBeRetriedSayWhy(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	at := func(offset string) string { return "topic " + topicPrices + " partition 0 offset " + offset }
	noise := &kgo.Record{Topic: topicPrices, Value: []byte("noise")}
	p.publish(kgo.TryCommit, noise) // offset 0, its marker 1
	cases := map[string]struct {
		stream, reason string
		payload        []byte
		want           string
	}{
		at("0"):                {"prices", schemas.ReasonCorrupt, noise.Value, "cannot read it either"},
		at("1"):                {"prices", schemas.ReasonCorrupt, nil, "no record at offset 1"},
		at("2"):                {"prices", schemas.ReasonQuarantined, nil, "another record"}, // published below, after the letter
		at("99"):               {"prices", schemas.ReasonCorrupt, nil, "holds offsets"},
		"job-7":                {"allocations", schemas.ReasonNoStart, nil, "counts by itself"},
		"prices.csv:9":         {"prices", schemas.ReasonBadRow, []byte("provider\nx"), "refuses it, too"},
		"allocations.ndjson:1": {"allocations", schemas.ReasonTooLong, make([]byte, schemas.MaxPayload), "longer line"},
		"n1/g":                 {"samples", schemas.ReasonTooLate, nil, "too late again"},
		"topic gpumeter.cost partition 0 offset 4": {"cost", schemas.ReasonCorrupt, nil, "set its offset back"},
		at("50"): {"prices", schemas.ReasonGap, nil, "no record is left"},
	}
	for place, c := range cases {
		p.letter(c.stream, place, c.reason, c.payload)
	}
	p.run(e.DSN(), group)
	p.publish(kgo.TryCommit, encode(p, schemas.Price{Provider: "p", PricingCategory: "owned", Currency: "USD", From: origin}))
	for place, c := range cases {
		if o := e.retry(p, place); o.Done || !strings.Contains(o.Why, c.want) {
			t.Errorf("%s: %+v, want %q", place, o, c.want)
		}
	}
	e.want("toString(count())", "gpumeter.dead_letters WHERE state = 'open' AND reason != 'corrupt'", "6")
}

// Dropping needs a choice and a reason, hides letters from the list, and is in the
// history; doing it twice is nothing.
func TestDroppedLettersStayInTheHistory(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	p.letter("tags", "tags.csv:1", schemas.ReasonBadRow, nil)
	p.letter("tags", "topic gpumeter.tags partition 0 offset 3", schemas.ReasonCorrupt, nil)
	p.letter("samples", "samples.ndjson:1", schemas.ReasonBadJSON, nil)
	p.run(e.DSN(), group)
	count := func(f letters.Filter) int {
		f.Limit = 100
		all, err := letters.List(t.Context(), e.conn, f)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	for _, c := range []struct {
		filter letters.Filter
		want   int
	}{
		{letters.Filter{}, 3},
		{letters.Filter{Stream: "tags"}, 2},
		{letters.Filter{Topic: "gpumeter.tags"}, 1},
		{letters.Filter{Reason: schemas.ReasonBadJSON}, 1},
		{letters.Filter{Since: 3_600_000_000_000}, 3},
		{letters.Filter{Stream: "tags", Reason: schemas.ReasonBadJSON}, 0},
	} {
		if got := count(c.filter); got != c.want {
			t.Errorf("%+v: %d letters, want %d", c.filter, got, c.want)
		}
	}
	if _, err := letters.Drop(t.Context(), e.conn, letters.Filter{Limit: 100}, "why"); err == nil {
		t.Error("all letters were dropped because none was named")
	}
	if _, err := letters.Drop(t.Context(), e.conn, letters.Filter{Stream: "tags", Limit: 100}, " "); err == nil {
		t.Error("dropped for no reason")
	}
	for n := range 2 {
		dropped, err := letters.Drop(t.Context(), e.conn, letters.Filter{Stream: "tags", Limit: 100}, "a test wrote them")
		if err != nil || len(dropped) != 2*(1-n) {
			t.Errorf("time %d: %d letters, %v", n+1, len(dropped), err)
		}
	}
	if open := count(letters.Filter{}); open != 1 {
		t.Errorf("%d letters are open", open)
	}
	p.run(e.DSN(), "another") // stored once more, they are the same letters
	if open, all := count(letters.Filter{}), count(letters.Filter{All: true}); open != 1 || all != 3 {
		t.Errorf("%d letters of %d are open", open, all)
	}
	e.want("place, note", "gpumeter.dead_letters WHERE state = 'dropped' ORDER BY place", "tags.csv:1|a test wrote them", "topic gpumeter.tags partition 0 offset 3|a test wrote them")
}
