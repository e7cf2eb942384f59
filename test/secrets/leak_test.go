//go:build linux

package secrets

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"gx1replay/test/check"
	"gx1replay/test/natsserver"
)

// replayScript is a user's command. It keeps the command lines of the processes
// above it, as another user of the host could read them, and fails in chunk 1 with
// a secret in its last words.
const replayScript = `#!/bin/sh
p=$$
while [ "$p" -gt 1 ]; do
	p=$(sed 's/.*) . \([0-9]*\) .*/\1/' /proc/$p/stat) || break
	line=$(tr '\0' ' ' </proc/$p/cmdline) || break
	case $line in *" worker "*|*" exec-guard"*) echo "$line" >>"$SEEN" ;; esac
done
echo "$FOO $INHERITED $SLOT" | grep -q '^S3CR3T-marker-foo S3CR3T-marker-inherited S3CR3T-marker-slot$' || exit 9
[ "$GX1_CHUNK_ID" = 1 ] || [ "$GX1_RUN_ID" = exec_check ] || exit 0
echo 'Traceback: sent Authorization: Bearer S3CR3T-marker-said' >&2
echo 'Error: https://bob:S3CR3T-marker-url@h/x?token=S3CR3T-marker-query' >&2
exit 7
`

// user is what a user has on his command lines, with a secret in each place.
type user struct {
	plan      []string // flags of a run alone
	exec      []string // flags of the engine, where the command runs
	variables []string
	command   []string
}

func newUser(p *place) user {
	script := p.write("replay.sh", replayScript, 0o700)
	return user{
		plan: []string{"--policy", examplePolicy(p), "--data", "synthetic:2000", "--output-dir", "out", "--chunks", "2", "--max-failures", "1", "--lease-duration", "2s", "--param", "alpha=by-contract"},
		exec: []string{"--engine", "exec", "--exec-footer", "none"},
		variables: []string{
			"--exec-env", "FOO=" + marker + "-foo", "--exec-env", "INHERITED", "--slot-env", "SLOT=" + marker + "-slot", "--exec-env", "SEEN=" + p.dir + "/seen",
		},
		command: []string{
			"sh", script, "{task}", "--password=" + marker + "-password", "--api-key", marker + "-key", "-H", "Authorization: Bearer " + marker + "-bearer", "API_TOKEN=" + marker,
		},
	}
}

// run is the command line of a run.
func (u user) run(head ...string) []string {
	return slices.Concat([]string{"run"}, head, u.plan, u.exec, u.variables, []string{"--"}, u.command)
}

func examplePolicy(p *place) string {
	text, err := os.ReadFile("../../examples/policies/gated.yaml")
	if err != nil {
		p.t.Fatal(err)
	}
	return p.write("policy.yaml", string(text)+"\nbroker_login:\n  api_token: "+marker+"-policy\n", 0o600)
}

