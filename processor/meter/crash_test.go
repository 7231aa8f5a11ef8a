package meter

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/schemas"
)

// onWrite lets do decide on the n-th request by which an instance changes the
// broker: records in a transaction, offsets in a transaction, its end.
func (c *cluster) onWrite(instance string, do func(n int64, req kmsg.Request) (kmsg.Response, error, bool)) {
	id := defaultGroup + "-" + instance
	var n atomic.Int64
	for _, key := range []kmsg.Key{kmsg.Produce, kmsg.TxnOffsetCommit, kmsg.EndTxn} {
		c.fake.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
			c.fake.KeepControl()
			if by := transactionOf(req); by == nil || *by != id {
				return nil, nil, false
			}
			return do(n.Add(1), req)
		})
	}
}

func transactionOf(req kmsg.Request) *string {
	switch req := req.(type) {
	case *kmsg.ProduceRequest:
		return req.TransactionID
	case *kmsg.TxnOffsetCommitRequest:
		return &req.TransactionalID
	case *kmsg.EndTxnRequest:
		return &req.TransactionalID
	}
	return nil
}

// A member dies at its k-th write, for each k: before the broker has seen the
// write, or after it, when only the answer is lost. Another member takes over.
func TestCrashAtEveryWrite(t *testing.T) {
	const last = 9 // three chapters with a tick each take three writes each at least
	for k := int64(1); k <= last; k++ {
		for _, seen := range []bool{false, true} {
			t.Run(fmt.Sprintf("write=%d/seen=%t", k, seen), func(t *testing.T) {
				t.Parallel()
				crashAt(t, k, seen)
			})
		}
	}
}

func crashAt(t *testing.T, k int64, seen bool) {
	c, s := newCluster(t), newStory(uint64(k), 3)
	var wire cable
	crashed := make(chan struct{})
	c.onWrite("victim", func(n int64, _ kmsg.Request) (kmsg.Response, error, bool) {
		if n == k {
			wire.pull()
			close(crashed)
		}
		return nil, errCut, n > k || n == k && !seen
	})
	victim := start(t, c.config("victim", wire.options()...))
	for i := range s.chapters {
		c.publish(&s.chapters[i])
		tick := rows(c, schemas.Tick{Horizon: s.horizon - int64(len(s.chapters)-i)*60_000})
		await(t, "the victim to go on or die", func() bool {
			return isClosed(crashed) || c.applied(tick)
		})
	}
	if !isClosed(crashed) {
		t.Fatalf("the victim never came to write %d", k)
	}
	victim.cancel() // its client gives up; the broker hears nothing of it
	start(t, c.config("heir"))
	c.finish(s.horizon)
	c.check(s)
}

func isClosed(ch chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// Members die one after the other while the others go on.
func TestCrashesWhileOthersGoOn(t *testing.T) {
	c, s := newCluster(t), newStory(20, 6)
	start(t, c.config("steady"))
	for i := range s.chapters {
		var wire cable
		m := start(t, c.config(fmt.Sprintf("victim-%d", i), wire.options()...))
		c.publish(&s.chapters[i])
		rows(c, schemas.Tick{Horizon: s.horizon - int64(len(s.chapters)-i)*60_000})
		await(t, "the victim to own some", func() bool { return len(m.Progress()) > 0 })
		wire.pull()
		m.cancel()
	}
	c.finish(s.horizon)
	c.check(s)
}

// The broker refuses a commit: the transaction is aborted, the engines are made
// anew, and the same comes out.
func TestAbort(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.TxnOffsetCommit, kmsg.EndTxn} {
		t.Run(key.Name(), func(t *testing.T) {
			c, s := newCluster(t), newStory(21, 3)
			refusals := 0
			c.onWrite("a", func(n int64, req kmsg.Request) (kmsg.Response, error, bool) {
				commit, ok := req.(*kmsg.TxnOffsetCommitRequest)
				if key == kmsg.TxnOffsetCommit && ok && n > 3 && refusals < 3 {
					refusals++
					return refuse(commit), nil, true
				}
				end, ok := req.(*kmsg.EndTxnRequest)
				if key == kmsg.EndTxn && ok && end.Commit && n > 3 && refusals < 3 {
					refusals++
					resp := end.ResponseKind().(*kmsg.EndTxnResponse)
					resp.ErrorCode = kerr.TransactionAbortable.Code
					return resp, nil, true
				}
				return nil, nil, false
			})
			m := start(t, c.config("a"))
			for i := range s.chapters {
				c.publish(&s.chapters[i])
				c.finish(s.horizon - int64(len(s.chapters)-1-i)*60_000)
			}
			c.check(s)
			if n := m.Summary().Aborts; n != 3 {
				t.Errorf("%d aborts", n)
			}
		})
	}
}

func refuse(req *kmsg.TxnOffsetCommitRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	for _, rt := range req.Topics {
		t := kmsg.NewTxnOffsetCommitResponseTopic()
		t.Topic, t.TopicID = rt.Topic, rt.TopicID
		for _, rp := range rt.Partitions {
			p := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = rp.Partition, kerr.IllegalGeneration.Code
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// Two processes of one name: the later one ends the earlier, which says so.
func TestFenced(t *testing.T) {
	c, s := newCluster(t), newStory(22, 2)
	a := start(t, c.config("twin"))
	c.publish(&s.chapters[0])
	c.finish(s.horizon - 60_000)
	start(t, c.config("twin"))
	await(t, "the earlier twin to end", func() bool {
		c.publish(&s.chapters[1]) // work for both; the same events again change nothing
		select {
		case err := <-a.done:
			a.done <- err
			return true
		default:
			return false
		}
	})
	if err := a.end(); err == nil {
		t.Error("the earlier twin ended without error")
	}
	c.finish(s.horizon)
	c.check(s)
}

// The broker is gone when the meter is told to stop.
func TestStopWithoutBroker(t *testing.T) {
	c, s := newCluster(t), newStory(23, 1)
	var wire cable
	m := start(t, c.config("a", wire.dialer()))
	c.publish(&s.chapters[0])
	c.finish(s.horizon)
	wire.pull()
	m.stop()
}

// The broker is away for longer than the client's patience, and comes back.
func TestBrokerAway(t *testing.T) {
	c, s := newCluster(t), newStory(24, 2)
	var wire cable
	m := start(t, c.config("a", wire.dialer(), kgo.SessionTimeout(time.Second)))
	c.publish(&s.chapters[0])
	c.finish(s.horizon - 60_000)
	wire.pull()
	c.publish(&s.chapters[1])
	await(t, "the group to forget it", func() bool {
		groups, err := c.adm.DescribeGroups(t.Context(), defaultGroup)
		return err == nil && len(groups[defaultGroup].Members) == 0
	})
	wire.mend()
	c.finish(s.horizon)
	c.check(s)
	m.stop()
}
