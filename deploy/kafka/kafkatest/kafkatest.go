// Package kafkatest gives tests a real Apache Kafka where somebody asked for it:
//
//	GPUMETER_KAFKA unset    tests that need it are skipped; no Java is needed
//	GPUMETER_KAFKA=real     they run; that it cannot run here is a failure
//	GPUMETER_KAFKA=full     they run for as long as their promise says
//
// It is imported by tests only.
package kafkatest

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/deploy/kafka"
)

// Environment is the variable that asks for Kafka.
const Environment = "GPUMETER_KAFKA"

// startWithin is generous: a node starts in 4 s on an idle machine.
const startWithin = 5 * time.Minute

// Need skips a test where nobody asked for Kafka.
func Need(t testing.TB) {
	t.Helper()
	switch value := os.Getenv(Environment); value {
	case "":
		t.Skipf("needs Apache Kafka (Java 17, Maven): make test-kafka, or %s=real", Environment)
	case "real", "full":
	default:
		t.Fatalf("%s=%s is neither real nor full", Environment, value)
	}
}

// Full reports whether tests take their full time.
func Full() bool { return os.Getenv(Environment) == "full" }

// Start gives a test a cluster that ends with it. It skips the test where nobody
// asked for Kafka. o.Dir may be empty: the test's.
func Start(t testing.TB, o kafka.Options) *kafka.Cluster {
	t.Helper()
	Need(t)
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	c, err := kafka.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, n := range c.Nodes() {
				t.Logf("node %d said last:\n%s", n.ID(), n.Said())
			}
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}
