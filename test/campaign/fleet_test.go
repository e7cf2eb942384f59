//go:build linux

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	gx1run "gx1replay/internal/run"
	"gx1replay/test/testsize"
)

// The fleet in small. Its times are bounds for a machine that does much else; its
// requests are far below what workers sent that asked all the time.
func TestFleet(t *testing.T) {
	testsize.All(t)
	var out, said bytes.Buffer
	code := run(t.Context(), []string{"fleet", "--dir", t.TempDir(), "--workers", "12", "--processes", "2", "--finished", "2000", "--open", "2",
		"--claims", "2", "--kills", "1", "--lease-duration", "1s", "--idle", "1s",
		"--claim-within", "2s", "--again-within", "10", "--join-within", "20s", "--requests-at-most", "1000000", "--alone-at-most", "3"}, &out, &said)
	t.Logf("%s", out.Bytes())
	if code != 0 {
		t.Fatalf("it ended with code %d: %s", code, said.Bytes())
	}
	for _, want := range []string{"$KV.GX1_RUNS.template ", "one worker, no streams yet", "workers join", "a new run's chunk", "a killed worker's chunk", "idle beside 2 open runs", "idle, no open run"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q", want)
		}
	}
}

// Each figure that is out of its bound is wrong, and nothing else is.
func TestFleetJudges(t *testing.T) {
	good := func() *fleet {
		quiet := idleCost{processes: 4, requests: 24, over: 150 * time.Second}
		return &fleet{campaign: &campaign{},
			bounds: fleetBounds{claim: 100 * time.Millisecond, join: 3 * time.Second, again: 1.6, requests: 2500, alone: 2},
			got: fleetFigures{
				bare: idleCost{processes: 1, requests: 6, over: 20 * time.Second}, open: quiet, closed: quiet,
				join: time.Second, claims: []time.Duration{50 * time.Millisecond, time.Second, 20 * time.Millisecond}, again: []float64{1.5, 1.6},
			}}
	}
	for name, change := range map[string]func(f *fleet){
		"":                           func(*fleet) {},
		"one worker, no streams yet": func(f *fleet) { f.got.bare.requests = 41 },
		"workers join":               func(f *fleet) { f.got.join = 3*time.Second + 1 },
		"a new run's chunk":          func(f *fleet) { f.got.claims[2] = 101 * time.Millisecond },
		"a killed worker's chunk":    func(f *fleet) { f.got.again[0] = 1.61 },
		"idle beside":                func(f *fleet) { f.got.open.requests = 25 },
		"idle, no open run":          func(f *fleet) { f.got.closed.requests = 25 },
	} {
		f := good()
		change(f)
		var out bytes.Buffer
		f.out = &out
		err := f.judge()
		if (err != nil) != (name != "") || strings.Count(out.String(), "WRONG") != min(len(name), 1) || name != "" && !strings.Contains(out.String(), "WRONG "+name) {
			t.Errorf("%q: error %v\n%s", name, err, out.String())
		}
	}
}

// What a finished run leaves is laid down under another name, whole.
func TestRenamed(t *testing.T) {
	m := gx1run.Manifest{
		Schema: gx1run.Schema, RunID: "a", Incarnation: "00112233445566778899aabbccddeeff", Session: 1, State: gx1run.StateExported, Engine: "builtin",
		Data: gx1run.Data{Bars: 10, SliceBars: 10}, LeaseDuration: time.Second, MaxFailures: 3, ExportFile: "/out/perf_a.json",
	}
	var err error
	if m.Plan, err = gx1run.NewPlan(10, 1, 0, gx1run.OrderTime); err != nil {
		t.Fatal(err)
	}
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	next, err := renamed(&nats.Msg{Subject: manifestSubjects + "a", Data: data}, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	got, err := gx1run.DecodeManifest(next.Data)
	if err != nil || next.Subject != manifestSubjects+"b" || got.RunID != "b" || got.Incarnation == m.Incarnation || len(got.Incarnation) != len(m.Incarnation) {
		t.Errorf("%s, %+v, %v", next.Subject, got, err)
	}
	if _, err := renamed(&nats.Msg{Subject: "gx1.footer.a.0", Data: []byte{1}}, "a", "b"); err == nil {
		t.Error("a message is renamed whose content names its run")
	}
	m.State = gx1run.StateRunning
	if data, err = m.Encode(); err != nil {
		t.Fatal(err)
	}
	if _, err := renamed(&nats.Msg{Subject: manifestSubjects + "a", Data: data}, "a", "b"); err == nil {
		t.Error("a run that goes on is laid down as a finished one")
	}
}

func TestPIDOf(t *testing.T) {
	for name, want := range map[string]int{"vm-12-ab": 12, "gx1 worker my-host-345-5a9fbc96": 345, "gx1 coordinator": 0, "a-b-c": 0, "": 0, "x--1-y": 1} {
		if pid, ok := pidOf(name); pid != want || ok != (want > 0) {
			t.Errorf("%q: %d, %v (want %d)", name, pid, ok, want)
		}
	}
}
