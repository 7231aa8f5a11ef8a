package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/schemas"
)

// A Layout says how topics are made where they are missing.
type Layout struct {
	Partitions  int32 `koanf:"partitions" doc:"partitions of the topics that are spread by node; topics that exist keep theirs"`
	Replication int16 `koanf:"replication" doc:"copies of each topic that is made; -1 = the broker's default"`
}

// DefaultLayout spreads nodes over eight processors at most and leaves the
// number of copies to the brokers.
func DefaultLayout() Layout { return Layout{Partitions: 8, Replication: -1} }

// maxPartitions is far above what 80,000 samples a second need and far below
// what brokers suffer from.
const maxPartitions = 4096

// Validate gives the reason why l cannot be.
func (l Layout) Validate() error {
	if l.Partitions < 1 || l.Partitions > maxPartitions {
		return fmt.Errorf("partitions: %d is not from 1 to %d: it bounds how many processors share the work", l.Partitions, maxPartitions)
	}
	if l.Replication < 1 && l.Replication != -1 {
		return fmt.Errorf("replication: %d is neither a number of copies nor -1 for the broker's default", l.Replication)
	}
	return nil
}

// A rule says what a topic's setting must be.
type rule struct {
	setting string
	want    string
	atLeast bool // a greater number, or -1, is fine too
}

// rules lists a stream's settings, each for a reason that losing it would show.
func rules(s schemas.Stream) []rule {
	retention := int64(-1)
	if s.Retention > 0 {
		retention = s.Retention.Milliseconds()
	}
	return []rule{
		// Event time is in the rows; record time is the broker's, and the
		// ledger's horizon depends on it.
		{"message.timestamp.type", "LogAppendTime", false},
		// Compaction would drop events that the ledger is a function of.
		{"cleanup.policy", "delete", false},
		// What is gone cannot be restated.
		{"retention.ms", strconv.FormatInt(retention, 10), true},
		{"retention.bytes", "-1", true},
		{"max.message.bytes", strconv.Itoa(MaxRecordBytes), true},
	}
}

func (r rule) holds(have string) bool {
	if have == r.want || !r.atLeast {
		return have == r.want
	}
	want, err1 := strconv.ParseInt(r.want, 10, 64)
	got, err2 := strconv.ParseInt(have, 10, 64)
	return err1 == nil && err2 == nil && (got == -1 || want != -1 && got >= want)
}

// Ensure makes the topics of all streams that are missing and checks those that
// are there. It returns how many partitions the partitioned streams have: what
// exists wins over l, since keys would move. A topic that differs is an error
// that names the topic, the setting, what it is, what it must be, and the
// command that mends it.
func Ensure(ctx context.Context, client *kgo.Client, l Layout) (partitions int32, err error) {
	return ensure(ctx, client, l, schemas.Streams())
}

// Prepare is Ensure for the topics that a component uses, and makes sure that it
// may use them: an error names each right that is missing.
func Prepare(ctx context.Context, client *kgo.Client, l Layout, u Use) (partitions int32, err error) {
	complete, err := u.check(ctx, client)
	if err != nil {
		return 0, err
	}
	if partitions, err = ensure(ctx, client, l, u.streams()); err != nil || complete {
		return partitions, err
	}
	_, err = u.check(ctx, client) // brokers tell the rights on topics that exist
	return partitions, err
}

func ensure(ctx context.Context, client *kgo.Client, l Layout, streams []schemas.Stream) (partitions int32, err error) {
	if err := l.Validate(); err != nil {
		return 0, err
	}
	adm := kadm.NewClient(client)
	there, err := list(ctx, adm, streams)
	if err != nil {
		return 0, err
	}
	if partitions, err = checkPartitions(there, streams, l.Partitions); err != nil {
		return 0, err
	}
	if err := createMissing(ctx, adm, there, streams, partitions, l.Replication); err != nil {
		return 0, err
	}
	if len(there) < len(streams) {
		// Another process may have made some of them meanwhile: judge what it made.
		if there, err = listAll(ctx, client, streams); err != nil {
			return 0, err
		}
		if partitions, err = checkPartitions(there, streams, partitions); err != nil {
			return 0, err
		}
	}
	return partitions, untilKnown(ctx, func() error { return checkSettings(ctx, adm, there, streams) })
}

