package execengine

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/process"
)

// alone runs a process for this chunk only.
func (a *attempt) alone(ctx context.Context, report func(footer.Footer)) ending {
	a.reproduce()
	c, err := a.start(false)
	if err != nil {
		return ending{started: err, withheld: a.env.withheld}
	}
	defer c.guarded.Close()
	return a.follow(ctx, control{
		over: c.guarded.Done(), ask: c.guarded.Terminate, kill: c.guarded.Kill, cpu: c.guarded.Usage,
		rest: func() process.Exit { return c.rest() },
	}, report)
}

// reproduce leaves a script that runs the command again.
func (a *attempt) reproduce() {
	path := filepath.Join(a.paths.dir, layout.ReproduceScript)
	err := atomicfile.Write(path, atomicfile.Options{Mode: 0o700, New: true}, func(w io.Writer) error {
		return Reproduce(w, Reproduction{
			Task: a.task, TaskPath: a.paths.task, Dir: a.e.Dir, Env: a.env.vars, Shown: a.env.shown, Argv: a.argv, Serve: a.e.Spec.Serve,
		})
	})
	if err != nil {
		a.log.Warn("writing reproduce.sh failed", "error", err)
	}
}

// start starts the command, whose output is a's from the first byte on. An
// error means that it cannot be started.
func (a *attempt) start(stdin bool) (*child, error) {
	e := a.e
	path, err := process.LookPath(a.argv[0], valueOf(a.env.vars, "PATH"), e.Dir)
	if err != nil {
		return nil, err
	}
	g, err := process.StartGuarded(e.Guard, process.Command{
		Path: path, Args: a.argv, Env: a.env.vars, Dir: e.Dir, Stdin: stdin, MemoryMax: e.Spec.MemoryMax,
	})
	if err != nil {
		return nil, err
	}
	switch how := g.MemoryLimit(); how {
	case "":
	case "cgroup", "rlimit":
		e.Log.Debug("the command's memory is limited", "by", how, "bytes", e.Spec.MemoryMax)
	default:
		e.Log.Warn("--exec-memory-max cannot be kept on this host", "why", how)
	}
	c := &child{guarded: g, a: a}
	c.pumps.Go(func() { c.pump(g.Stdout(), true) })
	c.pumps.Go(func() { c.pump(g.Stderr(), false) })
	return c, nil
}

func valueOf(env []string, name string) string {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// child is a command under way, and the attempt that has its output now.
type child struct {
	guarded *process.Guarded
	pumps   sync.WaitGroup

	mu   sync.Mutex
	a    *attempt // nil: nobody's; it is dropped
	said bool     // something, since it was given the attempt
}

func (c *child) give(a *attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.a = a
	if a != nil {
		c.said = false
	}
}

// pump takes one stream of output: to the log of the attempt that is served,
// and line by line.
func (c *child) pump(from io.Reader, stdout bool) {
	lines := NewLines(maxLine, func(text []byte) {
		if c.a != nil {
			c.a.line(text, stdout)
		}
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		c.mu.Lock()
		if c.a != nil {
			log, watched := c.a.stderr, c.a.e.Stderr
			if stdout {
				log, watched = c.a.stdout, c.a.e.Stdout
			}
			_, _ = log.Write(buf[:n]) // it keeps its own error
			c.said = c.said || n > 0
			if watched != nil {
				_, _ = watched.Write(buf[:n]) // a terminal that is gone is no failure
			}
		}
		_, _ = lines.Write(buf[:n])
		if err != nil {
			_ = lines.Close()
		}
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// rest waits for the end of a dead command's output.
func (c *child) rest() process.Exit {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.pumps.Wait()
	}()
	t := time.NewTimer(outputWait)
	defer t.Stop()
	select {
	case <-ended:
	case <-t.C: // only what cannot be killed holds it
	}
	c.give(nil)
	return c.guarded.Exit()
}
