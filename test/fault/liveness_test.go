//go:build linux

package fault_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"gx1replay/test/check"
	"gx1replay/test/drive"
	"gx1replay/test/natsserver"
	"gx1replay/test/testsize"
)

// apart runs a command as a container does that has the host's name and PIDs of
// its own. name, if not empty, is the container's own host name.
func apart(ctx context.Context, t *testing.T, env []string, name string, line ...string) drive.Said {
	t.Helper()
	args := []string{"--pid", "--fork", "--kill-child", "--mount-proc"}
	if name != "" {
		args = append(args, "--uts", "sh", "-c", `hostname "$0" && exec "$@"`, name)
	}
	cmd := exec.CommandContext(ctx, "unshare", append(args, line...)...)
	cmd.Env = env
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || !exit.Exited()) {
		t.Fatalf("%v: %v: %s", line, err, said.Bytes())
	}
	return drive.Said{Code: cmd.ProcessState.ExitCode(), Stdout: out.String(), Stderr: said.String()}
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("namespaces of its own take root")
	}
}

// onBus starts a slow run on a server of the test.
func onBus(t *testing.T, args ...string) (*drive.Run, context.Context, string) {
	t.Helper()
	t.Parallel()
	srv := natsserver.Start(t, &server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir()})
	s := slow.with(append([]string{"--nats", srv.ClientURL(), "--lease-duration", "1s"}, args...)...)
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.yaml")
	if err := drive.WritePolicy(policy, s.latency); err != nil {
		t.Fatal(err)
	}
	r, err := drive.Start(drive.Config{Binary: binary, Dir: filepath.Join(dir, "run"), RunID: t.Name(), Policy: policy, Bars: s.bars, Args: s.args})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(func() {
		cancel()
		r.End()
		if t.Failed() {
			t.Logf("it said:\n%s", drive.Tail(r.Stderr(), 20))
			t.Logf("its log ends with:\n%s", drive.Tail(r.Log(), 20))
		}
	})
	return r, ctx, srv.ClientURL()
}

// Two containers share the host's name and have PIDs of their own: the second
// coordinator does not take the first one's run over.
func TestNoCoordinatorTakesOverALivingRunOfAnotherContainer(t *testing.T) {
	testsize.All(t)
	asRoot(t)
	r, ctx, _ := onBus(t)
	moving(ctx, t, r)
	again := r.Config
	again.Dir, again.Out, again.Runtime = filepath.Join(t.TempDir(), "other"), "", ""
	other, err := drive.Prepare(again)
	if err != nil {
		t.Fatal(err)
	}
	said := apart(ctx, t, other.Environ(), "", other.CommandLine()...)
	if said.Code != 1 || !strings.Contains(said.Stderr, "has an active coordinator") {
		t.Errorf("the second coordinator ended with %d and printed:\n%s", said.Code, said.Stderr)
	}
	if err := r.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ends(ctx, t, r, 0)
	valid(t, r, r.Perf(), check.Options{})
}

// gc removes nothing, and export writes no file, of a run whose coordinator lives
// where they cannot see it.
func TestGCElsewhereLeavesALivingRunAlone(t *testing.T) {
	testsize.All(t)
	asRoot(t)
	r, ctx, url := onBus(t)
	moving(ctx, t, r)
	for _, host := range []string{"", "elsewhere"} { // a container of this name, and another host
		said := apart(ctx, t, r.Environ(), host, binary, "gc", r.RunID, "--nats", url, "--output-dir", t.TempDir())
		if said.Code != 0 || !strings.Contains(said.Stdout, "it is active") {
			t.Errorf("gc on host %q ended with %d and printed:\n%s%s", host, said.Code, said.Stdout, said.Stderr)
		}
	}
	said := apart(ctx, t, r.Environ(), "elsewhere", binary, "export", r.RunID, "--nats", url, "--output-dir", t.TempDir())
	if said.Code == 0 || !strings.Contains(said.Stderr, "the run is active") {
		t.Errorf("export ended with %d and printed:\n%s%s", said.Code, said.Stdout, said.Stderr)
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	said = apart(ctx, t, r.Environ(), "elsewhere", binary, "gc", r.RunID, "--nats", url, "--output-dir", t.TempDir())
	if said.Code != 0 || !strings.Contains(said.Stdout, "it was named") {
		t.Errorf("gc of the dead run ended with %d and printed:\n%s%s", said.Code, said.Stdout, said.Stderr)
	}
}
