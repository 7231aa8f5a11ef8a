package meter

import (
	"context"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor/member"
)

// What a fresh engine lacks of the reference topics it is fed from the topics
// themselves, record by record; the reference log goes on from there. So the past
// is in memory only as far as engines keep it.

// A history is the reference events that a fresh engine lacks: from some offsets to
// before others. There are none of ticks, of which only the newest count.
type history struct {
	*partition
	from, to Refs
}

// rereadRefs feeds engines their histories, reading each record once for all of
// them. What is wrong with the records has been said, and their rows have been
// counted.
func (s *shell) rereadRefs(ctx context.Context, all []history) error {
	if len(all) == 0 {
		return nil
	}
	starts, err := refStarts(ctx, s.adm)
	if err != nil {
		return err
	}
	spans := make(map[string]map[int32]member.Span, refTicks)
	for i := range refTicks {
		span := member.Span{From: math.MaxInt64}
		for _, h := range all {
			if h.from[i] < h.to[i] {
				span = member.Span{From: min(span.From, h.from[i]), To: max(span.To, h.to[i])}
			}
		}
		span.From = max(span.From, starts[i])
		spans[refTopic(i)] = map[int32]member.Span{0: span}
	}
	defer s.guard.Rest()
	return member.ReadAll(ctx, s.cfg.Client, spans, func(rec *kgo.Record) error {
		if s.guard.PassesOver(rec) {
			return nil
		}
		s.guard.Reading(rec)
		i := refOf(rec.Topic)
		e, _ := decodeRef(i, rec)
		for _, h := range all {
			if h.from[i] <= rec.Offset && rec.Offset < h.to[i] {
				h.addRows(e.rows)
			}
		}
		return s.room(nil)
	})
}

// room makes what room it can for more input in a recovery.
func (s *shell) room(fresh []*partition) error {
	if !s.memory.short() {
		return nil
	}
	for _, p := range fresh {
		if err := s.catchUp(p, s.rebuildRows); err != nil { // as if it had read enough
			return err
		}
	}
	s.memory.collected = time.Time{}
	if s.memory.short() {
		return errNoRoom
	}
	return nil
}

// follow makes the reference log one that has all that the engines have not been
// given: after a recovery, what came since something was committed.
func (s *shell) follow(ctx context.Context) error {
	if len(s.parts) == 0 {
		s.closeLog()
		return nil
	}
	from := s.refsOfAll()
	if s.log != nil && s.log.has(from) {
		return nil
	}
	s.closeLog()
	starts, err := refStarts(ctx, s.adm)
	if err != nil {
		return err
	}
	s.log, err = openRefLog(s.cfg.plainOptions(), from.most(starts), s.memory.share(32, logRoom), s.reference, s.stats)
	return err
}

func (s *shell) closeLog() {
	if s.log != nil {
		s.log.close()
		s.log = nil
	}
}

// refsOfAll are the offsets below which every engine has been given everything.
func (s *shell) refsOfAll() Refs {
	var all Refs
	first := true
	for _, p := range s.parts {
		if first {
			all, first = p.at.Refs, false
		}
		all = all.least(p.at.Refs)
	}
	return all
}
