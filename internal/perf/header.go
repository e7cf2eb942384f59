package perf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"gx1replay/internal/run"
)

// header is the perf JSON without chunks_statuses and chunks, in the order of
// the file: the small fields, which people read.
type header struct {
	RunID         run.ID          `json:"run_id"`
	Incarnation   run.Incarnation `json:"incarnation"`
	Timestamp     string          `json:"timestamp"`
	SchemaVersion string          `json:"schema_version"`
	Schema        int             `json:"schema"`
	Outcome       Outcome         `json:"outcome"`
	Error         string          `json:"error"`
	ExportMode    Mode            `json:"export_mode"`
	ExportPartial bool            `json:"export_partial"`
	ExportSeq     int             `json:"export_seq"`
	WriterPID     int             `json:"writer_pid"`

	Coverage        Coverage `json:"coverage"`
	ChunksCompleted int      `json:"chunks_completed"`
	ChunksTotal     int      `json:"chunks_total"`

	TotalWallClockSec float64 `json:"total_wall_clock_sec"`
	TotalBars         int64   `json:"total_bars"`
	TotalModelCalls   int64   `json:"total_model_calls"`
	TotalTrades       int64   `json:"total_trades"`
	TotalPnlBps       float64 `json:"total_pnl_bps"`
	// NetPnlBps is absent where the policy has no costs, and where they are not
	// known of every trade.
	NetPnlBps  *float64 `json:"total_net_pnl_bps,omitempty"`
	TradesOpen int64    `json:"trades_open"`
	// TotalsUnreported is left out where every total is whole.
	TotalsUnreported []string `json:"totals_unreported,omitempty"`

	PregateEnabled       bool     `json:"pregate_enabled"`
	PregateEnabledSource string   `json:"pregate_enabled_source"`
	RequestedWorkers     int      `json:"requested_workers"`
	ActualWorkersStarted int      `json:"actual_workers_started"`
	Workers              int      `json:"workers"`
	WorkersSeen          int      `json:"workers_seen"`
	Hosts                []string `json:"hosts"`

	Stop           stopJSON     `json:"stop"`
	Selection      selection    `json:"selection"`
	Trades         TradesFile   `json:"trades"`
	Signals        SignalsFile  `json:"signals"`
	Estimate       estimateJSON `json:"estimate"`
	Fill           string       `json:"fill"`
	Redeliveries   int64        `json:"redeliveries"`
	Releases       int64        `json:"releases"`
	Failures       int64        `json:"failures"`
	FootersRefused int64        `json:"footers_refused"`
	BordersExact   bool         `json:"borders_exact"`
	BusUnreachable bool         `json:"bus_unreachable"`

	Plan            Plan          `json:"plan"`
	Data            run.Data      `json:"data"`
	Policy          policyJSON    `json:"policy"`
	Model           Model         `json:"model"`
	Command         commandJSON   `json:"command"`
	Sessions        []sessionJSON `json:"sessions"`
	NonfiniteFields []string      `json:"nonfinite_fields"`
	EngineVersion   int           `json:"engine_version"`
	EnvInfo         envJSON       `json:"env_info"`
}

// envJSON is env_info in a file.
type envJSON struct {
	EnvInfo
	WorkerBuilds []string `json:"worker_builds"`
}

// maxErrorLen bounds the run's error, in characters.
const maxErrorLen = 2000

// selection says how trades were selected from signals.
type selection struct {
	Scope     Scope `json:"scope"`
	Stretches int   `json:"stretches"`
}

// policyJSON is the policy in a file. values is an empty object where they are
// not known.
type policyJSON struct {
	run.Policy
	Values json.RawMessage `json:"values"`
}

// newPolicyJSON leaves out values that are no object without nulls, so that they
// never spoil a file.
func newPolicyJSON(r Report) policyJSON {
	p := policyJSON{Policy: r.Policy, Values: json.RawMessage("{}")}
	if v := compactObject(r.PolicyValues); v != nil {
		p.Values = v
	}
	return p
}

