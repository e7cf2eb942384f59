package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/access"
	"gx1replay/internal/bus"
)

func levels(list []finding) string {
	var b strings.Builder
	for _, x := range list {
		b.WriteString(x.Level[:1])
	}
	return b.String()
}

func TestDoctorRules(t *testing.T) {
	one := bus.StreamHealth{Name: "GX1_TASKS", Replicas: 1}
	three := bus.StreamHealth{Name: "GX1_TASKS", Replicas: 3}
	away, behind := three, three
	away.Away, behind.Behind = []string{"n2"}, []string{"n3"}
	health := func(change func(*bus.Health)) []finding {
		h := bus.Health{RTT: time.Millisecond, MaxPayload: 1 << 20, Streams: []bus.StreamHealth{three}, Cluster: "c", Servers: 3, ClockKnown: true}
		change(&h)
		return healthFindings(h)
	}
	allow := func(r access.Role) bus.Rights {
		p := access.Of(r)
		return bus.Rights{User: "U", Account: "A", Allowed: access.Allowed{Publish: access.Rule{Allow: p.Publish}, Subscribe: access.Rule{Allow: p.Subscribe}}}
	}
	needs := access.Needs(access.Worker)
	earlier := bus.Rights{User: "U", Account: "A", Allowed: access.Allowed{Publish: access.Rule{Allow: needs.Publish}, Subscribe: access.Rule{Allow: needs.Subscribe}}}
	for name, c := range map[string]struct {
		got  []finding
		want string // the first letters of their levels
		says string
	}{
		"all well":              {health(func(*bus.Health) {}), "oooo", "3 replicas"},
		"small messages":        {health(func(h *bus.Health) { h.MaxPayload = 1000 }), "eooo", "max_payload"},
		"a full account":        {health(func(h *bus.Health) { h.StoreUsed, h.StoreMost = 95, 100 }), "oeoo", "gc --nats"},
		"another clock":         {health(func(h *bus.Health) { h.Ahead = -3 * time.Second }), "oowo", "NTP"},
		"a server away":         {health(func(h *bus.Health) { h.Streams[0] = away }), "oooeo", "n2"},
		"a server behind":       {health(func(h *bus.Health) { h.Streams[0] = behind }), "ooowo", "n3"},
		"one server":            {health(func(h *bus.Health) { h.Streams[0], h.Cluster, h.Servers = one, "", 1 }), "ooow", "sync"},
		"one replica of three":  {health(func(h *bus.Health) { h.Streams[0] = one }), "ooow", "--replicas 3"},
		"nothing made yet":      {health(func(h *bus.Health) { h.Streams, h.ClockKnown = nil, false }), "oo", ""},
		"far away":              {serverFindings(bus.Health{Server: "s", RTT: time.Second}, nil), "wo", "leases"},
		"an old server":         {serverFindings(bus.Health{Server: "s"}, errors.New("2.9 is too old")), "oe", bus.LeastServer},
		"streams as wanted":     {streamFindings(nil), "o", ""},
		"a stream otherwise":    {streamFindings([]bus.Difference{{Stream: "S", Field: "max_age", Found: "1h", Wanted: "none"}}), "e", "max_age is 1h"},
		"a stream not there":    {streamFindings([]bus.Difference{{Stream: "S"}, {Stream: "T"}}), "w", "2 streams"},
		"a harmless difference": {streamFindings([]bus.Difference{{Stream: "S", Field: "f", Harmless: true}}), "w", "nothing to do"},
		"everybody":             {[]finding{roles(bus.Rights{User: "U"})}, "o", "coordinator, worker, operator, observer"},
		"a worker":              {[]finding{roles(allow(access.Worker))}, "o", "may act as worker"},
		"an operator":           {[]finding{roles(allow(access.Operator))}, "o", "operator, observer"},
		"nobody":                {[]finding{roles(bus.Rights{Allowed: access.Allowed{Publish: access.Rule{Deny: []string{">"}}}})}, "e", "no role"},
		"an older worker":       {[]finding{roles(earlier)}, "w", "may act as worker, with the rights of an earlier version"},
		"roles apart":           {accounts("", nil), "", ""},
		"one account":           {accounts("the user U is in it", nil), "w", "the user U is in it"},
		"accounts not known":    {accounts("", errors.New("timeout")), "w", "timeout"},
		"no space":              {[]finding{space("output directory", "d", 1<<20), space("output directory", "d", 1<<30), space("output directory", "d", 1<<40)}, "ewo", "make room"},
		"few files":             {[]finding{openFiles(256), openFiles(4096)}, "wo", "ulimit"},
	} {
		var b bytes.Buffer
		if err := printFindings(&b, c.got, false); err != nil {
			t.Fatal(err)
		}
		if levels(c.got) != c.want || !strings.Contains(b.String(), c.says) {
			t.Errorf("%s: %s (want %s, and %q)\n%s", name, levels(c.got), c.want, c.says, b.String())
		}
		for _, x := range c.got {
			if (x.Do == "") != (x.Level == levelOK) {
				t.Errorf("%s: %s %q says to do %q", name, x.Level, x.What, x.Do)
			}
		}
	}
}

func TestDoctor(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	out := filepath.Join(t.TempDir(), "not", "made", "yet")
	code, stdout, stderr := program(t, t.Context(), false, "doctor", "--output-dir", out)
	if code != 0 || !strings.Contains(stdout, "can be written") || strings.Contains(stdout, "\x1b") {
		t.Errorf("%d %s%s", code, stdout, stderr)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("it made the output directory")
	}
	code, stdout, _ = program(t, t.Context(), false, "doctor", "--output-dir", out, "--nats", "nats://127.0.0.1:1", "--json")
	var list []finding
	if err := json.Unmarshal([]byte(stdout), &list); err != nil || code != 1 || levels(list[len(list)-1:]) != "e" {
		t.Errorf("a bus that is not there: %d, %v\n%s", code, err, stdout)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, _ = program(t, t.Context(), false, "doctor", "--output-dir", filepath.Join(file, "below")); code != 1 || !strings.Contains(stdout, "cannot be written") {
		t.Errorf("a directory that cannot be: %d %s", code, stdout)
	}
}
