//go:build linux

package execrun

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"gx1replay/test/check"
	"gx1replay/test/natsserver"
	"gx1replay/test/testsize"
)

// script is a replay that a test replaces while it is in use. Each attempt
// notes which version ran.
type script struct {
	t         *testing.T
	path, ran string
}

func newScript(t *testing.T) *script {
	t.Helper()
	dir := t.TempDir()
	s := &script{t: t, path: filepath.Join(dir, "replay.sh"), ran: filepath.Join(dir, "ran")}
	s.write(1)
	return s
}

func (s *script) argv() []string { return []string{"sh", s.path, "{chunk_idx}"} }

func (s *script) text(version int) []byte {
	return fmt.Appendf(nil, "echo version%d chunk \"$1\" >> '%s'\nsleep 0.3\nprintf '{\"status\":\"ok\"}' > \"$GX1R_FOOTER_FILE\"\n", version, s.ran)
}

// write replaces the script as an editor does.
func (s *script) write(version int) {
	s.t.Helper()
	aside := s.path + ".new"
	err := os.WriteFile(aside, s.text(version), 0o600)
	if err == nil {
		err = os.Rename(aside, s.path)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// attempts is how many attempts that version has had.
func (s *script) attempts(version int) int {
	b, err := os.ReadFile(s.ran)
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return strings.Count(string(b), fmt.Sprintf("version%d ", version))
}

// is checks that the perf JSON of v names that version of the script.
func (s *script) is(v *trial, version int) {
	s.t.Helper()
	b, err := os.ReadFile(v.Perf())
	v.must(err)
	var f struct {
		Command struct {
			Digests map[string]string `json:"digests"`
		} `json:"command"`
	}
	v.must(json.Unmarshal(b, &f))
	sum := sha256.Sum256(s.text(version))
	if got, want := f.Command.Digests[s.path], hex.EncodeToString(sum[:]); got != want {
		s.t.Errorf("%s names the script's SHA-256 %s (want that of version %d, %s)", v.Perf(), got, version, want)
	}
}

// named waits until status names the script.
func (s *script) named(v *trial) {
	s.t.Helper()
	v.must(v.Until(v.ctx, "status names the script", func() bool {
		said, err := v.Command(v.ctx, "status", v.RunID)
		return err == nil && all(said.Stdout, []string{"does not serve this run", "replay.sh"})
	}))
}

// A script that changes under a run ends its workers' claims: none of the run's
// chunks is replayed by the new one. With the old one back the run completes.
func TestScriptChangesUnderARun(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	s := newScript(t)
	p := small(t)
	p.Chunks = 12
	v := command(t, p, append(s.argv(), s.ran)...) // what it writes to is none of its files
	v.must(v.Until(v.ctx, "four attempts", func() bool { return s.attempts(1) >= 4 }))
	s.write(2)
	s.named(v)
	v.must(v.Until(v.ctx, "the terminal names the script", func() bool { return all(v.said(), []string{"replay.sh"}) }))
	s.write(1)
	v.ends(0)
	v.judge(func(o *check.Options) { o.BarLog, o.Outcome = NoLog, "complete" })
	if n := s.attempts(2); n > 0 {
		t.Errorf("%d attempts were replayed by the new script", n)
	}
	s.is(v, 1)
	for i, line := range v.lines() {
		if line.Error != "" || line.Status != "ok" {
			t.Errorf("chunk %d: %s, %q", i, line.Status, line.Error)
		}
	}
}

// A worker on another host looks at its files for each run: it serves a run of
// the script that it has now, and does not go on with an earlier one's.
func TestScriptChangesUnderAChunkworker(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	s := newScript(t)
	srv := natsserver.Start(t, &server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir()})
	join(t, serving(built.binary, srv.ClientURL(), []string{"--work-dir", t.TempDir()}, s.argv()))
	run := func(id string) *trial {
		p := small(t)
		p.Workers, p.RunID, p.Chunks = 0, id, 6
		return command(t, p.with("--nats", srv.ClientURL()), s.argv()...)
	}
	first := run("first")
	first.must(first.Until(first.ctx, "two attempts", func() bool { return s.attempts(1) >= 2 }))
	s.write(2)
	s.named(first)
	first.must(first.Signal(syscall.SIGTERM))
	first.ends(0)
	first.judge(func(o *check.Options) { o.BarLog, o.Stop = NoLog, []string{"sigterm"} })
	if n := s.attempts(2); n > 0 {
		t.Errorf("%d attempts of the first run were replayed by the new script", n)
	}
	s.is(first, 1)

	second := run("second")
	second.ends(0)
	second.judge(func(o *check.Options) { o.BarLog, o.Outcome = NoLog, "complete" })
	s.is(second, 2)
}

// An attempt that fails when its script has changed is no failure of the chunk.
func TestScriptChangesUnderAnAttempt(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	text := fmt.Appendf(nil, "echo version1 chunk >> '%s'\nwhile ! grep -q 'version''2' '%s'; do sleep 0.02; done\nexit 3\n", s.ran, s.path)
	if err := os.WriteFile(s.path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p := small(t)
	p.Workers = 1
	v := command(t, p, s.argv()...)
	v.must(v.Until(v.ctx, "an attempt", func() bool { return s.attempts(1) > 0 }))
	s.write(2)
	s.named(v)
	v.must(v.Signal(syscall.SIGTERM))
	v.ends(0)
	rep := v.judge(func(o *check.Options) { o.BarLog, o.Stop = NoLog, []string{"sigterm"} })
	if rep.Failures > 0 || s.attempts(2) > 0 {
		t.Errorf("%d failures, %d attempts of the new script (want none)", rep.Failures, s.attempts(2))
	}
}
