package owners

import (
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// events is a sink that keeps the allocation events.
type events struct {
	source.Sink
	mu   sync.Mutex
	all  []schemas.Allocation
	more chan struct{} // has an item after every event
}

func newEvents() *events { return &events{more: make(chan struct{}, 1)} }

func (e *events) Allocation(a schemas.Allocation) error {
	e.mu.Lock()
	e.all = append(e.all, a)
	e.mu.Unlock()
	select {
	case e.more <- struct{}{}:
	default:
	}
	return nil
}

// take returns what came since the last call.
func (e *events) take() []schemas.Allocation {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.all
	e.all = nil
	return all
}

// wait returns what comes next.
func (e *events) wait(t *testing.T) []schemas.Allocation {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		if all := e.take(); len(all) > 0 {
			return all
		}
		select {
		case <-e.more:
		case <-late:
			t.Fatal("no event within 10 s")
		}
	}
}
