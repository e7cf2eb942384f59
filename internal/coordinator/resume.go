package coordinator

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/dataset"
	"gx1replay/internal/execengine"
	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/process"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
	"gx1replay/internal/selection"
	"gx1replay/internal/trade"
)

// AlreadyRun reports that nothing is left to do: every chunk of the run is ok,
// or has failed for good.
type AlreadyRun struct {
	RunID run.ID
	Path  string
	File  perf.File
	Code  int // the exit code of that run: 0, or 3 if a chunk failed
}

func (e *AlreadyRun) Error() string {
	t := e.File.Totals
	return fmt.Sprintf("run %s already exists: %s holds %d of its %d bars (%s)", e.RunID, e.Path, t.Coverage.ReplayedBars, t.Coverage.PlannedBars, t.Outcome)
}

// Differs reports that a run of this name exists with a different configuration.
type Differs struct {
	RunID  run.ID
	Fields []Difference
}

// Difference is one thing in which a run and a command line disagree.
type Difference struct {
	Name          string // data, policy, model file NAME, engine, command, plan, order, decisions
	Stored, Given string
}

func (e *Differs) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "run %s already exists with a different configuration", e.RunID)
	for _, f := range e.Fields {
		fmt.Fprintf(&b, "; %s: %s (the run has %s)", f.Name, f.Given, f.Stored)
	}
	return b.String()
}

// Cleaned reports that the bus has the run as exported, and that its perf JSON
// is not in this output directory.
type Cleaned struct{ Exported }

func (e *Cleaned) Error() string {
	return fmt.Sprintf("run %s is complete: it was exported to %s and its bus was cleaned; choose another --run-id, or remove this one with `coordinator gc %s`", e.RunID, e.Where(), e.RunID)
}

// ErrTakenOver: another coordinator has begun a later session of the run.
var ErrTakenOver = errors.New("another coordinator has taken over the run")

// ErrAlive: a coordinator of the run lives elsewhere.
var ErrAlive = errors.New("this run has an active coordinator")

// refuse compares what earlier sessions have written with what this one is
// given. What was never written down cannot differ.
func (s *Session) refuse(d run.Data, engine string, version int, p run.Policy, models map[string]string, plan *run.Plan) error {
	e := &Differs{RunID: s.cfg.RunID}
	add := func(name, stored, given string) {
		e.Fields = append(e.Fields, Difference{name, stored, given})
	}
	mine := s.identity
	if d.SHA256 != "" && (d.SHA256 != mine.Data.SHA256 || d.BeforeBars != mine.Data.BeforeBars) {
		add("data", describeData(d), describeData(mine.Data))
	}
	if p.SHA256 != "" && p.SHA256 != mine.Policy.SHA256 {
		text := func(p run.Policy) string { return fmt.Sprintf("%s (SHA-256 %.12s)", p.Name, p.SHA256) }
		add("policy", text(p), text(mine.Policy))
	}
	for _, name := range slices.Sorted(maps.Keys(mine.Models)) {
		if was, now := models[name], mine.Models[name]; was != "" && was != now {
			text := func(sha string) string { return fmt.Sprintf("SHA-256 %.12s", sha) }
			add("model file "+name, text(was), text(now))
		}
	}
	if engine != "" && engine != s.cfg.Engine {
		add("engine", engine, s.cfg.Engine)
	}
	if d.SHA256 != "" && !s.serves(version) {
		add("engine version (resume it with the release that began it)", fmt.Sprint(run.EngineOf(version)), fmt.Sprint(mine.EngineVersion))
	}
	// The stored plan holds; only what was asked for by a flag can differ.
	if plan != nil && d.SHA256 == mine.Data.SHA256 {
		want := mine.Plan
		if s.asked.plan && (want.Chunks != plan.Chunks || want.ChunkBars != plan.ChunkBars) {
			add("plan", describePlan(*plan), describePlan(want))
		}
		if s.asked.order && want.Order != plan.Order {
			add("order", string(plan.Order), string(want.Order))
		}
	}
	if len(e.Fields) == 0 {
		return nil
	}
	return e
}

// serves reports whether this program has the engine of version v.
func (s *Session) serves(v int) bool {
	if s.cfg.EngineVersion != 0 {
		return run.SameEngine(v, s.cfg.EngineVersion)
	}
	return replay.Serves(v)
}

