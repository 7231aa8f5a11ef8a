package publish

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/collector/spool"
	"github.com/gpumeter/gpumeter/schemas/broker"
)

// A pace keeps the backlog out of the way of what is collected now. It is sent in
// chunks, one at a time, of such a size that the brokers take no longer than
// tooSlow for each, and rests after each as long as it took: so it has half of what
// the brokers can take, and what comes meanwhile waits for one chunk at most.
type pace struct{ bytes int }

const (
	firstChunk = 64 << 10
	leastChunk = 1 << 10 // one record at least, whatever its size
	mostChunk  = 1 << 20
	tooSlow    = 250 * time.Millisecond
	quick      = 100 * time.Millisecond
	lookAgain  = 30 * time.Second
	longRest   = time.Second // an outage in the middle of a chunk needs no rest of its length
)

// took takes note of how long a chunk took and says how long to rest.
func (p *pace) took(d time.Duration) (rest time.Duration) {
	switch {
	case d > tooSlow:
		p.bytes = max(p.bytes/2, leastChunk)
	case d < quick:
		p.bytes = min(p.bytes*2, mostChunk)
	}
	return min(d, longRest)
}

// drain brings what is spooled to the brokers, until life ends. Its client lives
// as long as there is something: most collectors never need it.
func (s *spooled) drain() {
	var client *kgo.Client
	defer func() {
		if client != nil {
			client.Close()
		}
	}()
	pace := pace{firstChunk}
	for s.life.Err() == nil {
		chunk := s.spool.Next(pace.bytes)
		if len(chunk.Records) == 0 {
			if client != nil {
				client.Close()
				client = nil
			}
			s.set(func() {}) // flush may be waiting for just this
			select {
			case <-s.life.Done():
			case <-s.more:
			case <-time.After(lookAgain): // what could not be read a while ago
			}
			continue
		}
		var err error
		if client == nil {
			if client, err = s.Backlog(); err != nil {
				client = nil
			}
		}
		began := time.Now()
		if err == nil {
			err = s.deliver(client, chunk)
		}
		if err != nil && broker.Classify(err) == broker.Retry {
			// The client has given up what it had: see DirectOptions. It is still in the
			// spool. That client would send nothing more before it looked at the topics
			// again, after minutes.
			if client != nil {
				client.Close()
				client = nil
			}
			s.rest(longRest)
			continue
		}
		if err != nil {
			if s.life.Err() == nil {
				_ = s.fail(fmt.Errorf("send what is spooled: %w", err))
				s.set(func() {})
			}
			return
		}
		s.set(func() { s.away = false })
		s.rest(pace.took(time.Since(began)))
	}
}

func (s *spooled) rest(d time.Duration) {
	select {
	case <-s.life.Done():
	case <-time.After(d):
	}
}

// deliver sends a chunk and takes it out of the spool once the brokers have it.
// It returns an error when it stays there.
func (s *spooled) deliver(client *kgo.Client, chunk spool.Chunk) error {
	results := results{}
	for _, r := range chunk.Records {
		p, err := unpack(chunk.Stream, r.Rows, r.Data)
		if err != nil {
			results.add(parcel{&kgo.Record{Topic: chunk.Stream, Value: r.Data}, chunk.Stream, r.Rows}, err)
			continue
		}
		results.wait.Add(1)
		client.Produce(s.life, p.record, func(_ *kgo.Record, err error) {
			results.add(p, err)
			results.wait.Done()
		})
	}
	results.wait.Wait()
	for _, r := range results.all {
		if r.err != nil && !r.refused() {
			return r.err
		}
	}
	for _, r := range results.all {
		if r.err == nil {
			s.counts.acknowledged(r.parcel)
		}
	}
	s.spool.Done(chunk)
	for _, r := range results.all {
		if r.err != nil {
			s.refuse(r.parcel, r.err)
		}
	}
	return nil
}

// results gathers what became of the records of a chunk.
type results struct {
	wait sync.WaitGroup
	mu   sync.Mutex
	all  []result
}

type result struct {
	parcel parcel
	err    error
}

func (r *results) add(p parcel, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, result{p, err})
}

// refused tells that it is no use to try again.
func (r result) refused() bool {
	return errors.Is(r.err, errParcel) || broker.Classify(r.err) == broker.DeadLetter
}