// compactObject is b without white space if it is a JSON object that has names
// and no null, else nil.
func compactObject(b []byte) json.RawMessage {
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil || out.Len() < 3 || out.Bytes()[0] != '{' || nulls(out.Bytes()) > 0 {
		return nil
	}
	return out.Bytes()
}

// stopJSON is a stop in a file; without a stop its texts are empty and its
// numbers 0, but for seq: up to it stops are done with, also those that ended
// earlier sessions.
type stopJSON struct {
	Source      run.Source `json:"source"`
	Reason      string     `json:"reason"`
	Seq         uint64     `json:"seq"`
	RequestedAt string     `json:"requested_at"`
	DrainMS     int64      `json:"drain_ms"`
}

// sessionJSON is a session in a file; ended_at is empty while it lives.
type sessionJSON struct {
	Session   int     `json:"session"`
	StartedAt string  `json:"started_at"`
	EndedAt   string  `json:"ended_at"`
	WallSec   float64 `json:"wall_clock_sec"`
}

// newHeader is the header of r, whose selection is one that holds.
func newHeader(r Report, t Totals) header {
	h := header{
		RunID: r.RunID, Incarnation: r.Incarnation, Timestamp: formatTime(r.Timestamp), SchemaVersion: SchemaVersion, Schema: Schema,
		Outcome: t.Outcome, ExportMode: r.Mode, ExportPartial: r.Partial && t.Outcome != OutcomeComplete, ExportSeq: exportSeq, WriterPID: r.WriterPID,
		Coverage: t.Coverage, ChunksCompleted: t.ChunksCompleted, ChunksTotal: t.ChunksTotal,
		TotalWallClockSec: r.Wall.Seconds(), TotalBars: t.TotalBars, TotalModelCalls: t.TotalModelCalls,
		TotalTrades: t.TotalTrades, TotalPnlBps: t.TotalPnlBps, NetPnlBps: t.NetPnlBps, TradesOpen: t.TradesOpen, TotalsUnreported: t.Unreported,
		PregateEnabled: r.PregateEnabled, PregateEnabledSource: r.PregateEnabledSource,
		RequestedWorkers: r.RequestedWorkers, ActualWorkersStarted: r.ActualWorkersStarted, Workers: r.Workers,
		WorkersSeen: r.WorkersSeen, Hosts: orEmpty(r.Hosts),
		Stop: stopJSON{Source: r.Stop.Source, Reason: r.Stop.Reason, Seq: r.Stop.Seq,
			RequestedAt: formatTime(r.Stop.RequestedAt), DrainMS: r.Drain.Milliseconds()},
		Selection: selection{Scope: r.Selection.ScopeName(), Stretches: t.Stretches}, Trades: r.Selection.Trades, Signals: r.Selection.Signals, Estimate: estimateJSON{r.Selection.Estimate}, Fill: r.Fill,
		Redeliveries: r.Redeliveries, Releases: r.Releases, Failures: r.Failures, FootersRefused: r.FootersRefused,
		BordersExact: r.Selection.Exact, BusUnreachable: r.BusUnreachable,
		Plan: r.Plan, Data: r.Data, Policy: newPolicyJSON(r), Model: r.Model, Command: newCommandJSON(r.Command), EngineVersion: r.EngineVersion, EnvInfo: envJSON{r.Env, orEmpty(r.WorkerBuilds)},
		Sessions: make([]sessionJSON, 0, len(r.Sessions)), NonfiniteFields: []string{},
	}
	if h.Model.Digests == nil {
		h.Model.Digests = map[string]string{}
	}
	if t.Outcome == OutcomeFailed {
		h.Error = lastRunes(r.Error, maxErrorLen)
	}
	h.finite("total_pnl_bps", &h.TotalPnlBps)
	if t.NetPnlBps != nil {
		net := *t.NetPnlBps
		h.NetPnlBps = &net
		h.finite("total_net_pnl_bps", h.NetPnlBps)
	}
	h.finite("data.spread_bps", &h.Data.SpreadBps)
	for i, s := range r.Sessions {
		h.finite(fmt.Sprintf("sessions[%d].wall_clock_sec", i), &s.WallSec)
		h.Sessions = append(h.Sessions, sessionJSON{Session: s.Session,
			StartedAt: formatTime(s.StartedAt), EndedAt: formatTime(s.EndedAt), WallSec: s.WallSec})
	}
	return h
}

