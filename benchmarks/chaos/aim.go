package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/processor/member"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

const (
	// transactionPatience is longer than a successor waits for its partitions.
	transactionPatience = 20 * time.Second
	// lookWithin is how long it is frozen at most: Kafka may go away meanwhile.
	lookWithin = 2 * time.Second
	// outage is how long Kafka may need to come back on a busy machine.
	outage = time.Minute
)

// errAimed ends a look that has seen enough.
var errAimed = errors.New("there is one")

// killInTransaction kills a processor while its transaction is open and has cells in
// it that are not early: those would stay in the history of whoever reads what is
// not committed. It is frozen for the look: it could commit between a look and the
// kill.
func (p *pipeline) killInTransaction(ctx context.Context, instance string) (note string, err error) {
	s := p.stages[instance]
	_, err = awaitFor(ctx, outage, func(ctx context.Context) (bool, error) {
		_, err := p.admin.ListTransactions(ctx, nil, nil)
		return err == nil, nil
	})
	if err != nil {
		return "", err
	}
	killed, err := awaitFor(ctx, transactionPatience, func(ctx context.Context) (bool, error) {
		ctx, done := context.WithTimeout(ctx, lookWithin)
		defer done()
		if _, open := p.transaction(ctx, instance); !open {
			return false, nil
		}
		if err := s.freeze(); err != nil {
			return false, err
		}
		if producer, open := p.transaction(ctx, instance); !open || !p.holds(ctx, producer) {
			return false, s.thaw()
		}
		return true, s.kill()
	})
	if killed || err != nil {
		return "", err
	}
	return "no transaction with cells was open", s.kill()
}

// transaction is the producer of the transaction that Kafka lists as open of a
// processor. A Kafka that is away has none.
func (p *pipeline) transaction(ctx context.Context, instance string) (producer int64, open bool) {
	listed, err := p.admin.ListTransactions(ctx, nil, []string{"Ongoing"})
	t, open := listed[processor.DefaultConfig().Group+"-"+instance]
	return t.ProducerID, err == nil && open
}

// holds reports whether what a producer has not committed has a cell that is not
// early.
func (p *pipeline) holds(ctx context.Context, producer int64) bool {
	const topic = schemas.Prefix + schemas.StreamCost
	stable, err1 := p.admin.ListCommittedOffsets(ctx, topic)
	last, err2 := p.admin.ListEndOffsets(ctx, topic)
	opts, err3 := broker.Config{Brokers: p.cluster.Direct()}.Options("gpumeter-chaos-aim")
	if errors.Join(err1, err2, err3) != nil {
		return false
	}
	open := map[int32]member.Span{}
	last.Each(func(end kadm.ListedOffset) {
		from, _ := stable.Lookup(topic, end.Partition)
		open[end.Partition] = member.Span{From: from.Offset, To: end.Offset}
	})
	var decoder wire.CostDecoder
	defer decoder.Close()
	var costs schemas.Costs
	err := member.Read(ctx, append(opts, kgo.FetchIsolationLevel(kgo.ReadUncommitted())), topic, open, func(rec *kgo.Record) error {
		if rec.ProducerID != producer {
			return nil
		}
		if err := decoder.Decode(&costs, rec); err != nil {
			return err
		}
		if slices.ContainsFunc(costs.Finality, func(f uint8) bool { return f != schemas.FinalityEarly }) {
			return errAimed
		}
		return nil
	})
	return errors.Is(err, errAimed)
}