// refuseCommand is refuse for the user's command: by its files, one by one. A
// run whose command is not known yet takes what comes.
func (s *Session) refuseCommand(stored run.Command, extra string) error {
	mine := s.identity.Command
	e := &Differs{RunID: s.cfg.RunID}
	if now := s.identity.Data.Extra; !stored.IsZero() && extra != now {
		e.Fields = append(e.Fields, Difference{"the data's own columns", fmt.Sprintf("digest %.12s", extra), fmt.Sprintf("digest %.12s", now)})
	}
	if stored.IsZero() || mine.IsZero() {
		stored, mine = run.Command{}, run.Command{}
	}
	for _, d := range stored.Differences(mine) {
		what, how, _ := strings.Cut(d, ": ")
		was, now, two := strings.Cut(how, ", not ")
		if !two {
			was, now = how, "otherwise"
		}
		e.Fields = append(e.Fields, Difference{what, was, now})
	}
	if len(e.Fields) == 0 {
		return nil
	}
	return e
}

// refuseDecisions is refuse for whether the run keeps decisions.
func (s *Session) refuseDecisions(stored bool) error {
	if !s.asked.decisions || s.cfg.decisions() == stored {
		return nil
	}
	text := map[bool]string{false: "off", true: "on"}
	return &Differs{RunID: s.cfg.RunID, Fields: []Difference{{"decisions", text[stored], text[s.cfg.decisions()]}}}
}

// keptDecisions reports whether the run of these chunks keeps decisions, as their
// footers list: one that is ok lists all that its attempt left.
func keptDecisions(chunks []perf.Chunk) (on, known bool) {
	for _, c := range chunks {
		lists := slices.ContainsFunc(c.Line.Footer().Artifacts, func(a footer.Artifact) bool { return a.Name == trade.DecisionsName })
		if lists {
			return true, true
		}
		known = known || c.Line.IsOK()
	}
	return false, known
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func describeData(d run.Data) string {
	text := fmt.Sprintf("%d bars of %s (SHA-256 %.12s)", d.Bars, d.Source, d.SHA256)
	if d.SpreadBps != 0 {
		text += fmt.Sprintf(", spread %v bps", d.SpreadBps)
	}
	if d.BeforeBars != 0 {
		text += fmt.Sprintf(", %d of them before the period", d.BeforeBars)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Read)) {
		text += fmt.Sprintf(", --%s %s", name, d.Read[name])
	}
	return text
}

func describePlan(p run.Plan) string {
	if p.ChunkBars > 0 {
		return fmt.Sprintf("%d chunks of %d bars", p.Chunks, p.ChunkBars)
	}
	return fmt.Sprintf("%d chunks", p.Chunks)
}

// finished reports whether the perf file of earlier sessions leaves nothing
// to do.
func (s *Session) finished(f perf.File) bool {
	if len(f.Chunks) == 0 {
		return false
	}
	for _, c := range f.Chunks {
		if c.Line.IsOK() || c.Status == footer.StatusFailed && !s.cfg.RetryFailed {
			continue
		}
		return false
	}
	return true
}

// unselected reports whether an earlier session exported f, which leaves
// nothing to replay, and ended before it had selected the run's trades from what
// its chunks have left. What that takes is still there as long as the run is not
// cleaned.
func (s *Session) unselected(f perf.File) bool {
	sel := f.Report.Selection
	none := sel.ScopeName() == perf.ScopeChunks
	if f.Totals.Outcome == perf.OutcomeComplete {
		none = !sel.Settled()
	}
	return none && !clean(s.target) && selection.HasSignals(f.Chunks)
}

// newIncarnation draws the incarnation of a run that begins now.
func newIncarnation() run.Incarnation {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return run.NewIncarnation(random)
}

// seeded is p with the seed of this run, if its order has one.
func (s *Session) seeded(p run.Plan) run.Plan {
	if p.Order == run.OrderSample {
		p.Seed = run.SampleSeed(s.cfg.RunID)
	}
	return p
}