// A new topic is known to all brokers after some milliseconds.
const (
	spreadsWithin = 30 * time.Second
	askAgainAfter = 50 * time.Millisecond
)

// listAll lists the topics once the brokers know all of them.
func listAll(ctx context.Context, client *kgo.Client, streams []schemas.Stream) (map[string]int32, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, spreadsWithin, fmt.Errorf("brokers do not list all topics %v after they were made: are some being deleted?", spreadsWithin))
	defer cancel()
	for {
		there, err := listOn(ctx, client, streams)
		if err != nil {
			return nil, err
		}
		known, err := everywhere(ctx, client, streams)
		if err != nil || known && len(there) == len(streams) {
			return there, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(askAgainAfter):
		}
	}
}

// topics are the names of those of streams.
func topics(streams []schemas.Stream) (names []string) {
	for _, s := range streams {
		names = append(names, s.Topic())
	}
	return names
}

// list gives the partitions of the topics of streams that exist.
func list(ctx context.Context, adm *kadm.Client, streams []schemas.Stream) (map[string]int32, error) {
	details, err := adm.ListTopics(ctx, topics(streams)...)
	if denied(err) {
		return nil, lacks("Describe on topics "+schemas.Prefix+"*", err)
	}
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	there := map[string]int32{}
	for _, t := range details {
		switch {
		case t.Err == nil:
			there[t.Topic] = int32(len(t.Partitions))
		case denied(t.Err):
			return nil, lacks("Describe on topic "+t.Topic, t.Err)
		case !errors.Is(t.Err, kerr.UnknownTopicOrPartition):
			return nil, fmt.Errorf("list topic %s: %w", t.Topic, t.Err)
		}
	}
	return there, nil
}

// listOn is list without the client's cache, which is seconds old, by a client or by
// one broker.
func listOn(ctx context.Context, asked kmsg.Requestor, streams []schemas.Stream) (map[string]int32, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, name := range topics(streams) {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, asked)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	there := map[string]int32{}
	for i := range resp.Topics {
		t := &resp.Topics[i]
		switch err := kerr.ErrorForCode(t.ErrorCode); {
		case t.Topic == nil || errors.Is(err, kerr.UnknownTopicOrPartition):
		case errors.Is(err, kerr.LeaderNotAvailable): // it is being made
		case err != nil:
			return nil, fmt.Errorf("list topic %s: %w", *t.Topic, err)
		default:
			there[*t.Topic] = int32(len(t.Partitions))
		}
	}
	return there, nil
}

// checkPartitions finds the number that the partitioned topics share, wanted
// where none is there.
func checkPartitions(there map[string]int32, streams []schemas.Stream, wanted int32) (int32, error) {
	count, first := wanted, ""
	for _, s := range streams {
		have, ok := there[s.Topic()]
		switch {
		case !ok:
		case !s.Partitioned && have != 1:
			return 0, differs(s.Topic(), "partitions", strconv.Itoa(int(have)), "1 (one offset says what was read)", recreate(s.Topic(), 1))
		case !s.Partitioned:
		case first == "":
			count, first = have, s.Topic()
		case have != count:
			return 0, differs(s.Topic(), "partitions", strconv.Itoa(int(have)),
				fmt.Sprintf("%d as %s has (a node must be in one partition of each)", count, first), recreate(s.Topic(), count))
		}
	}
	return count, nil
}

