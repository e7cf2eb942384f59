package cli

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestWorkerSlots(t *testing.T) {
	for name, c := range map[string]struct {
		f     workerFlags
		local bool
		want  int
		err   string
	}{
		"built-in":             {want: runtime.NumCPU()},
		"built-in, local":      {local: true, want: 1},
		"a command":            {f: workerFlags{exec: execFlags{engine: "exec"}}, want: 1},
		"given":                {f: workerFlags{concurrency: 3}, local: true, want: 3},
		"too few":              {f: workerFlags{concurrency: -1}, err: "--concurrency -1"},
		"too many":             {f: workerFlags{concurrency: 2000}, err: "--concurrency 2000"},
		"a runtime below none": {f: workerFlags{maxRuntime: -time.Second}, err: "--max-runtime-per-chunk -1s"},
		"idle below none":      {f: workerFlags{idle: -time.Second}, err: "--exit-when-idle -1s"},
	} {
		got, err := c.f.slots(c.local)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %d, %v (want %d, %q)", name, got, err, c.want, c.err)
		}
	}
}
