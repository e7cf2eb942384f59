//go:build linux

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
)

const (
	// downMost is the longest outage: the lease must outlast it.
	downMost = 1500 * time.Millisecond
	// upMost is how long bars may move, at most, before the next kill.
	upMost = 1500 * time.Millisecond
	// cycle is what a kill and what follows may take, on the average.
	cycle = 3500 * time.Millisecond
)

// runServer kills and restarts the server of one run, time and again.
func runServer(ctx context.Context, fs *flag.FlagSet, args []string, c *campaign) error {
	s := newStops(c)
	kills := fs.Int("kills", 20, "kills of the server")
	lease := fs.Duration("lease-duration", 4*time.Second, "of the run")
	s.runs, s.bars = 1, 6000
	fs.BoolVar(&s.verbose, "v", false, "what was done, also if all was right")
	if err := s.parse(fs, append([]string{"--chunks", "12", "--workers", "2"}, args...)); err != nil {
		return err
	}
	done, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	defer done()
	binary, err := drive.BuildServer(ctx, filepath.Join(c.dir, "bin"))
	if err != nil {
		return err
	}
	srv, err := drive.StartServer(ctx, binary, filepath.Join(c.dir, "server"))
	if err != nil {
		return err
	}
	var h history
	id := fmt.Sprintf("server_%d", s.seed)
	s.extra = []string{"--nats", srv.URL(), "--lease-duration", lease.String()}
	dir, wrong := s.outages(ctx, srv, id, *kills, &h)
	if err := srv.Kill(); err != nil {
		wrong = append(wrong, err.Error())
	}
	what := fmt.Sprintf("server campaign, seed %d: %d kills, %v, lease %v", s.seed, *kills, s.plan(0).shape, *lease)
	if len(wrong) > 0 {
		fmt.Fprint(s.out, h.failure(what, wrong, dir, id))
		fmt.Fprintf(s.out, "  the server's log ends with:\n%s\n", indent(drive.Tail(srv.Log(), 8)))
		return errWrong
	}
	fmt.Fprintf(s.out, "%s: complete, no failure, each chunk in one attempt\n", what)
	if s.verbose {
		fmt.Fprintln(s.out, indent(strings.Join(h.lines, "\n")))
	}
	s.clean(dir)
	if !s.keep {
		return os.RemoveAll(filepath.Join(c.dir, "server"))
	}
	return nil
}

// outages runs one run and kills its server while bars move.
func (s *stops) outages(ctx context.Context, srv *drive.Server, id string, kills int, h *history) (dir string, wrong []string) {
	p := s.plan(0)
	p.gate = false
	cfg, err := s.config(id, p.shape, p.order)
	if err != nil {
		return "", []string{err.Error()}
	}
	failed := func(err error) (string, []string) { return cfg.Dir, append(wrong, err.Error()) }
	length := time.Duration(kills) * cycle
	latency := time.Duration(float64(length) * float64(min(p.workers, p.chunks)) / (0.8 * float64(s.bars)))
	if err := drive.WritePolicy(cfg.Policy, latency.Round(time.Microsecond)); err != nil {
		return failed(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 3*length+hangAfter)
	defer cancel()
	r, err := drive.Start(cfg)
	if err != nil {
		return failed(err)
	}
	defer r.End()
	h.note("started, latency %v", latency.Round(time.Microsecond))
	rng := rand.New(rand.NewPCG(s.seed, 1))
	for n := range kills {
		bars := r.Bars()
		if err := r.Until(ctx, "bars move", func() bool { return r.Bars() > bars+5 }); err != nil {
			return failed(fmt.Errorf("after %d kills: %w", n, err))
		}
		pauseFor(ctx, time.Duration(rng.Int64N(int64(upMost))))
		if err := srv.Kill(); err != nil {
			return failed(err)
		}
		down := time.Duration(rng.Int64N(int64(downMost)))
		h.note("kill %d, at %d bars, down for %v", n+1, r.Bars(), ms(down))
		pauseFor(ctx, down)
		if err := srv.Restart(ctx); err != nil {
			return failed(err)
		}
	}
	if r.Bars() >= s.bars {
		wrong = append(wrong, "all bars were done before the last kill: too short a run")
	}
	code, err := r.Wait(ctx)
	if err != nil {
		r.DumpStacks()
		return failed(err)
	}
	h.note("it ended with code %d", code)
	return cfg.Dir, append(wrong, judgeOutages(r, code, int64(s.bars))...)
}

// judgeOutages: nobody has lost anything by an outage of the server.
func judgeOutages(r *drive.Run, code int, bars int64) []string {
	wrong := judgeEnd(r, code, check.Options{Bars: bars, Outcome: "complete", Mode: []string{"normal"}})
	b, err := os.ReadFile(r.Perf())
	var f struct {
		Failures     int `json:"failures"`
		Releases     int `json:"releases"`
		Redeliveries int `json:"redeliveries"`
		Chunks       []struct {
			Attempt int `json:"attempt"`
		} `json:"chunks"`
	}
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	if err != nil {
		return append(wrong, err.Error())
	}
	if f.Failures != 0 || f.Releases != 0 || f.Redeliveries != 0 {
		wrong = append(wrong, fmt.Sprintf("failures %d, releases %d, redeliveries %d (expected none)", f.Failures, f.Releases, f.Redeliveries))
	}
	for i, c := range f.Chunks {
		if c.Attempt != 1 {
			wrong = append(wrong, fmt.Sprintf("chunk %d took %d attempts (expected 1)", i, c.Attempt))
		}
	}
	return wrong
}
