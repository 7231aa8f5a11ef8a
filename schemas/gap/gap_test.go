package gap

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

func TestLook(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "gpumeter.t", "gpumeter.u"))
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...), kgo.DefaultProduceTopic("gpumeter.t"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for n := range int64(5) {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Value: []byte("v"), Timestamp: time.UnixMilli(1000 + n)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := fake.DeleteRecords("gpumeter.t", 0, 3); err != nil {
		t.Fatal(err)
	}
	logs, err := Look(t.Context(), kadm.NewClient(client), "gpumeter.t", "gpumeter.u")
	if err != nil {
		t.Fatal(err)
	}
	full, empty := logs["gpumeter.t"][0], logs["gpumeter.u"][0]
	if full.Start != 3 || full.End != 5 || full.First != 1003 || empty.Start != 0 || empty.End != 0 || empty.First != 0 {
		t.Errorf("%+v, %+v", full, empty)
	}
	if full.Topic == 0 || full.Topic == empty.Topic {
		t.Error("topics are not told apart")
	}
}

// What the brokers say now counts, not what the client has heard before.
func TestIdentifyAsksAnew(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "gpumeter.t", "gpumeter.u"))
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	adm := kadm.NewClient(client)
	before, err := Identify(t.Context(), adm, "gpumeter.t", "gpumeter.u")
	if err != nil || len(before) != 2 {
		t.Fatalf("%v, %v", before, err)
	}
	if err := errors.Join(fake.DeleteTopic("gpumeter.t"), fake.DeleteTopic("gpumeter.u")); err != nil {
		t.Fatal(err)
	}
	if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, "gpumeter.t"); err != nil {
		t.Fatal(err)
	}
	now, err := Identify(t.Context(), adm, "gpumeter.t", "gpumeter.u")
	if _, there := now["gpumeter.u"]; err != nil || there || now["gpumeter.t"] == 0 || now["gpumeter.t"] == before["gpumeter.t"] {
		t.Errorf("%v after %v, %v", now, before, err)
	}
}

func TestWhereAPartitionIsReadOn(t *testing.T) {
	for name, c := range map[string]struct {
		Place
		Log
		from    int64
		kind    Kind // of the gap, "" for none
		records int64
	}{
		"never read":                   {Place{Next: -1, Of: 1}, Log{Topic: 1, Start: 3, End: 9}, 3, "", 0},
		"never read, nothing known":    {Place{Next: -1}, Log{Topic: 1, Start: 3, End: 9}, 3, "", 0},
		"where it was left":            {Place{Next: 5, Of: 1}, Log{Topic: 1, Start: 3, End: 9}, 5, "", 0},
		"all was read":                 {Place{Next: 9, Of: 1}, Log{Topic: 1, Start: 3, End: 9}, 9, "", 0},
		"all was read and has expired": {Place{Next: 9, Of: 1}, Log{Topic: 1, Start: 9, End: 9}, 9, "", 0},
		"retention passed it":          {Place{Next: 0, Of: 1}, Log{Topic: 1, Start: 3, End: 9}, 3, Expired, 3},
		"made again, shorter":          {Place{Next: 5, Of: 1}, Log{Topic: 2, Start: 0, End: 2}, 0, Recreated, 1},
		"made again, longer":           {Place{Next: 5, Of: 1}, Log{Topic: 2, Start: 0, End: 9}, 0, Recreated, 1},
		"made again, offset forgotten": {Place{Next: -1, Of: 1}, Log{Topic: 2, Start: 2, End: 9}, 2, Recreated, 1},
		"by a reader without ids":      {Place{Next: 5}, Log{Topic: 2, Start: 0, End: 9}, 5, "", 0},
		"cut":                          {Place{Next: 7, Of: 1}, Log{Topic: 1, Start: 1, End: 4}, 1, Cut, 3},
		"brokers without ids":          {Place{Next: 5, Of: 1}, Log{Start: 0, End: 9}, 5, "", 0},
	} {
		from, missing := c.Resume(c.Log)
		switch {
		case from != c.from:
			t.Errorf("%s: from %d, want %d", name, from, c.from)
		case missing == nil && c.kind != "", missing != nil && (missing.Kind != c.kind || missing.Records() != c.records):
			t.Errorf("%s: %+v, want %s of %d", name, missing, c.kind, c.records)
		}
	}
}

func TestLetterOfWhatExpired(t *testing.T) {
	p := Place{Group: "g", Topic: "gpumeter.samples", Partition: 3, Next: 10, Time: 1_780_275_600_000}
	_, missing := p.Resume(Log{Start: 25, End: 30, First: 1_780_275_660_500})
	tells(t, missing, 10, 15, "offsets 10 to 24 expired before group g", "2026-06-01T01:00:00Z", "2026-06-01T01:01:00.5Z", "their time is unknown")
}

func TestLetterOfARecreatedTopic(t *testing.T) {
	p := Place{Group: "g", Topic: "gpumeter.samples", Partition: 3, Next: 10, Of: 1}
	_, missing := p.Resume(Log{Topic: 2, Start: 4, End: 30})
	tells(t, missing, 10, 1, "recreated", "group g read it to offset 10", "their time is unknown")
	p.Next = -1 // the brokers have forgotten it
	_, missing = p.Resume(Log{Topic: 2, Start: 4, End: 30})
	tells(t, missing, 4, 1, "recreated", "do not know how far", "their time is unknown")
}

func TestLetterOfWhatWasCut(t *testing.T) {
	p := Place{Group: "g", Topic: "gpumeter.samples", Partition: 3, Next: 10}
	_, missing := p.Resume(Log{End: 7})
	tells(t, missing, 10, 3, "ends at offset 7, but group g has read to 10", "their time is unknown")
}

func tells(t *testing.T, g *Gap, offset, count int64, parts ...string) {
	t.Helper()
	l := g.Letter("their time is unknown")
	if l.Stream != "samples" || l.Place != fmt.Sprintf("topic gpumeter.samples partition 3 offset %d", offset) || l.Reason != schemas.ReasonGap || l.Count != count {
		t.Errorf("%+v", l)
	}
	for _, part := range parts {
		if !strings.Contains(l.Detail, part) {
			t.Errorf("%q does not say %q", l.Detail, part)
		}
	}
}

func TestTopicsAreReadAsTheyWereWritten(t *testing.T) {
	all := Topics{}
	for _, s := range schemas.Streams() {
		all[s.Topic()] = math.MaxUint32
	}
	if got := ParseTopics(all.String()); !maps.Equal(got, all) {
		t.Errorf("%v of %q", got, all)
	}
	if n := len(all.String()); n > 1000 {
		t.Errorf("%d bytes: brokers take 4096 of metadata at most", n)
	}
	for _, other := range []string{"", "gpumeter/2 refs=1", topicsHead + " samples", topicsHead + " samples=-1", topicsHead + " samples=4294967296", topicsHead + "0 samples=1"} {
		if got := ParseTopics(other); len(got) != 0 {
			t.Errorf("%q: %v", other, got)
		}
	}
}
