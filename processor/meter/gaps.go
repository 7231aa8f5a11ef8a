package meter

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/gpumeter/gpumeter/schemas/gap"
)

// What follows from a gap, by topic.
const (
	lostSamples   = "the time of the GPUs whose samples these were is unknown in the ledger, unless their collectors send it again"
	lostReference = "what these events said is not in the ledger; publish them again"
	lostProcesses = "no fact depends on them"
)

// placeAll compares what is committed with the logs as they are, makes the
// engines, and says from where the samples of each partition are read again.
//
// Records that expired unread are gone whatever we do: we go on where the log
// begins, and tell. A topic that was recreated, or lost its tail, is an error: its
// offsets mean nothing in the new one, and what the ledger was made of may still
// be somewhere.
func (s *shell) placeAll(ctx context.Context, committed kadm.OffsetResponses, fresh []*partition) (from map[int32]int64, err error) {
	topics := []string{samplesTopic(), processesTopic()}
	for i := range refCount {
		topics = append(topics, refTopic(i))
	}
	logs, err := gap.Look(ctx, s.adm, topics...)
	if err != nil {
		return nil, err
	}
	from = make(map[int32]int64, len(fresh))
	for _, p := range fresh {
		processes, _ := committed.Lookup(processesTopic(), p.number)
		known := parseMark(processes.Metadata)
		if p.committed.known {
			known = p.at.Topics[0]
		}
		if err := s.checkPlace(p, known, logs); err != nil {
			return nil, err
		}
		samples := logs[samplesTopic()][p.number]
		if err := s.begin(p, samples); err != nil {
			return nil, err
		}
		s.findGaps(p, logs, committed)
		p.processes = logs[processesTopic()][p.number].Start
		if p.marked = parseMark(processes.Metadata) != 0; p.marked {
			p.processes = max(p.processes, processes.At)
		}
		p.next = max(p.next, samples.Start)
		from[p.number] = samples.Start
		p.at.Topics = topicsOf(p.number, logs)
	}
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

// checkPlace refuses offsets of other topics than those that are there: going on
// would lose or double money silently.
func (s *shell) checkPlace(p *partition, samples uint32, logs gap.Logs) error {
	if err := s.checkLog(samplesTopic(), p.number, logs[samplesTopic()][p.number], p.next, samples); err != nil {
		return err
	}
	for i, next := range p.at.Refs {
		if err := s.checkLog(refTopic(i), 0, logs[refTopic(i)][0], next, p.at.Topics[1+i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *shell) checkLog(topic string, partition int32, log gap.Log, read int64, known uint32) error {
	const mend = "to start the ledger anew from what the topics hold, stop all processors and delete the group: kafka-consumer-groups.sh --bootstrap-server BROKER --delete --group "
	switch {
	case log.Recreated(known):
		return fmt.Errorf("%s is not the topic of which group %s has read partition %d: it was recreated; %s", topic, s.cfg.Group, partition, mend+s.cfg.Group)
	case log.Lost(read):
		return fmt.Errorf("%s partition %d ends at offset %d, but group %s has committed %d: the topic was recreated or lost its tail; %s",
			topic, partition, log.End, s.cfg.Group, read, mend+s.cfg.Group)
	}
	return nil
}

// findGaps notes what expired unread. Ticks do no harm: the newest says it all.
func (s *shell) findGaps(p *partition, logs gap.Logs, committed kadm.OffsetResponses) {
	if p.committed.offset < 0 {
		return // nothing was committed: what is there is all
	}
	after := p.committed.position.Horizon
	if log := logs[samplesTopic()][p.number]; log.Expired(p.next) {
		s.tell(p, gap.Gap{Topic: samplesTopic(), Partition: p.number, From: p.next, To: log.Start, After: after, Before: log.First, Meaning: lostSamples})
	}
	for i := range refTicks {
		if log := logs[refTopic(i)][0]; p.committed.known && log.Expired(p.at.Refs[i]) {
			s.tell(p, gap.Gap{Topic: refTopic(i), From: p.at.Refs[i], To: log.Start, After: after, Before: log.First, Meaning: lostReference})
		}
	}
	read, ok := committed.Lookup(processesTopic(), p.number)
	log := logs[processesTopic()][p.number]
	if ok && (log.Expired(read.At) || log.Lost(read.At)) {
		s.tell(p, gap.Gap{
			Topic: processesTopic(), Partition: p.number, From: read.At, To: log.Start, After: after, Before: log.First,
			Recreated: log.Lost(read.At), Meaning: lostProcesses,
		})
	}
}

// tell logs a gap and keeps its letter for the next transaction of p.
func (s *shell) tell(p *partition, g gap.Gap) {
	g.Group = s.cfg.Group
	l := g.Letter()
	s.cfg.Log.Error("records went before they were read", "topic", g.Topic, "partition", g.Partition, "from", g.From, "to", g.To, "detail", l.Detail)
	p.gaps = append(p.gaps, l)
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