// first is the manifest of a first session on set.
func (s *Session) first(set bars.Set) (run.Manifest, error) {
	n := int64(len(set.Bars))
	plan, err := run.NewPlan(n, s.cfg.Chunks, s.cfg.ChunkBars, s.cfg.Order)
	if err != nil {
		return run.Manifest{}, err
	}
	plan = s.seeded(plan)
	host, err := os.Hostname()
	if err != nil {
		return run.Manifest{}, fmt.Errorf("finding this host's name: %w", err)
	}
	pid := os.Getpid()
	start, err := process.StartTime(pid)
	if err != nil {
		return run.Manifest{}, fmt.Errorf("finding this process's start: %w", err)
	}
	place, err := process.Here()
	if err != nil {
		s.cfg.Logger.Warn("liveness of this coordinator is known from its heartbeat only", "error", err)
	}
	m := run.Manifest{
		Schema: run.Schema, RunID: s.cfg.RunID, Incarnation: newIncarnation(), Session: 1, State: run.StateRunning,
		Data: DataOf(set), Plan: plan, Policy: PolicyOf(s.cfg.Policy),
		Decisions:      s.cfg.decisions(),
		PregateEnabled: s.cfg.Policy.Pregate.Enabled, PregateEnabledSource: string(s.cfg.Policy.Pregate.EnabledSource),
		Engine: s.cfg.Engine, EngineVersion: cmp.Or(s.cfg.EngineVersion, replay.Version), LeaseDuration: s.cfg.Lease, MaxFailures: s.cfg.MaxFailures,
		Sessions:    []run.SessionTimes{{Session: 1, StartedAt: s.started.UTC()}},
		Coordinator: run.Coordinator{Host: host, PID: pid, StartTime: start, HeardAt: s.started.UTC(), BootID: place.BootID, PIDNamespace: place.PIDNamespace},
		CreatedAt:   s.started.UTC(),
	}
	if s.cfg.Engine == footer.EngineBuiltin {
		features, err := newFeatures(s.cfg.Policy)
		if err != nil {
			return run.Manifest{}, err
		}
		if err := checkModel(s.cfg.Policy); err != nil {
			return run.Manifest{}, err
		}
		m.FeatureStates, m.Models = dataset.StatesName(m.Data, features), modelsOf(s.cfg.Policy)
	}
	if s.cfg.Engine == footer.EngineExec {
		m.Command = s.cfg.Command
		m.Policy.Files = policyFiles(s.cfg.Policy)
		if m.Data.Extra, err = dataset.ExtraDigest(set.Extra, n); err != nil {
			return run.Manifest{}, err
		}
		if err := execengine.CheckEmits(m.Command.Emits, s.cfg.Policy, m.Data); err != nil {
			return run.Manifest{}, err
		}
		if !m.Command.IsZero() {
			m.Identity = m.Command.Identity()
		}
	}
	return m, m.Validate()
}

// next is the manifest of this session: the first one's, or what resumes from
// stored (nil: the bus holds no such run) and from what earlier sessions have
// left in files. heard is the time of the last sign of life on the bus.
func (s *Session) next(stored *run.Manifest, heard time.Time) (run.Manifest, error) {
	m := s.identity
	var earlier []run.SessionTimes
	if s.ledger.Known() {
		file := s.ledger.File()
		r := file.Report
		if err := s.refuse(r.Data, r.Env.Engine, r.EngineVersion, r.Policy, r.Model.Digests, nil); err != nil {
			return m, err
		}
		if err := s.refuseCommand(r.Command, r.Data.Extra); err != nil {
			return m, err
		}
		if file.Measured() {
			m.Incarnation = r.Incarnation
		}
		if r.Data.SHA256 != "" || r.EngineVersion != 0 {
			m.EngineVersion = run.EngineOf(r.EngineVersion)
		}
		earlier = r.Sessions
		m.StopSeq = s.exported().Report.Stop.Seq
		plan, planned, err := s.ledger.Plan(m.Plan.Order)
		if err != nil {
			return m, err
		}
		if planned {
			if err := s.refuse(r.Data, "", r.EngineVersion, run.Policy{}, nil, &plan); err != nil && stored == nil {
				return m, err
			}
			m.Plan = s.seeded(plan)
		}
		if on, known := keptDecisions(file.Chunks); known && stored == nil {
			if err := s.refuseDecisions(on); err != nil {
				return m, err
			}
			m.Decisions = on
		}
	}
	if stored != nil {
		if err := s.refuse(stored.Data, stored.Engine, stored.EngineVersion, stored.Policy, stored.Models, &stored.Plan); err != nil {
			return m, err
		}
		if err := s.refuseCommand(stored.Command, stored.Data.Extra); err != nil {
			return m, err
		}
		if s.ledger.File().Measured() && stored.Incarnation != m.Incarnation {
			return m, &Differs{RunID: m.RunID, Fields: []Difference{{"incarnation on the bus (another run of this name)", orNone(string(stored.Incarnation)), orNone(string(m.Incarnation))}}}
		}
		m.Incarnation = stored.Incarnation
		if stored.State == run.StateExported {
			return m, &Cleaned{exportedBy(*stored)}
		}
		if err := s.refuseDecisions(stored.Decisions); err != nil {
			return m, err
		}
		m.Plan, m.CreatedAt, m.Decisions = stored.Plan, stored.CreatedAt, stored.Decisions
		m.EngineVersion = run.EngineOf(stored.EngineVersion)
		if m.Identity == "" {
			m.Identity, m.Command = stored.Identity, stored.Command
		}
		if stored.FeatureStates != "" {
			m.FeatureStates = stored.FeatureStates
		}
		m.StopSeq = max(m.StopSeq, stored.StopSeq)
		m.ExportSHA256, m.ExportFile, m.ExportHost = stored.ExportSHA256, stored.ExportFile, exportHost(*stored)
		earlier = perf.MergeSessions(stored.Sessions, earlier)
		heard = latest(heard, stored.Coordinator.HeardAt)
	}
	earlier = slices.Clone(earlier)
	for i := range earlier {
		s.end(&earlier[i], latest(heard, s.ledger.HeardAt()))
	}
	if n := len(earlier); n > 0 {
		m.Session = earlier[n-1].Session + 1
	}
	if stored != nil {
		m.Session = max(m.Session, stored.Session+1)
	}
	m.Sessions = append(earlier, run.SessionTimes{Session: m.Session, StartedAt: s.started.UTC()})
	if s.cfg.EngineVersion == 0 {
		if _, err := replay.ForVersion(m.EngineVersion, s.cfg.Policy, m.Data.BarLength); err != nil {
			return m, fmt.Errorf("run %s: %w", s.cfg.RunID, err)
		}
	}
	return m, m.Validate()
}

