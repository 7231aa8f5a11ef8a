package detect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/schemas"
)

// A cable is a network connection that can be cut: what a kill -9 looks like to
// the broker.
type cable struct {
	mu    sync.Mutex
	conns []net.Conn
	cut   bool
}

var errCut = errors.New("the cable is cut")

// options make a client use the cable. When it is cut, the group soon forgets the
// member, and the broker ends the transaction that it leaves open.
func (c *cable) options() []kgo.Opt {
	return []kgo.Opt{
		kgo.SessionTimeout(time.Second), kgo.HeartbeatInterval(50 * time.Millisecond), kgo.TransactionTimeout(1500 * time.Millisecond),
		kgo.Dialer(func(ctx context.Context, network, host string) (net.Conn, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.cut {
				return nil, errCut
			}
			conn, err := new(net.Dialer).DialContext(ctx, network, host)
			if err == nil {
				c.conns = append(c.conns, conn)
			}
			return conn, err
		}),
	}
}

func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	for _, conn := range c.conns {
		_ = conn.Close() // it may be closed
	}
}

// onWrite lets do decide on the n-th request by which an instance changes the
// broker: records in a transaction, offsets in a transaction, its end.
func (c *cluster) onWrite(instance string, do func(n int64, req kmsg.Request) (kmsg.Response, error, bool)) {
	id := DefaultGroup + "-" + instance
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

// launch runs a finder without waiting for its end: one that is cut off has no good
// one.
func (c *cluster) launch(instance string, more ...kgo.Opt) (give func()) {
	c.t.Helper()
	f, err := New(Config{
		Client: append(append([]kgo.Opt{}, c.opts...), more...), Topics: layout(), Instance: instance, Idle: rule(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	f.stopWithin = time.Second
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = f.Run(ctx) // what ends it is the cable
	}()
	c.t.Cleanup(func() {
		cancel()
		<-done
	})
	return cancel
}

// A finder dies at its k-th write, for each k: before the broker has seen the write,
// or after it, when only the answer is lost. Another one takes over.
func TestCrashAtEveryWrite(t *testing.T) {
	const last = 9 // of notices and alerts of three partitions, their offsets and ends
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
	const jobs = 11
	c := newCluster(t)
	var line cable
	crashed := make(chan struct{})
	c.onWrite("victim", func(n int64, _ kmsg.Request) (kmsg.Response, error, bool) {
		if n == k {
			line.pull()
			close(crashed)
		}
		return nil, errCut, n > k || n == k && !seen
	})
	give := c.launch("victim", line.options()...)
	second := int64(0)
	for dead := false; !dead; {
		if second++; second > 200 {
			t.Fatalf("the victim never came to write %d", k)
		}
		c.say(second, jobs)
		select {
		case <-crashed:
			dead = true
		case <-time.After(15 * time.Millisecond): // for transactions of their own
		}
	}
	give() // its client gives up; the broker hears nothing of it
	stop := c.start("heir")
	for ; second < 65; second++ {
		c.say(second+1, jobs)
	}
	c.await(jobs, schemas.SeverityAlert)
	stop()
	c.exactlyOnce(jobs)
}

// The broker refuses a commit: the transaction is aborted, the detectors are made
// anew, and the same comes out.
func TestAbort(t *testing.T) {
	const jobs = 11
	c := newCluster(t)
	var refusals atomic.Int64
	c.onWrite("a", func(n int64, req kmsg.Request) (kmsg.Response, error, bool) {
		end, ok := req.(*kmsg.EndTxnRequest)
		if !ok || !end.Commit || n < 2 || refusals.Load() == 3 {
			return nil, nil, false
		}
		refusals.Add(1)
		resp := end.ResponseKind().(*kmsg.EndTxnResponse)
		resp.ErrorCode = kerr.TransactionAbortable.Code
		return resp, nil, true
	})
	stop := c.start("a")
	for s := int64(1); s <= 65; s++ {
		if c.say(s, jobs); s == 12 {
			c.await(jobs, schemas.SeverityNotice) // a transaction of its own
		}
	}
	c.await(jobs, schemas.SeverityAlert)
	stop()
	c.exactlyOnce(jobs)
	if n := refusals.Load(); n != 3 {
		t.Errorf("%d commits were refused", n)
	}
}
