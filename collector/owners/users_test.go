package owners

import (
	"errors"
	"os/user"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestNames(t *testing.T) {
	n := newNames()
	var asked atomic.Int64
	n.lookup = func(uid string) (*user.User, error) {
		asked.Add(1)
		if uid == "7" {
			return &user.User{Username: "ann"}, nil
		}
		return nil, errors.New("unknown")
	}
	for range 3 {
		if got := n.name(7); got != "ann" {
			t.Errorf("user 7 is %q", got)
		}
		if got := n.name(8); got != "8" {
			t.Errorf("user 8 is %q", got)
		}
	}
	if asked.Load() != 2 {
		t.Errorf("asked %d times", asked.Load())
	}
}

// A directory that does not answer holds up the metering once, for half a second,
// and is not asked again until it does.
func TestNamesOfASlowDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNames()
		answer := make(chan struct{})
		asked := 0
		n.lookup = func(string) (*user.User, error) {
			asked++
			<-answer
			return &user.User{Username: "ann"}, nil
		}
		begin := time.Now()
		for range 10 {
			if got := n.name(7); got != "7" {
				t.Errorf("user 7 is %q", got)
			}
		}
		if took := time.Since(begin); took != lookUpWithin {
			t.Errorf("waited %v", took)
		}
		close(answer)
		synctest.Wait()
		if got := n.name(7); got != "ann" || asked != 1 {
			t.Errorf("user 7 is %q after %d questions", got, asked)
		}
	})
}
