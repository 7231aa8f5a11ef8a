package sink

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
)

// gaps are losses of which no letter is stored yet: they are found when the group
// gives partitions, by another goroutine than the one that fills batches.
type gaps struct {
	mu    sync.Mutex
	found []*loss
}

func (g *gaps) add(l *loss) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.found = append(g.found, l)
}

// take hands over what was found since it was last asked.
func (g *gaps) take() []*loss {
	g.mu.Lock()
	defer g.mu.Unlock()
	found := g.found
	g.found = nil
	return found
}

// letter tells of a loss where everything else that is missing is told of. A loss
// that is found again has the same place, and is one letter.
func (l *loss) letter() schemas.DeadLetter {
	return schemas.DeadLetter{
		Stream: strings.TrimPrefix(l.topic, schemas.Prefix),
		Place:  fmt.Sprintf("topic %s partition %d offset %d", l.topic, l.partition, l.committed),
		Reason: schemas.ReasonGap, Detail: l.Error(), Count: max(l.records, 1),
	}
}

// tellGaps puts letters of losses into the batch.
func (s *sink) tellGaps() {
	for _, l := range s.found.take() {
		s.begin()
		s.batch.tell(l.letter(), time.Now().UnixMilli())
	}
}
