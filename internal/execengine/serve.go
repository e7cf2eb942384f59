package execengine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/process"
)

// server is a command that serves one slot, chunk after chunk.
type server struct {
	*child
	run    string // what it serves: a run of one incarnation and command
	env    []string
	chunks int
}

// served has the slot's process replay the chunk; it is started for the first
// one, and again when it has died or served its number.
func (a *attempt) served(ctx context.Context, report func(footer.Footer)) ending {
	a.reproduce()
	for {
		s, err := a.e.server(a)
		if err != nil {
			return ending{started: err, withheld: a.env.withheld}
		}
		used := s.chunks > 0
		end, died := a.serve(ctx, s, report)
		if died && used && !s.said && ctx.Err() == nil && end.footer == nil && !a.progressed {
			// It was about to end when it got the task: no fault of this chunk.
			a.log.Info("serving command ended, restarting it")
			continue
		}
		return end
	}
}

// serve gives the chunk to s. died: the process has ended.
func (a *attempt) serve(ctx context.Context, s *server, report func(footer.Footer)) (end ending, died bool) {
	s.give(a)
	before, sysBefore, _ := s.guarded.Usage()
	if err := s.say(map[string]any{"task": a.paths.task}); err != nil {
		a.log.Debug("sending the task to the command failed", "error", err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-s.guarded.Done():
		case <-a.heard.ended:
		}
	}()
	end = a.follow(ctx, control{
		over: over,
		ask: func() {
			if err := s.say(map[string]any{"stop": a.task.ChunkID}); err != nil {
				a.log.Debug("asking the command to stop failed", "error", err)
			}
		},
		kill: s.guarded.Kill, cpu: s.guarded.Usage,
		rest: func() process.Exit {
			select {
			case <-s.guarded.Done():
				died = true
				return s.rest()
			default:
			}
			s.give(nil)
			user, sys, rss := s.guarded.Usage()
			return process.Exit{UserSec: max(user-before, 0), SysSec: max(sys-sysBefore, 0), MaxRSSBytes: rss}
		},
	}, report)
	s.chunks++
	if n := a.e.Spec.Recycle; died || n > 0 && s.chunks >= n {
		a.e.drop(a.job.Slot, s)
		if died {
			s.guarded.Close()
		} else {
			s.end(a.e.Spec.Grace)
		}
	}
	return end, died
}

// server is the process of a's slot, of a's run.
func (e *Engine) server(a *attempt) (*server, error) {
	e.mu.Lock()
	s := e.servers[a.job.Slot]
	e.mu.Unlock()
	if s != nil {
		select {
		case <-s.guarded.Done():
			s.guarded.Close()
		default:
			if s.run == a.runKey() && slices.Equal(s.env, a.env.vars) {
				return s, nil
			}
			s.end(e.Spec.Grace)
		}
		e.drop(a.job.Slot, s)
	}
	c, err := a.start(true)
	if err != nil {
		return nil, err
	}
	s = &server{child: c, run: a.runKey(), env: a.env.vars}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.servers == nil {
		e.servers = map[int]*server{}
	}
	e.servers[a.job.Slot] = s
	return s, nil
}

// runKey is what a serving process is started for: with another command, or in
// a later run of the same name, it is another.
func (a *attempt) runKey() string {
	m := a.job.Manifest
	return string(m.RunID) + " " + string(m.Incarnation) + " " + m.Identity
}

func (e *Engine) drop(slot int, s *server) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.servers[slot] == s {
		delete(e.servers, slot)
	}
}

// sayWait bounds the wait for a command that does not read.
const sayWait = time.Second

// say writes one line to the command's standard input.
func (s *server) say(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding a line for the command: %w", err)
	}
	if f, ok := s.guarded.Stdin().(interface{ SetWriteDeadline(time.Time) error }); ok {
		_ = f.SetWriteDeadline(time.Now().Add(sayWait)) // a pipe has deadlines; where not, it has room
	}
	_, err = s.guarded.Stdin().Write(append(text, '\n'))
	return err
}

// end closes the command's input, which tells it to go, and kills what has
// not gone after grace.
func (s *server) end(grace time.Duration) {
	_ = s.guarded.Stdin().Close()
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-s.guarded.Done():
	case <-t.C:
		s.guarded.Kill()
		<-s.guarded.Done()
	}
	s.rest()
	s.guarded.Close()
}
