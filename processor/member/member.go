package member

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/gap"
)

// A Config says which group to join and by what name.
type Config struct {
	Client   []kgo.Opt     // how to reach the brokers: broker.Config.Options
	Admin    *kadm.Client  // asks them
	Group    string        // consumer group
	Instance string        // name of this process in the group; a successor of the same name ends what its predecessor left open
	Topics   []string      // what the group reads; a member is told its partitions of the first
	Timeout  time.Duration // after which the brokers abort an open transaction
	// Of reads from the metadata of a committed offset of which topic it is: its
	// fingerprint, 0 = not known.
	Of func(topic, metadata string) uint32
}

// A Member is one session of a group member. Its methods are for one goroutine,
// but for Assigned.
type Member struct {
	cfg      Config
	session  *kgo.GroupTransactSession
	assigned *assigned
	kill     context.CancelFunc // ends all that the client does
	open     bool
	began    time.Time // when the open transaction was opened, or the last one
	refused  *refusal
	kept     gap.Topics
}

const (
	// sessionTimeout is after what time without a heartbeat the group gives the
	// partitions of a dead member to others.
	sessionTimeout = 10 * time.Second
	// rebalanceTimeout is how long the group waits for a member that is alive but
	// busy with one large transaction.
	rebalanceTimeout = 5 * time.Minute
	// leaveWithin is what a stop leaves for saying goodbye to the group. Without
	// goodbye the partitions wait for the session timeout.
	leaveWithin = 4 * time.Second
	// endPatience is how long the end of a transaction may take before rebalances
	// are let in. A group that has forgotten this member can only say so in a
	// callback, and End waits for it.
	endPatience = 3 * time.Second
)

// Join makes the client of a member; it joins while it polls.
func Join(ctx context.Context, cfg Config) (*Member, error) {
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	owned := &assigned{}
	opts := append(owned.options(cfg.Topics[0]), kgo.WithContext(life))
	opts = append(append(opts, broker.ConsumerOptions()...), broker.ProducerOptions()...)
	opts = append(opts,
		kgo.ConsumerGroup(cfg.Group),
		kgo.ConsumeTopics(cfg.Topics...),
		// Range puts equal partition numbers of all topics on one member and
		// spreads each evenly, which a sticky plan over all does not. It is
		// eager: see assigned.
		kgo.Balancers(kgo.RangeBalancer()),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(sessionTimeout/10),
		kgo.RebalanceTimeout(rebalanceTimeout),
		// No rebalance between a poll and the end of its transaction: otherwise
		// every rebalance under load aborts one, and all that was folded is
		// folded anew.
		kgo.BlockRebalanceOnPoll(),
		// Never committed: from the start. Out of range: what is there is read,
		// once it is known what is missing (see adjust); while reading it is an error.
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.AdjustFetchOffsetsFn(cfg.adjust),
		kgo.KeepControlRecords(), // the offset after a marker counts as read
		kgo.TransactionalID(cfg.Group+"-"+cfg.Instance),
		kgo.TransactionTimeout(cfg.Timeout),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), // records say where they go
	)
	session, err := kgo.NewGroupTransactSession(append(opts, cfg.Client...)...)
	if err != nil {
		kill()
		return nil, fmt.Errorf("making the client of group %s: %w", cfg.Group, err)
	}
	return &Member{cfg: cfg, session: session, assigned: owned, kill: kill, refused: &refusal{}}, nil
}

// adjust moves what is committed to where it is read on if that is elsewhere. The
// owner of a partition looks at what was committed, too, and tells of the gap or stops.
func (c Config) adjust(ctx context.Context, given map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	logs, err := gap.Look(ctx, c.Admin, c.Topics...)
	if err != nil {
		return nil, err
	}
	committed, err := c.Admin.FetchOffsets(ctx, c.Group)
	if err != nil {
		return nil, fmt.Errorf("fetching what group %s has committed: %w", c.Group, err)
	}
	for topic, partitions := range given {
		for n, o := range partitions {
			p := c.place(committed, topic, n)
			p.Next = o.EpochOffset().Offset
			if from, missing := p.Resume(logs[topic][n]); missing != nil {
				partitions[n] = kgo.NewOffset().At(from)
			}
		}
	}
	return given, nil
}

// place is where the group left a partition.
func (c Config) place(committed kadm.OffsetResponses, topic string, partition int32) gap.Place {
	p := gap.Place{Group: c.Group, Topic: topic, Partition: partition, Next: -1, Of: gap.Kept(committed)[topic]}
	if o, ok := committed.Lookup(topic, partition); ok && o.At >= 0 {
		p.Next, p.Of = o.At, c.Of(topic, o.Metadata)
	}
	return p
}

