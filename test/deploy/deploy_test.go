//go:build linux

package deploy

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"gx1replay/test/drive"
	"gx1replay/test/netns"
	"gx1replay/test/testsize"
)

func deployDir(t *testing.T) string {
	t.Helper()
	root, err := drive.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "deploy")
}

// systemd itself reads the units. It finds fault with programs that are not
// installed, so they stand for others here.
func TestUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not there")
	}
	units, err := filepath.Glob(filepath.Join(deployDir(t), "systemd", "*.service"))
	if err != nil || len(units) != 3 {
		t.Fatalf("units %v, %v (want 3)", units, err)
	}
	for _, path := range units {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"NoNewPrivileges=yes", "ProtectSystem=strict", "TimeoutStopSec=", "Restart="} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s has no %s", filepath.Base(path), want)
			}
		}
		program := regexp.MustCompile(`/usr/local/bin/[a-z-]+`)
		copied := filepath.Join(t.TempDir(), filepath.Base(path))
		if err := os.WriteFile(copied, program.ReplaceAll(text, []byte("/bin/true")), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("systemd-analyze", "verify", "--man=no", copied).CombinedOutput(); err != nil || len(strings.TrimSpace(string(out))) > 0 {
			t.Errorf("systemd-analyze verify %s: %v\n%s", filepath.Base(path), err, out)
		}
	}
}

// The time that a unit grants is more than what a stop takes.
func TestStopTimes(t *testing.T) {
	for unit, least := range map[string]time.Duration{
		"gx1-coordinator@.service": 8*time.Second + 3*time.Second, "gx1-chunkworker.service": 6*time.Second + 5*time.Second,
	} {
		text, err := os.ReadFile(filepath.Join(deployDir(t), "systemd", unit))
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`(?m)^TimeoutStopSec=(.*)$`).FindSubmatch(text)
		if m == nil || !strings.Contains(string(text), "KillMode=mixed") {
			t.Fatalf("%s has no TimeoutStopSec, or no KillMode=mixed", unit)
		}
		if d, err := time.ParseDuration(string(m[1])); err != nil || d < least {
			t.Errorf("%s: TimeoutStopSec=%s, %v (want %v or more)", unit, m[1], err, least)
		}
	}
}

// The compose file is YAML with the services that the page names, each of ours
// without rights that it does not need.
func TestCompose(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(deployDir(t), "container", "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]struct {
			Image    string            `yaml:"image"`
			ReadOnly bool              `yaml:"read_only"`
			User     string            `yaml:"user"`
			CapDrop  []string          `yaml:"cap_drop"`
			Volumes  []string          `yaml:"volumes"`
			Env      map[string]string `yaml:"environment"`
		} `yaml:"services"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bus", "coordinator", "worker"} {
		s, there := file.Services[name]
		if !there {
			t.Errorf("service %s is missing", name)
		}
		if name != "bus" && (!s.ReadOnly || s.User != "65532:65532" || len(s.CapDrop) != 1 || s.Image != "gx1-replay") {
			t.Errorf("service %s: %+v", name, s)
		}
		// A host of one role sees no key of another.
		var keys []string
		for _, v := range s.Volumes {
			if strings.HasPrefix(v, "./auth") {
				keys = append(keys, v)
			}
		}
		want := map[string][]string{
			"bus":         {"./auth/server.conf:/auth/server.conf:ro", "./auth/users.conf:/auth/users.conf:ro"},
			"coordinator": {"./auth/keys/coordinator.nk:/keys/coordinator.nk:ro"},
			"worker":      {"./auth/keys/worker.nk:/keys/worker.nk:ro"},
		}[name]
		if !slices.Equal(keys, want) {
			t.Errorf("service %s mounts %q of auth (want %q)", name, keys, want)
		}
		if key := s.Env["NATS_NKEY"]; name != "bus" && key != "/keys/"+name+".nk" {
			t.Errorf("service %s: NATS_NKEY is %q", name, key)
		}
	}
}

// block is a piece of the page that is pasted on a host.
type block struct{ host, text string }

// blocks are those of the page that say where they are pasted.
func blocks(t *testing.T) []block {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(deployDir(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var list []block
	for _, m := range regexp.MustCompile("(?s)```sh (host[12]|copy)\n(.*?)```").FindAllSubmatch(page, -1) {
		list = append(list, block{string(m[1]), string(m[2])})
	}
	if len(list) != 4 {
		t.Fatalf("%d blocks (want 4: the page was changed)", len(list))
	}
	return list
}

// waitFor waits until a file has text.
func waitFor(ctx context.Context, t *testing.T, path, text string) {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), text) {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("waiting for %q in %s: %v", text, path, context.Cause(ctx))
		}
	}
}

// The quick start of the page, pasted line by line on two hosts.
func TestTwoHosts(t *testing.T) {
	testsize.All(t)
	if why := netns.Missing(); why != "" {
		t.Skip(why)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	bin := t.TempDir()
	root, err := drive.Root()
	if err != nil {
		t.Fatal(err)
	}
	if err := drive.BuildProduct(ctx, bin); err != nil {
		t.Fatal(err)
	}
	if _, err := drive.BuildServer(ctx, bin); err != nil {
		t.Fatal(err)
	}
	w, err := netns.NewWire(2, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	homes := map[string]string{"host1": t.TempDir(), "host2": t.TempDir()}
	policy, err := os.ReadFile(filepath.Join(root, "examples", "policies", "gated.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	policy = regexp.MustCompile(`(?m)^  latency: .*$`).ReplaceAll(policy, []byte("  latency: 10us"))
	if err := os.WriteFile(filepath.Join(homes["host1"], "policy.yaml"), policy, 0o600); err != nil {
		t.Fatal(err)
	}
	shells := map[string]*shell{}
	for i, name := range []string{"host1", "host2"} {
		s, err := openShell(w.Hosts[i].Name, homes[name], bin)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		shells[name] = s
	}
	for i, b := range blocks(t) {
		if i == 1 { // who pastes by hand is slower than a server starts
			waitFor(ctx, t, filepath.Join(homes["host1"], "nats-server.log"), "Server is ready")
		}
		if b.host == "copy" { // there is no sshd on these hosts
			data, err := os.ReadFile(filepath.Join(homes["host1"], "gx1-bus", "keys", "worker.nk"))
			if err == nil {
				err = os.WriteFile(filepath.Join(homes["host2"], "worker.nk"), data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		for line := range strings.Lines(b.text) {
			if out, code := shells[b.host].paste(ctx, strings.TrimSpace(line)); code != "0" {
				log, _ := os.ReadFile(filepath.Join(homes["host1"], "nats-server.log"))
				t.Fatalf("%s: %s ended with %s:\n%s\nthe server's log:\n%s", b.host, line, code, out, log)
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(homes["host1"], "reports", "replay_eval", "GATED", "perf_two_hosts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var perf struct {
		Outcome     string `json:"outcome"`
		TotalBars   int64  `json:"total_bars"`
		WorkersSeen int    `json:"workers_seen"`
		Failures    int    `json:"failures"`
	}
	if err := json.Unmarshal(text, &perf); err != nil {
		t.Fatal(err)
	}
	if perf.Outcome != "complete" || perf.TotalBars != 200_000 || perf.WorkersSeen != 2 || perf.Failures != 0 {
		t.Errorf("%+v (want a complete run of 200000 bars by two workers)", perf)
	}
}
