package meter

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/gap"
)

// What follows from a gap, by topic.
const (
	lostSamples   = "the time of the GPUs whose samples these were is unknown in the ledger, unless their collectors send it again"
	lostReference = "what these events said is not in the ledger; publish them again"
	lostProcesses = "no fact depends on them"
	stopped       = "the processors stopped, since going on would make another ledger of the same offsets"
)

// placeAll compares what is committed with the logs as they are, makes the
// engines, and says from where the samples of each partition are read again.
func (s *shell) placeAll(ctx context.Context, committed kadm.OffsetResponses, fresh []*partition) (from map[int32]int64, err error) {
	topics := []string{samplesTopic(), processesTopic()}
	for i := range refCount {
		topics = append(topics, refTopic(i))
	}
	logs, err := gap.Look(ctx, s.adm, topics...)
	if err != nil {
		return nil, err
	}
	for _, p := range fresh {
		for _, place := range s.placesOf(p, committed) {
			if err := s.compare(ctx, p, place, logs[place.Topic][place.Partition]); err != nil {
				return nil, err
			}
		}
	}
	if err := beside(fresh, func(p *partition) error { return s.begin(p, logs[samplesTopic()][p.number]) }); err != nil {
		return nil, err
	}
	from = make(map[int32]int64, len(fresh))
	for _, p := range fresh {
		samples := logs[samplesTopic()][p.number]
		p.next = max(p.next, samples.Start)
		from[p.number] = samples.Start
		p.at.Topics = topicsOf(p.number, logs)
		s.topics = gap.Topics{samplesTopic(): samples.Topic, processesTopic(): logs[processesTopic()][p.number].Topic}
	}
	s.member.Keep(s.topics)
	return from, nil
}

// topicsOf are the fingerprints of the topics as they are.
func topicsOf(n int32, logs gap.Logs) (t Topics) {
	t[0] = logs[samplesTopic()][n].Topic
	for i := range refCount {
		t[1+i] = logs[refTopic(i)][0].Topic
	}
	return t
}

// placesOf is where the group left everything that p is made of.
func (s *shell) placesOf(p *partition, committed kadm.OffsetResponses) []gap.Place {
	places := []gap.Place{s.member.Place(committed, samplesTopic(), p.number), s.member.Place(committed, processesTopic(), p.number)}
	for i, next := range p.at.Refs {
		if p.committed.known {
			places = append(places, gap.Place{Group: s.cfg.Group, Topic: refTopic(i), Next: next, Of: p.at.Topics[1+i]})
		}
	}
	for i := range places {
		places[i].Time = p.committed.position.Horizon
	}
	return places
}

// compare decides what a place and its log as it is mean for p.
//
// Records that expired unread are gone whatever we do: we go on where the log
// begins, and tell. A topic that was recreated, or lost its tail, is an error: going on
// would lose or double money silently, since its offsets mean nothing in the new one,
// and what the ledger was made of may still be somewhere.
func (s *shell) compare(ctx context.Context, p *partition, place gap.Place, log gap.Log) error {
	_, missing := place.Resume(log)
	switch {
	case missing == nil:
	case place.Topic == processesTopic():
		s.tell(p, missing, lostProcesses)
	case missing.Kind != gap.Expired:
		return s.refuse(ctx, missing)
	case place.Topic == samplesTopic():
		s.tell(p, missing, lostSamples)
	case place.Topic != refTopic(refTicks): // the newest tick says it all
		s.tell(p, missing, lostReference)
	}
	return nil
}

// tell logs a gap and keeps its letter for the next transaction of p.
func (s *shell) tell(p *partition, g *gap.Gap, follows string) {
	l := g.Letter(follows)
	s.alarm(g, l)
	p.gaps = append(p.gaps, l)
}

func (s *shell) alarm(g *gap.Gap, l schemas.DeadLetter) {
	s.cfg.Log.Error("records went before they were read", "kind", g.Kind, "topic", g.Topic, "partition", g.Partition, "records", l.Count, "detail", l.Detail)
}

// refuse tells of a gap behind which the group must not go on, at once: nothing will
// be committed that the letter could go with.
func (s *shell) refuse(ctx context.Context, g *gap.Gap) error {
	l := g.Letter(stopped)
	s.alarm(g, l)
	s.stats.told(l)
	err := fmt.Errorf("%s; to start the ledger anew from what the topics hold, stop all processors and delete the group: kafka-consumer-groups.sh --bootstrap-server BROKER --delete --group %s",
		g, s.cfg.Group)
	if failed := gap.Tell(ctx, s.cfg.Client, l); failed != nil {
		return fmt.Errorf("%w (%w)", err, failed)
	}
	return err
}

// reportGaps puts what went unread into the turn's transaction.
func (s *shell) reportGaps() {
	for _, p := range s.parts {
		for _, l := range p.gaps {
			s.out.Report(l)
		}
	}
}

// lostBefore is the instant before which windows cannot be computed again,
// because their samples are not in the log any more: where the log begins, but
// not later than what was final when the gap began, if there is one. 0 = none.
func (s *shell) lostBefore(p *partition, samples gap.Log) int64 {
	if samples.Start == 0 || !p.committed.known || p.committed.position.Horizon == 0 {
		return 0
	}
	window := s.cfg.Engine.Window
	settled := p.committed.position.Horizon - s.cfg.Engine.Grace
	settled -= settled % window
	if samples.First == 0 {
		return settled
	}
	return min(settled, samples.First+window) // others of the first sample's window may be gone
}
