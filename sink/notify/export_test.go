package notify

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// RunDying is Run of a process in a hurry that dies where die gives an error.
func RunDying(ctx context.Context, cfg Config, env Env, die func(step string) error) error {
	r, err := newRunner(cfg, env)
	if err != nil {
		return err
	}
	r.pace = pace{passing: 5 * time.Millisecond, blocking: 20 * time.Millisecond, longest: 50 * time.Millisecond}
	r.options = append(r.options, kgo.HeartbeatInterval(50*time.Millisecond), kgo.MetadataMinAge(10*time.Millisecond))
	if die != nil {
		r.crash = die
	}
	return r.run(ctx)
}

// Steps at which a process may die.
func Steps() []string { return []string{stepPlanned, stepRecorded, stepSent, stepPosted} }
