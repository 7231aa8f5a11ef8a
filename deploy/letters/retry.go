package letters

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/collector/files"
	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/schemas/contract"
	"github.com/gpumeter/gpumeter/schemas/gap"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// An Outcome is what came of retrying one letter.
type Outcome struct {
	Letter Letter `json:"letter"`
	Done   bool   `json:"done"`
	Why    string `json:"why"` // where it was published, or why it was not
}

// Retry publishes again what the chosen letters are about, and marks those of
// which that succeeded. opts reach the brokers. A letter that cannot be retried is
// no error: its outcome says why. Dying between publishing and marking leaves the
// letter open; retrying it once more changes nothing in the ledger.
func Retry(ctx context.Context, conn driver.Conn, opts []kgo.Opt, f Filter) ([]Outcome, error) {
	if !f.narrow() {
		return nil, ErrNothingChosen
	}
	all, err := List(ctx, conn, f)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(broker.ProducerOptions(), opts...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()
	r := retrier{opts: opts, client: client}
	outcomes := []Outcome{}
	for i := range all {
		o := Outcome{Letter: all[i]}
		switch at, err := r.retry(ctx, &all[i]); {
		case ctx.Err() != nil:
			return outcomes, context.Cause(ctx)
		case errors.Is(err, errCannot):
			o.Why = err.Error()
		case err != nil:
			return outcomes, fmt.Errorf("letter %s: %w", all[i].ID, err)
		default:
			o.Done, o.Why = true, at
			if err := mark(ctx, conn, &all[i], clickhouse.LetterRetried, at); err != nil {
				return append(outcomes, o), err
			}
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

// errCannot is wrapped by what says that this letter cannot be retried now.
var errCannot = errors.New("not retried")

type retrier struct {
	opts   []kgo.Opt
	client *kgo.Client
}

// retry publishes what one letter is about and says where.
func (r *retrier) retry(ctx context.Context, l *Letter) (at string, err error) {
	how, remedy := remedyFor(l)
	switch {
	case l.State == clickhouse.LetterRetried:
		return "", fmt.Errorf("%w: it was before: %s", errCannot, l.Note)
	case how == byRecord:
		return r.record(ctx, l)
	case how == byLine:
		return r.line(ctx, l)
	}
	return "", fmt.Errorf("%w: %s", errCannot, remedy)
}

// record publishes the record at the letter's place once more.
func (r *retrier) record(ctx context.Context, l *Letter) (at string, err error) {
	p, _ := parsePlace(l.Place)
	rec, err := r.fetch(ctx, p)
	if err != nil {
		return "", err
	}
	if rec.Timestamp.After(l.At) || !bytes.HasPrefix(rec.Value, l.Payload) {
		return "", fmt.Errorf("%w: what is at %s now is another record: the topic was recreated", errCannot, l.Place)
	}
	if l.Reason == schemas.ReasonCorrupt {
		if err := wire.Check(rec); err != nil {
			return "", fmt.Errorf("%w: this version cannot read it either (%w): upgrade, or drop the letter", errCannot, err)
		}
	}
	sent, err := r.client.ProduceSync(ctx, &kgo.Record{Topic: rec.Topic, Key: rec.Key, Value: rec.Value, Headers: rec.Headers}).First()
	if err != nil {
		return "", fmt.Errorf("publish %s again: %w", l.Place, err)
	}
	return fmt.Sprintf("published again at "+placeFormat, sent.Topic, sent.Partition, sent.Offset), nil
}

// fetch reads one record.
func (r *retrier) fetch(ctx context.Context, p place) (*kgo.Record, error) {
	logs, err := gap.Look(ctx, kadm.NewClient(r.client), p.topic)
	if err != nil {
		return nil, err
	}
	if log := logs[p.topic][p.partition]; p.offset < log.Start || p.offset >= log.End {
		return nil, fmt.Errorf("%w: the topic holds offsets %d to %d of partition %d only: send the event again from its source", errCannot, log.Start, log.End-1, p.partition)
	}
	opts := append(broker.ConsumerOptions(), kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{p.topic: {p.partition: kgo.NewOffset().At(p.offset)}}))
	reads, err := kgo.NewClient(append(opts, r.opts...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	defer reads.Close()
	for {
		fetches := reads.PollRecords(ctx, 1)
		if err := fetches.Err(); err != nil && (ctx.Err() != nil || broker.Classify(err) != broker.Retry) {
			return nil, fmt.Errorf("read "+placeFormat+": %w", p.topic, p.partition, p.offset, err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			rec := it.Next()
			if rec.Offset != p.offset || rec.Attrs.IsControl() {
				return nil, fmt.Errorf("%w: there is no record at offset %d", errCannot, p.offset)
			}
			return rec, nil
		}
	}
}

// line reads the line in the letter as a collector does and publishes its row.
func (r *retrier) line(ctx context.Context, l *Letter) (at string, err error) {
	dir, err := os.MkdirTemp("", "gpumeter-letter-")
	if err != nil {
		return "", fmt.Errorf("a place for the line: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, file := range contract.Files() {
		if file.Stream == l.Stream {
			if err := os.WriteFile(filepath.Join(dir, file.Name), append(l.Payload, '\n'), 0o600); err != nil {
				return "", fmt.Errorf("write the line: %w", err)
			}
		}
	}
	to, err := publish.New(ctx, r.client, publish.DefaultConfig(), noop.Meter{}, time.Now())
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	cfg := files.DefaultConfig()
	cfg.Dir = dir
	read := files.Source{Config: cfg, Ignored: func(string, string) {}}
	if err := read.Run(ctx, strict{to}); err != nil {
		return "", err
	}
	if err := to.Flush(ctx); err != nil {
		return "", err
	}
	if to.Stats().Streams[l.Stream].Acknowledged == 0 {
		return "", fmt.Errorf("%w: there is no row in it", errCannot)
	}
	return "published again to topic " + schemas.Prefix + l.Stream, nil
}

// strict takes rows and no dead letters: there is one already.
type strict struct{ source.Sink }

// DeadLetter says why the line is refused again.
func (strict) DeadLetter(l schemas.DeadLetter) error {
	return fmt.Errorf("%w: this version refuses it, too (%s): upgrade, or mend the file and let a collector read it again, then drop the letter", errCannot, l.Detail)
}