// What the programs print and keep of a run on a bus with a password, by a
// command with secrets, holds none of them, but in the places that are named here,
// which are closed to others.
func TestNothingLeaks(t *testing.T) {
	password := marker + "-nats"
	srv := natsserver.Start(t, &server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), Username: "alice", Password: password,
	})
	url := strings.Replace(srv.ClientURL(), "nats://", "nats://alice:"+password+"@", 1)
	p := newPlace(t, "INHERITED="+marker+"-inherited", "NATS_URL="+url)
	u := newUser(p)

	// The run, whose second chunk fails, with the URL from the environment.
	out := p.coordinator([]int{3}, u.run("--run-id", "r1", "--workers", "1")...)
	if !strings.Contains(out, `--nats "${NATS_URL:?}"`) || !strings.Contains(out, "'FOO=[removed]'") || !strings.Contains(out, "'--password=[removed]'") {
		t.Errorf("the command that resumes it is not there, or not as it has to be:\n%s", out)
	}
	seen, err := os.ReadFile(filepath.Join(p.dir, "seen"))
	if err != nil || !strings.Contains(string(seen), " worker ") {
		t.Fatalf("the command lines above the command: %q, %v", seen, err)
	}
	// The command's own arguments stand in its own command line, too.
	for _, name := range []string{"-foo", "-inherited", "-slot", "-nats"} {
		if strings.Contains(string(seen), marker+name) {
			t.Errorf("%s%s stands in the command line of a worker:\n%s", marker, name, seen)
		}
	}
	if err := os.Remove(filepath.Join(p.dir, "seen")); err != nil {
		t.Fatal(err)
	}

	// A worker of another host, with its own command line.
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	worker := p.command(ctx, "chunkworker", slices.Concat([]string{"--nats", url, "--exit-when-idle=3s", "--work-dir", "work"}, u.exec, u.variables, []string{"--"}, u.command)...)
	var workerSaid strings.Builder
	worker.Stdout, worker.Stderr = &workerSaid, &workerSaid
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	p.coordinator([]int{3}, u.run("--run-id", "r2", "--workers", "0", "--nats", url)...)
	if err := worker.Wait(); err != nil {
		t.Errorf("the worker: %v\n%s", err, workerSaid.String())
	}
	p.said.WriteString(workerSaid.String())

	// What looks at runs, and what refuses.
	with := func(change func(*user)) []string {
		other := u
		change(&other)
		return other.run("--run-id", "r1", "--workers", "1")
	}
	natsContext := p.write("home/.config/nats/context/named.json", `{"url":"`+srv.ClientURL()+`","user":"alice","password":"`+password+`"}`, 0o600)
	for _, c := range []struct {
		codes []int
		args  []string
	}{
		{[]int{0}, []string{"status"}},
		{[]int{0}, []string{"status", "--json", "--nats", url}},
		{[]int{0}, []string{"status", "r1", "--nats", url}},
		{[]int{0}, []string{"status", "--context", natsContext}},
		{[]int{0, 1}, []string{"doctor", "--output-dir", "out"}},
		{[]int{0}, []string{"logs", "r1", "0", "--output-dir", "out"}},
		{[]int{0}, []string{"logs", "r1", "1", "--output-dir", "out"}},
		{[]int{0}, []string{"verify", "out/perf_r1.json"}},
		{[]int{0, 1, 2}, []string{"compare", "out/perf_r1.json", "out/perf_r2.json"}},
		{[]int{0, 3}, []string{"export", "r1", "--output-dir", "out"}},
		{[]int{0}, []string{"bundle", "r1", "--output-dir", "out", "--output", "b1.tar.gz", "--with-policy"}},
		{[]int{0}, slices.Concat([]string{"chunk", "r1", "0", "--rerun", "--output-dir", "out", "--dir", "again", "--exec-footer", "none"}, u.variables)},
		{[]int{3}, with(func(*user) {})},
		{[]int{1}, with(func(o *user) {
			o.command = slices.Clone(o.command)
			o.command[3] = "--password=" + marker + "-other"
		})},
		{[]int{1}, with(func(o *user) { o.variables = append(slices.Clone(o.variables), "--exec-env", "1A="+marker) })},
		{[]int{1}, with(func(o *user) { o.variables = append(slices.Clone(o.variables), "--exec-env", "A="+marker+"{x}") })},
		{[]int{1}, with(func(o *user) { o.command = append(slices.Clone(o.command), "--token", marker+"{x}") })},
		{[]int{1}, []string{"run", "--policy", "policy.yaml", "--data", "synthetic:2000", "--nats", "nats://u:" + marker + " x@127.0.0.1:1", "--output-dir", "out"}},
		{[]int{1}, []string{"run", "--policy", "policy.yaml", "--data", "synthetic:2000", "--nats", "nats://u:" + marker + "%zz@127.0.0.1:1", "--output-dir", "out"}},
		{[]int{1}, []string{"status", "--nats", "u:" + marker + "@127.0.0.1:1"}},
		{[]int{1}, []string{"doctor", "--nats", "nats://u:" + marker + "/x@127.0.0.1:1"}},
		{[]int{1}, []string{"run", "--nats", "nats://[removed]@127.0.0.1:1"}},
		{[]int{1}, []string{"status", "--nats", srv.ClientURL(), "--creds", p.write("bad.creds", "-----BEGIN NATS USER JWT-----\n"+marker+"\n------END NATS USER JWT------\n", 0o600)}},
		{[]int{1}, []string{"status", "--nats", srv.ClientURL(), "--nkey", p.write("bad.nk", "SU"+marker+"\n", 0o600)}},
		{[]int{1}, []string{"status", "--context", p.write("bad.json", `{"url":"`+srv.ClientURL()+`","password":"`+marker+`",}`, 0o600)}},
		{[]int{0, 1, 3}, slices.Concat([]string{"audit", "r1", "--output-dir", "out", "--exec-footer", "none"}, u.variables)},
		{[]int{0, 1}, []string{"gc", "--output-dir", "out", "--nats", url}},
		{[]int{3}, slices.Concat([]string{"exec", "check", "--dir", "checked", "--policy", "policy.yaml", "--data", "synthetic:2000", "--exec-footer", "none"}, u.variables, []string{"--"}, u.command)},
	} {
		p.coordinator(c.codes, c.args...)
	}
	p.quiet()
	if list := p.leaks(
		"bad.creds", "bad.nk", "bad.json", // the user's own
		"policy.yaml", // the user's own, and its copies, which travel with the run
		"out/*/chunk_*/attempt_*/policy.yaml", "work/*/chunk_*/attempt_*/policy.yaml", "again/policy.yaml", "checked/*/policy.yaml",
		"out/*/chunk_*/attempt_*/policy/policy.yaml", "work/*/chunk_*/attempt_*/policy/policy.yaml", "again/policy/policy.yaml", "checked/*/policy/policy.yaml", "home/.cache/gx1-replay/*",
		"home/.config/nats/context/named.json", // the user's own
		"out/.gx1/*/...",                       // what a resume takes
		"replay.sh",                            // the user's own
		// what the command itself has written
		"work/*/chunk_*/attempt_*/stderr.log", "out/*/chunk_*/attempt_*/stderr.log", "out/*/chunk_*/stderr.log", "checked/*/stderr.log",
	); len(list) > 0 {
		t.Errorf("the secrets are in\n%s", strings.Join(list, "\n"))
	}
	p.bundleHides("b1.tar.gz")
}

// bundleHides checks that no file of a bundle has a secret.
func (p *place) bundleHides(name string) {
	p.t.Helper()
	files, err := check.Bundle(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	for file, text := range files {
		if strings.Contains(text, marker) {
			p.t.Errorf("%s of bundle %s:\n%s", file, name, text)
		}
	}
}
