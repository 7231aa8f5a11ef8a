//go:build synctests

package simulation

import (
	"context"
	"strings"
	"time"
)

// A post is where a process runs: it is started, stopped or killed there, and
// started again under the same name. A process that ends by itself with an error is
// started again after a while, as any orchestrator does; the error is kept.
type post struct {
	world *world
	name  string
	run   func(context.Context, *cable) error
	turn  chan struct{} // holds a token while nobody starts or stops: a mutex would stop the clock

	now    *process // nil: nothing runs
	gone   bool     // for good
	failed []string
}

// A process is one life at a post.
type process struct {
	cable *cable
	stop  context.CancelFunc
	done  chan struct{}
}

func (w *world) add(name string, run func(context.Context, *cable) error) {
	p := &post{world: w, name: name, run: run, turn: make(chan struct{}, 1)}
	p.turn <- struct{}{}
	w.posts = append(w.posts, p)
}

func (p *post) kind() string {
	kind, _, _ := strings.Cut(p.name, "-")
	return kind
}

// change does f while nobody else changes the post.
func (p *post) change(f func()) {
	<-p.turn
	f()
	p.turn <- struct{}{}
}

func (p *post) start() { p.change(p.launch) }

const startAgain = 5 * time.Second

func (p *post) launch() {
	if p.now != nil || p.gone {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	life := &process{cable: newCable(p.world.network), stop: cancel, done: make(chan struct{})}
	p.now = life
	go func() {
		err := p.run(ctx, life.cable)
		close(life.done)
		if ctx.Err() != nil {
			return // it was told to, or killed
		}
		time.Sleep(startAgain)
		p.change(func() {
			if p.now == life {
				p.failed = append(p.failed, time.Now().Format("15:04:05 ")+errorText(err))
				p.now = nil
				p.launch()
			}
		})
	}()
}

func errorText(err error) string {
	if err == nil {
		return "it ended without being told to"
	}
	return err.Error()
}

// leave stops the process in order: it says goodbye.
func (p *post) leave() {
	p.change(func() {
		if p.now == nil {
			return
		}
		p.now.stop()
		<-p.now.done
		p.now = nil
	})
}

// kill ends the process in the middle of whatever it does. What is left of it in
// this program is waited for when the world ends.
func (p *post) kill() {
	p.change(func() {
		if p.now == nil {
			return
		}
		p.now.cable.pull()
		p.now.stop()
		p.now = nil
	})
}

// close stops the process and lets no other begin.
func (p *post) close() {
	p.leave()
	p.change(func() { p.gone = true })
}

// cable is that of the present process, nil if there is none.
func (p *post) cable() (c *cable) {
	p.change(func() {
		if p.now != nil {
			c = p.now.cable
		}
	})
	return c
}
