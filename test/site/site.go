//go:build linux

package site

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/netns"
)

// Programs are what runs on the hosts.
type Programs struct {
	GX1    string // gx1test: coordinator and workers
	Server string // the plain NATS server
}

// Build builds the programs into dir.
func Build(ctx context.Context, dir string) (p Programs, err error) {
	if p.GX1, err = drive.Build(ctx, dir); err != nil {
		return p, err
	}
	p.Server, err = drive.BuildServer(ctx, dir)
	return p, err
}

// Site is three hosts with a server each, and one run. It is used from one
// goroutine.
type Site struct {
	*drive.Run // the coordinator; nil before Lead
	Wire       *netns.Wire
	// Options are what the checker is told beside what Ends tells it.
	Options check.Options

	programs Programs
	dir      string
	procs    map[string]*proc // servers and workers, as they were started last
}

// Hosts is how many hosts a site has: the least of a cluster that may lose one.
const Hosts = 3

// New makes the hosts, and returns when their servers are a cluster. What the
// wire loses follows from seed. dir is the site's own; it keeps what is logged.
func New(ctx context.Context, dir string, p Programs, seed uint64) (*Site, error) {
	w, err := netns.NewWire(Hosts, seed)
	if err != nil {
		return nil, err
	}
	s := &Site{Wire: w, programs: p, dir: dir, procs: map[string]*proc{}, Options: check.Options{MaxUnreported: -1}}
	if err := s.startServers(ctx); err != nil {
		return nil, errors.Join(err, fmt.Errorf("%s", s.Tails()), s.Close())
	}
	return s, nil
}

func (s *Site) startServers(ctx context.Context) error {
	for host := range s.Wire.Hosts {
		if err := s.StartServer(host); err != nil {
			return err
		}
	}
	return until(ctx, "the cluster has a leader", s.clusterLeads)
}

// Close ends all that the site has started, and removes the hosts.
func (s *Site) Close() error {
	if s.Run != nil {
		s.Run.End()
	}
	var all error
	for name := range s.procs {
		all = errors.Join(all, s.kill(name))
	}
	return errors.Join(all, s.Wire.Close())
}

func (s *Site) kill(name string) error {
	if err := s.procs[name].kill(); err != nil {
		return fmt.Errorf("killing %s: %w", name, err)
	}
	return nil
}

// Said reports whether a server or worker has logged text.
func (s *Site) Said(name, text string) bool { return s.procs[name].said(text) }

// Tails is how all logs end, for a person to read.
func (s *Site) Tails() string {
	type tail struct {
		path  string
		lines int
	}
	var logs []tail
	if s.Run != nil {
		logs = append(logs, tail{s.Run.Stderr(), 15}, tail{s.Run.Log(), 40})
	}
	for _, name := range slices.Sorted(maps.Keys(s.procs)) {
		lines := 30
		if strings.HasPrefix(name, "server") {
			lines = 8
		}
		logs = append(logs, tail{s.procs[name].log, lines})
	}
	var b strings.Builder
	for _, l := range logs {
		fmt.Fprintf(&b, "%s ends with:\n%s\n", filepath.Base(l.path), drive.Tail(l.path, l.lines))
	}
	return b.String()
}

// lookEvery is how often is looked for what announces itself to nobody.
const lookEvery = 20 * time.Millisecond

// until waits until cond holds.
func until(ctx context.Context, what string, cond func() bool) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for !cond() {
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, context.Cause(ctx))
		}
	}
	return nil
}

// Hold makes a gate, and returns the variable that has a worker step over so
// many bars and then wait until the gate is opened.
func (s *Site) Hold(gate string, bars int) (string, error) {
	path := filepath.Join(s.dir, gate)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return "", fmt.Errorf("making a gate: %w", err)
	}
	return fmt.Sprintf("GX1TEST_GATE=%d,%s", bars, path), nil
}

// Open opens a gate.
func (s *Site) Open(gate string) error {
	if err := os.Remove(filepath.Join(s.dir, gate)); err != nil {
		return fmt.Errorf("opening a gate: %w", err)
	}
	return nil
}