func createMissing(ctx context.Context, adm *kadm.Client, there map[string]int32, streams []schemas.Stream, partitions int32, replication int16) error {
	for _, s := range streams {
		if _, ok := there[s.Topic()]; ok {
			continue
		}
		configs := map[string]*string{}
		for _, r := range rules(s) {
			configs[r.setting] = &r.want
		}
		n := int32(1)
		if s.Partitioned {
			n = partitions
		}
		_, err := adm.CreateTopic(ctx, n, replication, configs, s.Topic())
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) { // then another process was faster
			return fmt.Errorf("create topic %s: %w: let this principal create topics (the right Create on topic %s), or create it with %s", s.Topic(), err, s.Topic(), creation(s, n))
		}
	}
	return nil
}

func checkSettings(ctx context.Context, adm *kadm.Client, there map[string]int32, streams []schemas.Stream) error {
	states, err := settings(ctx, adm, there, streams)
	for _, s := range states {
		if s.Differs != nil {
			return s.Differs
		}
	}
	return err
}

// A State is what the brokers have of a stream's topic.
type State struct {
	Stream     schemas.Stream
	Partitions int32 // 0 = the topic is missing
	Differs    error // a setting that is not as it must be, and the command that mends it
}

// Survey compares the topics that are there with those that must be, and changes
// nothing.
func Survey(ctx context.Context, client *kgo.Client) ([]State, error) {
	adm := kadm.NewClient(client)
	there, err := list(ctx, adm, schemas.Streams())
	if err != nil {
		return nil, err
	}
	return settings(ctx, adm, there, schemas.Streams())
}

// settings judges the topics of streams that are there.
func settings(ctx context.Context, adm *kadm.Client, there map[string]int32, streams []schemas.Stream) (states []State, err error) {
	var all kadm.ResourceConfigs
	if len(there) > 0 { // none would be all
		all, err = adm.DescribeTopicConfigs(ctx, slices.Collect(maps.Keys(there))...)
	}
	if denied(err) {
		return nil, lacks("DescribeConfigs on topics "+schemas.Prefix+"*", err)
	}
	if err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	for _, s := range streams {
		state := State{Stream: s, Partitions: there[s.Topic()]}
		if state.Partitions > 0 {
			have, err := all.On(s.Topic(), nil)
			if err = errors.Join(err, have.Err); denied(err) {
				return nil, lacks("DescribeConfigs on topic "+s.Topic(), err)
			}
			if err != nil {
				return nil, fmt.Errorf("describe topic %s: %w", s.Topic(), err)
			}
			state.Differs = checkTopic(s, have.Configs)
		}
		states = append(states, state)
	}
	return states, nil
}

func checkTopic(s schemas.Stream, have []kadm.Config) error {
	values := map[string]string{}
	for _, c := range have {
		values[c.Key] = c.MaybeValue()
	}
	for _, r := range rules(s) {
		if got, told := values[r.setting]; told && !r.holds(got) {
			want := r.want
			if r.atLeast {
				want = "at least " + want
				if r.want == "-1" {
					want = "-1 (no limit)"
				}
			}
			return differs(s.Topic(), r.setting, got, want,
				fmt.Sprintf("kafka-configs.sh --bootstrap-server BROKER --alter --entity-type topics --entity-name %s --add-config %s=%s", s.Topic(), r.setting, r.want))
		}
	}
	return nil
}

func differs(topic, setting, have, want, command string) error {
	return fmt.Errorf("topic %s: %s is %s, must be %s; mend it with: %s", topic, setting, have, want, command)
}

// recreate is the command for what cannot be changed in place.
func recreate(topic string, partitions int32) string {
	return fmt.Sprintf("kafka-topics.sh --bootstrap-server BROKER --delete --topic %s (its records are lost), then start again to have it made with %d", topic, partitions)
}

func creation(s schemas.Stream, partitions int32) string {
	var b strings.Builder
	fmt.Fprintf(&b, "kafka-topics.sh --bootstrap-server BROKER --create --topic %s --partitions %d", s.Topic(), partitions)
	for _, r := range rules(s) {
		fmt.Fprintf(&b, " --config %s=%s", r.setting, r.want)
	}
	return b.String()
}
