package failover

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/deploy/kafka"
	"github.com/gpumeter/gpumeter/deploy/kafka/kafkatest"
	"github.com/gpumeter/gpumeter/processor/detect"
)

// A freeze is where a processor stops for a while, and for how long.
type freeze struct {
	at   doom // none = between two commits
	long bool // until the brokers have ended its transaction; else until its partitions are another's
}

func freezes() (all []freeze) {
	dooms := []doom{
		{Stage: "meter", Request: kmsg.EndTxn, Moment: before},
		{Stage: "detect", Request: kmsg.TxnOffsetCommit, Moment: before},
	}
	if kafkatest.Full() {
		dooms = append(dooms,
			doom{Stage: "meter", Request: kmsg.Produce, Moment: sent}, doom{Stage: "meter", Request: kmsg.TxnOffsetCommit, Moment: before},
			doom{Stage: "meter", Request: kmsg.EndTxn, Moment: sent}, doom{Stage: "detect", Request: kmsg.EndTxn, Moment: before})
	}
	for _, d := range dooms {
		d.Nth, d.Freeze = 1, true
		all = append(all, freeze{d, false}, freeze{d, true})
	}
	return append(all, freeze{doom{}, false}, freeze{doom{}, true})
}

// A processor that stands still in the middle of a commit, while another takes its
// partitions over, is harmless when it goes on: what it still writes is refused, or
// was waited for. It joins again by itself.
func TestZombie(t *testing.T) {
	t.Parallel()
	b := newBench(t, kafka.Options{})
	all := freezes()
	s := newStory(t, 32, 8, 5*len(all)+3)
	next := b.start("zombie-0", all[0].at)
	chapter := 0
	b.settled(b.tell(s, chapter))
	for i, f := range all {
		zombie := next
		chapter = b.stopped(zombie, f.at, s, chapter)
		after := doom{}
		if i+1 < len(all) {
			after = all[i+1].at
		}
		next = b.start(fmt.Sprintf("zombie-%d", i+1), after)
		if f.long {
			chapter++
			b.settled(b.tell(s, chapter))
		} else {
			await(t, "the groups to forget the zombie", func() bool { return !b.member(zombie) && b.member(next) })
		}
		zombie.signal(syscall.SIGCONT)
		await(t, "the zombie to end or to join again", func() bool { return zombie.ended() || b.member(zombie) })
		if zombie.ended() {
			t.Fatalf("%+v: ended: %v", f, zombie.err)
		}
		chapter++
		b.settled(b.tell(s, chapter))
		zombie.stop()
		b.check(s, chapter)
	}
	await(t, "the detectors", b.detected)
	next.stop()
	recoveries, aborts := b.recoveries()
	t.Logf("%d freezes; %d chapters: %+v, %d recoveries, %d aborts", len(all), chapter+1, b.check(s, chapter), recoveries, aborts)
}

// stopped waits until the worker stands still, and gives the last chapter told.
func (b *bench) stopped(zombie *worker, at doom, s *story, chapter int) int {
	b.t.Helper()
	if at.Stage == "" {
		await(b.t, "the detectors", b.detected)
		zombie.signal(syscall.SIGSTOP)
	} else {
		zombie.arm()
	}
	for limit := chapter + 3; !zombie.frozen(); {
		if chapter++; chapter > limit {
			b.t.Fatalf("%+v: it never came to it", at)
		}
		tick := b.tell(s, chapter)
		await(b.t, "the worker to go on or freeze", func() bool { return zombie.frozen() || b.applied(tick) && b.detected() })
	}
	return chapter
}

// member reports whether a worker is a member of both groups.
func (b *bench) member(w *worker) bool {
	b.t.Helper()
	groups, err := b.adm.DescribeGroups(b.t.Context(), "gpumeter-processor", detect.DefaultGroup)
	if err != nil {
		return false
	}
	in := 0
	for _, g := range groups {
		for _, m := range g.Members {
			if m.ClientID == "worker-"+w.name {
				in++
			}
		}
	}
	return in == 2
}
