//go:build linux

package hosts

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gx1replay/internal/access"
	"gx1replay/test/check"
	"gx1replay/test/drive"
)

// patience is generous: it is there so that a hang is a failure.
const patience = 3 * time.Minute

// programs are built once.
type programs struct{ gx1, server string }

var built programs

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	if Missing() != "" { // each test says what
		return m.Run(), nil
	}
	dir, err := os.MkdirTemp("", "gx1-hosts-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if built.gx1, err = drive.Build(ctx, dir); err != nil {
		return 0, err
	}
	if built.server, err = drive.BuildServer(ctx, dir); err != nil {
		return 0, err
	}
	// They wait, mostly, for links that are down.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// site is three hosts with a server each, and one run.
type site struct {
	*drive.Run
	t    *testing.T
	ctx  context.Context
	dir  string
	wire *Wire
	// procs are the servers and workers, by host and name.
	procs map[string]*proc
	o     check.Options
}

type proc struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
}

const urls = "nats://10.77.0.1:4222,nats://10.77.0.2:4222,nats://10.77.0.3:4222"

// newSite makes the hosts and brings the cluster up.
func newSite(t *testing.T) *site {
	t.Helper()
	if why := Missing(); why != "" {
		t.Skip("no hosts can be made here: " + why)
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	s := &site{t: t, ctx: ctx, dir: t.TempDir(), procs: map[string]*proc{}, o: check.Options{MaxUnreported: -1}}
	var err error
	if s.wire, err = NewWire(3, 1); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		s.close()
	})
	for i := range s.wire.Hosts {
		s.startServer(i)
	}
	s.until("the cluster has a leader", func() bool {
		for name := range s.procs {
			if s.said(name, "new metadata leader") {
				return true
			}
		}
		return false
	})
	return s
}

// until waits for what has nothing to do with a run.
func (s *site) until(what string, cond func() bool) {
	s.t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !cond() {
		select {
		case <-look.C:
		case <-s.ctx.Done():
			s.t.Fatalf("waiting until %s: %v", what, context.Cause(s.ctx))
		}
	}
}

// said reports whether a process has logged text.
func (s *site) said(name, text string) bool {
	b, err := os.ReadFile(s.procs[name].log)
	return err == nil && strings.Contains(string(b), text)
}

func (s *site) close() {
	if s.Run != nil {
		s.Run.End()
	}
	for _, p := range s.procs {
		p.kill()
	}
	if err := s.wire.Close(); err != nil {
		s.t.Error(err)
	}
	if !s.t.Failed() {
		return
	}
	logs := map[string]int{}
	if s.Run != nil {
		logs[s.Run.Stderr()], logs[s.Run.Log()] = 15, 40
	}
	for name, p := range s.procs {
		if logs[p.log] = 30; strings.HasPrefix(name, "server") {
			logs[p.log] = 8
		}
	}
	for path, lines := range logs {
		s.t.Logf("%s ends with:\n%s", filepath.Base(path), drive.Tail(path, lines))
	}
}

