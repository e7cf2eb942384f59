package check_test

import (
	"strings"
	"testing"
	"time"

	"gx1replay/test/check"
)

// noon is when the good run began.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ms(n int) time.Time { return noon.Add(time.Duration(n) * time.Millisecond) }

// session is one that lasted from one millisecond after noon to another.
func session(n, from, to int) map[string]any {
	stamp := func(n int) string { return ms(n).Format("2006-01-02T15:04:05.000Z") }
	return map[string]any{
		"session": n, "started_at": stamp(from), "ended_at": stamp(to), "wall_clock_sec": float64(to-from) / 1000,
	}
}

// three are the sessions of a run that was killed twice.
func three() map[string]any {
	m := good()
	m["sessions"] = []any{session(1, 0, 1000), session(2, 1500, 2000), session(3, 3000, 4000)}
	m["total_wall_clock_sec"] = 2.5
	return m
}

var lives = []check.Life{
	{Began: ms(-10), Ended: ms(990), Killed: true},
	{Began: ms(1490), Ended: ms(2010), Killed: true},
	{Began: ms(2500), Ended: ms(2600), Killed: true}, // before it became a session
	{Began: ms(2990), Ended: ms(4010)},
}

func ofLives() check.Options {
	o := options
	o.WallSec, o.Lives = 0, lives
	return o
}

func TestGoodSessionsPass(t *testing.T) {
	r := judge(t, three(), goodLogs(), ofLives())
	if !r.OK() || r.Sessions != 3 {
		t.Errorf("%d sessions, violations:\n%s", r.Sessions, strings.Join(r.Violations, "\n"))
	}
	// One that lives has no end yet.
	m := three()
	set("sessions.2.ended_at", "")(m)
	if r := judge(t, m, goodLogs(), ofLives()); !r.OK() {
		t.Errorf("violations:\n%s", strings.Join(r.Violations, "\n"))
	}
}

func TestDoctoredSessionsAreCaught(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(map[string]any)
		want   string
	}{
		{"the sum", set("total_wall_clock_sec", 2.4), "total_wall_clock_sec is 2.4 (expected 2.5 over the sessions)"},
		{"a session counted twice", set("sessions.1.wall_clock_sec", 0.6), "total_wall_clock_sec is 2.5 (expected 2.6 over the sessions)"},
		{"the last session alone", set("total_wall_clock_sec", 1.0), "total_wall_clock_sec is 1 (expected 2.5"},
		{"numbers", set("sessions.1.session", 3), "sessions[1].session is 3 (expected 2)"},
		{"overlap", set("sessions.1", session(2, 900, 1400)), "sessions[1].started_at is 12:00:00.900 (the session before ended at 12:00:01.000)"},
		{"wall and times", set("sessions.2.wall_clock_sec", 1.5), "sessions[2].wall_clock_sec is 1.5 (from started_at to ended_at are 1 s)"},
		{"wall below 0", set("sessions.2.wall_clock_sec", -1), "sessions[2].wall_clock_sec is -1"},
		{"no end in the middle", set("sessions.1.ended_at", ""), "sessions[1].ended_at is empty of a session that another has followed"},
		{"no time", set("sessions.1.ended_at", "noon"), `sessions[1].ended_at is no time: "noon"`},
		{"begun before its process", set("sessions.0", session(1, -100, 900)), "sessions[0].it went from 11:59:59.900 to 12:00:00.900, in the life of no coordinator left: "},
		{"ended after its process", set("sessions.2", session(3, 3000, 4100)), "sessions[2].it went from 12:00:03.000 to 12:00:04.100, in the life of no coordinator left: "},
		{"time between two lives", set("sessions.0", session(1, 0, 2000)), "sessions[0].it went from"},
		{"no sessions", set("sessions", []any{}), "sessions is empty"},
		{"no list", set("sessions", 1), "sessions is no list"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := three()
			c.change(m)
			demand(t, judge(t, m, goodLogs(), ofLives()), c.want)
		})
	}
	// Two sessions of one process.
	o := ofLives()
	o.Lives = []check.Life{{Began: ms(-10), Ended: ms(4010)}}
	demand(t, judge(t, three(), goodLogs(), o), "sessions[1].it went from 12:00:01.500 to 12:00:02.000, in the life of no coordinator left:")
}

// An attempt may outlive its killed coordinator a little, and no more.
func TestAttemptsFitTheLives(t *testing.T) {
	m := three()
	set("chunks.1.worker_time_sec", 2.5)(m)
	if r := judge(t, m, goodLogs(), ofLives()); !r.OK() {
		t.Errorf("violations:\n%s", strings.Join(r.Violations, "\n"))
	}
	set("chunks.1.worker_time_sec", 3.5)(m)
	demand(t, judge(t, m, goodLogs(), ofLives()), "chunks[1].wall_clock_sec is 0.5, worker_time_sec is 3.5")
}

// A coordinator that was killed left a file that another process wrote, and
// nobody had asked it to stop.
func TestRecoveredFile(t *testing.T) {
	o := ofLives()
	o.Stop, o.Mode = nil, []string{"recovered"}
	m := three()
	set("export_mode", "recovered")(m)
	set("stop.source", "")(m)
	if r := judge(t, m, goodLogs(), o); !r.OK() {
		t.Errorf("violations:\n%s", strings.Join(r.Violations, "\n"))
	}
	o.Mode = []string{"normal"}
	demand(t, judge(t, m, goodLogs(), o), `export_mode is "recovered" (expected one of ["normal"])`)
	// From footers alone nothing is known of sessions.
	set("sessions", []any{})(m)
	set("total_wall_clock_sec", 0)(m)
	o.Mode = nil
	if r := judge(t, m, goodLogs(), o); !r.OK() {
		t.Errorf("violations:\n%s", strings.Join(r.Violations, "\n"))
	}
}

// On a fresh bus attempts count anew, so one number stands in two processes.
func TestFreshBus(t *testing.T) {
	m, logs := three(), goodLogs()
	logs["13.log"] = "1 1 10\n1 1 11\n"
	demand(t, judge(t, m, logs, ofLives()), "it stands in 12.log too")
	o := ofLives()
	o.FreshBus = true
	set("chunks.1.status", "unresponsive")(m)
	set("chunks_statuses.1", "unresponsive")(m)
	set("export_partial", true)(m)
	by := m["coverage"].(map[string]any)["by_status"].(map[string]any)
	by["unresponsive"] = by["stopped"]
	delete(by, "stopped")
	if r := judge(t, m, logs, o); !r.OK() {
		t.Errorf("violations:\n%s", strings.Join(r.Violations, "\n"))
	}
	set("chunks.1.pid", 13)(m)
	demand(t, judge(t, m, logs, o), "chunks[1].bars_processed is 4 (attempt 1 of process 13 has logged 2 bars)")
}
