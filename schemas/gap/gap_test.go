package gap

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
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
	if full.Topic == 0 || full.Topic == empty.Topic || !full.Recreated(empty.Topic) || full.Recreated(full.Topic) || full.Recreated(0) {
		t.Error("topics are not told apart")
	}
	for committed, want := range map[int64][2]bool{-1: {}, 0: {true, false}, 2: {true, false}, 3: {}, 5: {}, 6: {false, true}} {
		if got := [2]bool{full.Expired(committed), full.Lost(committed)}; got != want {
			t.Errorf("committed %d: expired, lost: %v, want %v", committed, got, want)
		}
	}
}

func TestLetter(t *testing.T) {
	g := Gap{Group: "g", Topic: "gpumeter.samples", Partition: 3, From: 10, To: 25, After: 1_780_275_600_000, Before: 1_780_275_660_500, Meaning: "their time is unknown"}
	l := g.Letter()
	if l.Stream != "samples" || l.Place != "topic gpumeter.samples partition 3 offset 10" || l.Reason != "gap" || l.Count != 15 {
		t.Errorf("%+v", l)
	}
	for _, part := range []string{"offsets 10 to 24", "2026-06-01T01:00:00Z", "2026-06-01T01:01:00.5Z", "their time is unknown"} {
		if !strings.Contains(l.Detail, part) {
			t.Errorf("%q does not say %q", l.Detail, part)
		}
	}
	g.Recreated, g.To, g.Before = true, 0, 0
	if l = g.Letter(); l.Count != 1 || !strings.Contains(l.Detail, "recreated") || !strings.Contains(l.Detail, "(not known)") {
		t.Errorf("%+v", l)
	}
}