// selected reports whether trades were selected over the run.
func (h header) selected() bool {
	return h.Selection.Scope != ScopeChunks && h.Selection.Scope != ""
}

// finite writes a number that JSON has no word for as 0 and keeps its name.
func (h *header) finite(name string, p *float64) {
	if math.IsNaN(*p) || math.IsInf(*p, 0) {
		*p = 0
		h.NonfiniteFields = append(h.NonfiniteFields, name)
	}
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// report is the way back. What newHeader computed is left out, and so is the
// selection, which needs the chunks.
func (h header) report() (Report, error) {
	r := Report{
		RunID: h.RunID, Incarnation: h.Incarnation, WriterPID: h.WriterPID, Outcome: h.Outcome, Error: h.Error, Mode: h.ExportMode, Partial: h.ExportPartial,
		PregateEnabled: h.PregateEnabled, PregateEnabledSource: h.PregateEnabledSource,
		RequestedWorkers: h.RequestedWorkers, ActualWorkersStarted: h.ActualWorkersStarted, Workers: h.Workers,
		Wall: seconds(h.TotalWallClockSec), Fill: h.Fill,
		BusUnreachable: h.BusUnreachable,
		Stop:           run.Stop{Source: h.Stop.Source, Reason: h.Stop.Reason, Seq: h.Stop.Seq},
		Drain:          time.Duration(h.Stop.DrainMS) * time.Millisecond,
		Plan:           h.Plan,
		Data:           h.Data, Policy: h.Policy.Policy, PolicyValues: compactObject(h.Policy.Values), Model: h.Model,
		WorkersSeen: h.WorkersSeen, Hosts: h.Hosts, Redeliveries: h.Redeliveries, Releases: h.Releases,
		Failures: h.Failures, FootersRefused: h.FootersRefused, Env: h.EnvInfo.EnvInfo, WorkerBuilds: h.EnvInfo.WorkerBuilds, EngineVersion: h.EngineVersion,
	}
	err := h.Incarnation.Validate()
	if err != nil {
		return Report{}, err
	}
	if r.Command, err = h.Command.command(); err != nil {
		return Report{}, err
	}
	if r.Timestamp, err = parseTime("timestamp", h.Timestamp); err != nil {
		return Report{}, err
	}
	if r.Stop.RequestedAt, err = parseTime("stop.requested_at", h.Stop.RequestedAt); err != nil {
		return Report{}, err
	}
	for i, s := range h.Sessions {
		t := run.SessionTimes{Session: s.Session, WallSec: s.WallSec}
		if t.StartedAt, err = parseTime(fmt.Sprintf("sessions[%d].started_at", i), s.StartedAt); err != nil {
			return Report{}, err
		}
		if t.EndedAt, err = parseTime(fmt.Sprintf("sessions[%d].ended_at", i), s.EndedAt); err != nil {
			return Report{}, err
		}
		r.Sessions = append(r.Sessions, t)
	}
	return r, nil
}

// timeFormat is RFC 3339 in UTC, to the millisecond: one width, so that texts
// sort like times.
const timeFormat = "2006-01-02T15:04:05.000Z"

// formatTime writes the zero time, and one that RFC 3339 cannot tell, as an
// empty text.
func formatTime(t time.Time) string {
	if y := t.UTC().Year(); t.IsZero() || y < 0 || y > 9999 {
		return ""
	}
	return t.UTC().Format(timeFormat)
}

func parseTime(field, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %.40q is not a time (want RFC 3339, UTC, or nothing)", field, s)
	}
	return t.UTC(), nil
}

// seconds is s as a duration, kept within what a Duration holds.
func seconds(s float64) time.Duration {
	const most = math.MaxInt64 / int64(time.Second)
	return time.Duration(math.Round(max(-float64(most), min(float64(most), s)) * float64(time.Second)))
}
