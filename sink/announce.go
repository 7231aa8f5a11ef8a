package sink

import (
	"context"
	"time"

	"github.com/gpumeter/gpumeter/sink/notify"
	"github.com/gpumeter/gpumeter/sink/slack"
)

// restartPause is between two runs of the notifier.
const restartPause = 5 * time.Second

// An announcer tells of alerts beside the storing. It has a group, clients and a
// goroutine of its own: neither waits for the other, and what ends the notifier
// does not end the sink.
type announcer struct {
	stop func() // waits until it has stopped
}

// announce starts to tell of alerts where somebody is to be told. Only settings
// that cannot work, a secret that cannot be read above all, are an error.
func announce(ctx context.Context, cfg Config, env Env) (*announcer, error) {
	to, closing := env.Notifier, func() {}
	var check func(context.Context) (string, error)
	switch {
	case to != nil:
	case cfg.Slack.Enabled():
		client, err := slack.New(cfg.Slack)
		if err != nil {
			return nil, err
		}
		to, closing, check = client, client.Close, client.Check
	default:
		return &announcer{stop: func() {}}, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer closing()
		if check != nil {
			introduce(ctx, check, env)
		}
		repeat(ctx, cfg, env, to)
	}()
	return &announcer{stop: func() { cancel(); <-done }}, nil
}

// introduce says whom messages come from, or what must be mended until they can.
func introduce(ctx context.Context, check func(context.Context) (string, error), env Env) {
	who, err := check(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		env.Log.Error("Slack does not know us; alerts wait until it does", "error", err)
	default:
		env.Log.Info("announcing alerts in Slack", "as", who)
	}
}

// repeat runs the notifier again when it fails.
func repeat(ctx context.Context, cfg Config, env Env, to notify.Notifier) {
	for ctx.Err() == nil {
		err := notify.Run(ctx, cfg.Notify, notify.Env{
			Broker: cfg.Broker, Topics: cfg.Topics, Notifier: to, Log: env.Log, Meter: env.Meter,
		})
		if err == nil {
			return
		}
		env.Log.Error("the notifier failed; starting it again", "pause", restartPause, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(restartPause):
		}
	}
}