// Place is where a group has left a partition of its topics. Of a partition of which
// nothing is committed it knows which topic the group has read before, if it has.
func (m *Member) Place(committed kadm.OffsetResponses, topic string, partition int32) gap.Place {
	return m.cfg.place(committed, topic, partition)
}

// Assigned is what the group has given to this member now. For any goroutine.
func (m *Member) Assigned() Assignment { return m.assigned.get() }

// Poll waits for records, at most n, until ctx ends. From a poll that returns to
// AllowRebalance no partition is taken away.
func (m *Member) Poll(ctx context.Context, n int) kgo.Fetches { return m.session.PollRecords(ctx, n) }

// AllowRebalance ends what Poll began.
func (m *Member) AllowRebalance() { m.session.AllowRebalance() }

// Rewind drops what was polled and not committed: ending an empty transaction sets
// the client back to what is committed, and makes the session forget a revocation
// that would abort the next, full one.
func (m *Member) Rewind(ctx context.Context) error {
	if err := m.begin(); err != nil {
		return err
	}
	m.open = false
	if _, err := m.session.End(ctx, kgo.TryAbort); err != nil {
		return m.judge(fmt.Errorf("rewinding to what is committed: %w", err))
	}
	return nil
}

func (m *Member) begin() error {
	if m.open {
		return nil
	}
	if err := m.session.Begin(); err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	m.open, m.began, m.refused = true, time.Now(), &refusal{}
	return nil
}

// Produce writes rec in the open transaction, and opens one if there is none.
func (m *Member) Produce(ctx context.Context, rec *kgo.Record) error {
	if err := m.begin(); err != nil {
		return err
	}
	m.session.Produce(ctx, rec, m.refused.note)
	return nil
}

// Commit ends the transaction with the offsets that were polled. annotate may set
// their metadata; its error is the commit's. committed is false when the group or
// the brokers wanted it otherwise: then nothing was written, and the client is back
// at what is committed.
func (m *Member) Commit(ctx context.Context, annotate func(*kmsg.TxnOffsetCommitRequest) error) (committed bool, err error) {
	if err := m.begin(); err != nil {
		return false, err
	}
	m.open = false
	failed := m.flush(ctx)
	let := time.AfterFunc(endPatience, m.session.AllowRebalance)
	defer let.Stop()
	committed, err = m.session.End(kgo.PreTxnCommitFnContext(ctx, func(req *kmsg.TxnOffsetCommitRequest) error {
		if err := annotate(req); err != nil {
			return err
		}
		if m.kept != nil {
			AddOffset(req, gap.Keeper, 0, 0, m.kept.String())
		}
		return nil
	}), kgo.TransactionEndTry(failed == nil))
	if err != nil {
		err = fmt.Errorf("ending a transaction: %w", err)
	}
	if err = errors.Join(failed, err); err != nil {
		return false, m.judge(err)
	}
	return committed, nil
}

// Keep says of which topics the group's offsets are from the next commit on. Each commit
// tells it, since brokers forget the offsets of a topic that is deleted (package gap).
func (m *Member) Keep(topics gap.Topics) { m.kept = topics }

// AddOffset adds an offset to those that are about to be committed.
func AddOffset(req *kmsg.TxnOffsetCommitRequest, topic string, partition int32, offset int64, metadata string) {
	rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	rp.Partition, rp.Offset, rp.Metadata = partition, offset, &metadata
	for i := range req.Topics {
		if req.Topics[i].Topic == topic {
			req.Topics[i].Partitions = append(req.Topics[i].Partitions, rp)
			return
		}
	}
	more := kmsg.NewTxnOffsetCommitRequestTopic()
	more.Topic, more.Partitions = topic, append(more.Partitions, rp)
	req.Topics = append(req.Topics, more)
}

// flush waits for the records of the transaction to be acknowledged. It does not
// wait for records longer than ctx, which those that are on the wire would.
func (m *Member) flush(ctx context.Context) error {
	if err := m.session.Client().Flush(ctx); err != nil {
		return fmt.Errorf("writing the records of a transaction: %w", err)
	}
	return m.refused.first()
}

// Leave says goodbye to the group and closes the client, in bounded time. (kgo
// leaves a goroutine behind when it is told to leave before it is closed.)
func (m *Member) Leave() {
	late := time.AfterFunc(leaveWithin, m.kill)
	m.session.CloseAllowingRebalance()
	late.Stop()
	m.kill()
}

// Outlive is a context that ends some time after ctx does: a transaction that is
// canceled in the middle leaves the client in no state at all.
func Outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return work, func() {
		stop()
		cancel()
	}
}