// end gives a session that never wrote its end the last moment at which it
// sign of life: a crash ends a period there, not at the time of reading.
func (s *Session) end(t *run.SessionTimes, heard time.Time) {
	if !t.EndedAt.IsZero() {
		return
	}
	t.EndedAt = latest(t.StartedAt.Add(seconds(t.WallSec)), heard)
	if t.EndedAt.After(s.started) {
		t.EndedAt = s.started // of a clock that was set back
	}
	t.WallSec = max(t.EndedAt.Sub(t.StartedAt).Seconds(), 0)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// stampStop gives a run that begins now the last stop of its name: that one was
// for another run. On an embedded bus the stops that were stored before its port
// opened were for the session before this one, if that has seen its end: one may
// have come between its last look and the closing of the port. stored is the
// manifest on the bus, the zero one if there is none.
func (s *Session) stampStop(ctx context.Context, b *bus.Bus, stored, m *run.Manifest) error {
	if m.Session > 1 {
		if s.cfg.NATS == nil && saysEnd(*stored) {
			m.StopSeq = max(m.StopSeq, s.stopBefore)
		}
		return nil
	}
	if s.cfg.NATS == nil { // a stop that came when the port was open is for this one
		m.StopSeq = max(m.StopSeq, s.stopBefore)
		return nil
	}
	stop, err := b.LastStop(ctx, m.RunID)
	if err != nil {
		return err
	}
	m.StopSeq = max(m.StopSeq, stop.Seq)
	return nil
}

// saysEnd reports whether the last session of m has written its end, after its
// last export.
func saysEnd(m run.Manifest) bool {
	n := len(m.Sessions)
	return n > 0 && !m.Sessions[n-1].EndedAt.IsZero() && m.ExportSHA256 != ""
}

// passOwnStop raises the session's stop_seq past a stop that an earlier
// coordinator stored for its own signal, and exported: a crash after that
// export must not stop the resume. A user's stop counts until a last export
// has recorded that it is done with.
func (s *Session) passOwnStop(ctx context.Context, b *bus.Bus, m *run.Manifest) error {
	stop, err := b.LastStop(ctx, m.RunID)
	if err != nil {
		return err
	}
	r := s.exported().Report
	if n := len(r.Sessions); stop.Session > 0 && stop.Session < m.Session && r.Stop.Source.Own() &&
		n > 0 && r.Sessions[n-1].Session == stop.Session {
		m.StopSeq = max(m.StopSeq, stop.Seq)
	}
	return nil
}

// alone returns ErrAlive if the coordinator of the stored session lives.
func (s *Session) alone(ctx context.Context, b *bus.Bus, stored run.Manifest) error {
	c := stored.Coordinator
	lives, err := Alive(ctx, b, stored, func(d time.Duration) {
		s.cfg.Logger.Info("watching the heartbeat of the run's coordinator", "host", c.Host, "pid", c.PID, "for", d)
		s.notice("the run's coordinator, %s, may be active; watching its heartbeat for %v", describeProcess(c), d.Round(time.Second))
	})
	if err != nil || !lives {
		return err
	}
	return fmt.Errorf("run %s: %w (%s)", stored.RunID, ErrAlive, describeProcess(c))
}

// alreadyRun is the answer to a run that leaves nothing to do.
func (s *Session) alreadyRun() *AlreadyRun {
	e := &AlreadyRun{RunID: s.cfg.RunID, Path: s.target.Perf(), File: s.exported()}
	if e.File.Totals.Coverage.ByStatus[footer.StatusFailed].Chunks > 0 {
		e.Code = 3
	}
	return e
}
