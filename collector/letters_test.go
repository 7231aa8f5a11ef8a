package collector_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/schemas"
)

// A collector that cannot write what it refused does not end well, so whoever runs
// it runs it again over the same input; nothing was skipped.
func TestLettersThatCannotBeWrittenStopTheCollector(t *testing.T) {
	k := newKafka(t)
	cfg := config(k, directory(t, map[string]string{"allocations.ndjson": allocationsFile + "not JSON\n"}))
	// The first run makes the topics.
	denied := kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: schemas.Prefix + schemas.StreamDeadLetters, Err: kerr.TopicAuthorizationFailed, Count: -1}
	fault := k.Fault(denied)
	if _, err := collector.Run(t.Context(), cfg, environment()); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("not allowed to write letters: %v", err)
	}
	fault.Remove()

	// A topic without a leader is waited for.
	denied.Err = kerr.NotLeaderForPartition
	fault = k.Fault(denied)
	done := make(chan error, 1)
	go func() {
		_, err := collector.Run(t.Context(), cfg, environment())
		done <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := fault.Wait(ctx, 3); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		t.Fatalf("ended while letters could not be written: %v", err)
	default:
	}
	fault.Remove()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := len(k.records(t, schemas.StreamDeadLetters)); n != 1 {
		t.Errorf("%d letters", n)
	}
}
