package owners

import "syscall"

// States of an end. The order is that of weight: of several processes that end
// together the worst counts.
const (
	stateCompleted = "completed"
	stateCancelled = "cancelled"
	stateFailed    = "failed"
)

// together is how far apart, in ms, the processes of one allocation may exit and
// still tell how it ended.
const together = 10_000

// An outcome is how a process ended, as far as it is known: the kernel shows the
// wait status of others' processes between their exit and their parent's wait
// only, and to the privileged only.
type outcome uint8

const (
	completed outcome = iota // or not known to be otherwise
	cancelled
	failed
)

func (o outcome) state() string {
	switch o {
	case failed:
		return stateFailed
	case cancelled:
		return stateCancelled
	default:
		return stateCompleted
	}
}

// outcomeOf reads a wait status. Who is asked to end (Ctrl-C, scancel, a pod's
// deletion) is cancelled; any other signal or a code but 0 is a failure.
func outcomeOf(status int) outcome {
	const mask, coreFlag = 0x7f, 0x80
	switch signal := status &^ coreFlag & mask; syscall.Signal(signal) {
	case 0:
		if status>>8 == 0 {
			return completed
		}
		return failed
	case syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP:
		return cancelled
	default:
		return failed
	}
}