func (p *proc) kill() {
	_ = syscall.Kill(p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.exited
}

// on starts a program on a host.
func (s *site) on(host int, name string, env []string, argv ...string) *proc {
	s.t.Helper()
	p := &proc{log: filepath.Join(s.dir, name+".log"), exited: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	s.must(err)
	defer log.Close()
	p.cmd = exec.Command("ip", append([]string{"netns", "exec", s.wire.Hosts[host].Name}, argv...)...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = log, log, append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	s.must(p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // the log says it
		close(p.exited)
	}()
	s.procs[name] = p
	return p
}

// startServer starts the NATS server of a host, or starts it again.
func (s *site) startServer(host int) {
	s.t.Helper()
	name := "server" + strconv.Itoa(host+1)
	addr := s.wire.Hosts[host].Addr
	conf := filepath.Join(s.dir, name+".conf")
	f, err := os.Create(conf)
	s.must(err)
	s.must(errors.Join(os.WriteFile(filepath.Join(s.dir, "nobody.conf"), nil, 0o600), access.WriteServer(f, access.Server{
		Name: name, Listen: net.JoinHostPort(addr, "4222"), StoreDir: filepath.Join(s.dir, name), Users: "nobody.conf",
		Cluster: "c", ClusterListen: net.JoinHostPort(addr, "6222"), Routes: []string{"10.77.0.1:6222", "10.77.0.2:6222", "10.77.0.3:6222"},
	}), f.Close()))
	s.on(host, name, nil, built.server, "-c", conf)
}

// hold has a worker step over so many bars and wait then, until the gate of
// that name is opened.
func (s *site) hold(gate string, bars int) string {
	path := filepath.Join(s.dir, gate)
	s.must(os.WriteFile(path, nil, 0o600))
	return fmt.Sprintf("GX1TEST_GATE=%d,%s", bars, path)
}

func (s *site) open(gate string) { s.must(os.Remove(filepath.Join(s.dir, gate))) }

// lead starts the run's coordinator on the first host.
func (s *site) lead(bars int, args ...string) {
	s.t.Helper()
	policy := filepath.Join(s.dir, "policy.yaml")
	s.must(drive.WritePolicy(policy, 2*time.Millisecond))
	binary := filepath.Join(s.dir, "coordinator.sh")
	s.must(os.WriteFile(binary, fmt.Appendf(nil, "#!/bin/sh\nexec ip netns exec %s %s \"$@\"\n", s.wire.Hosts[0].Name, built.gx1), 0o700))
	var err error
	s.Run, err = drive.Start(drive.Config{
		Binary: binary, Dir: filepath.Join(s.dir, "run"), RunID: "hosts", Policy: policy, Bars: bars,
		Args: append([]string{"--nats", urls, "--workers", "0", "--chunks", "12", "--timeout", patience.String()}, args...),
	})
	s.must(err)
	s.o.Bars = int64(bars)
}

// worker starts a worker on a host, which connects to the server there first.
func (s *site) worker(host int, env ...string) *proc {
	s.t.Helper()
	name := "worker" + strconv.Itoa(host+1)
	own := "nats://" + s.wire.Hosts[host].Addr + ":4222"
	return s.on(host, name, append(append(s.Run.Environ(), "XDG_CACHE_HOME="+filepath.Join(s.dir, name+"-cache")), env...),
		built.gx1, "worker", "--nats", own+","+urls, "--work-dir", filepath.Join(s.dir, name+"-work"), "--concurrency", "2")
}

// done waits until the workers have stepped over so many bars.
func (s *site) done(bars int) {
	s.t.Helper()
	s.must(s.Until(s.ctx, fmt.Sprintf("%d bars are done", bars), func() bool { return s.Bars() >= bars }))
}

// from runs a command of the coordinator's program on a host, on the bus as it
// is seen from there.
func (s *site) from(host int, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(s.ctx, 40*time.Second) // a stop is tried for 30 s
	defer cancel()
	h := s.wire.Hosts[host]
	argv := append([]string{"netns", "exec", h.Name, built.gx1}, args...)
	out, err := exec.CommandContext(ctx, "ip", append(argv, "--nats", "nats://"+h.Addr+":4222")...).CombinedOutput()
	return string(out), err
}

// running is how many chunks are claimed, as the second host sees it; -1: it
// cannot see, as while the cluster elects a leader.
func (s *site) running() int {
	out, err := s.from(1, "status", s.RunID, "--json")
	var runs []struct {
		Standing *struct {
			Running int `json:"chunks_running"`
		} `json:"standing"`
	}
	if err != nil || json.Unmarshal([]byte(out), &runs) != nil || len(runs) != 1 || runs[0].Standing == nil {
		return -1
	}
	return runs[0].Standing.Running
}

// ends waits for the coordinator's end and judges the run's file.
func (s *site) ends(outcome string) *check.Report {
	s.t.Helper()
	code, err := s.Wait(s.ctx)
	s.must(err)
	if code != 0 {
		s.t.Fatalf("the coordinator ended with code %d", code)
	}
	s.o.BarLog, s.o.RunID, s.o.Lives, s.o.Outcome = s.BarLog(), s.RunID, s.Lives(), outcome
	rep, err := check.File(s.Perf(), s.o)
	s.must(err)
	for _, text := range rep.Violations {
		s.t.Error(text)
	}
	return rep
}

// wait passes real time, as a link that is down does.
func (s *site) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
		s.t.Fatal(context.Cause(s.ctx))
	}
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}
