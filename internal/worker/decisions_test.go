package worker

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/bus"
	"gx1replay/internal/dataset"
	"gx1replay/internal/footer"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// A run that keeps decisions leaves them behind its signals, or alone where
// there is no signal; another run leaves none.
func TestBuiltinLeavesDecisions(t *testing.T) {
	const n = 2000
	const signals = "model: {kind: logistic, long: {weights: {body_pct: 3}}, short: {bias: -50}}\nfeatures: [body_pct]\nexit: {max_bars: 20}\n"
	none := strings.Replace(signals, "exit:", "entry: {p_side_min: 1}\nexit:", 1)
	for name, c := range map[string]struct {
		doc       string
		decisions bool
		want      string
	}{
		"off":               {signals, false, "signals"},
		"on":                {signals, true, "signals decisions"},
		"on, no signal":     {none, true, "decisions"},
		"off and no signal": {none, false, ""},
	} {
		s, m := loaded(t, n, c.doc)
		m.Decisions = c.decisions
		m.Plan.Chunks = 1
		e := Builtin{Objects: s, Cache: dataset.NewCache(t.TempDir(), 1<<30, nil)}
		res, err := e.Replay(t.Context(), Job{Manifest: m, Chunk: run.Chunk{Bars: run.BarRange{First: 500, End: 1500}}}, nil)
		must(t, err)
		must(t, checkArtifacts(res.Artifacts))
		var names []string
		for _, a := range res.Artifacts {
			names = append(names, a.Name)
			if a.Name != trade.DecisionsName {
				continue
			}
			d, err := trade.DecodeDecisions(a.Artifact, a.Content)
			must(t, err)
			must(t, d.Check(res.Footer))
			if d.Len() != 1000 {
				t.Errorf("%s: %d decisions (want 1000)", name, d.Len())
			}
		}
		if got := strings.Join(names, " "); got != c.want || res.Unkept != nil {
			t.Errorf("%s: artifacts %q, unkept %v (want %q)", name, got, res.Unkept, c.want)
		}
	}
}

// A bus that takes the first artifact and not the second costs the last record
// the second alone: it lists what is there.
func TestTheFinalReportListsWhatIsStored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x := newBench(t)
		stream, err := x.js().Stream(t.Context(), bus.StreamArtifacts)
		must(t, err)
		cfg := stream.CachedInfo().Config
		cfg.MaxMsgs, cfg.Discard = 21, jetstream.DiscardNew
		_, err = x.js().UpdateStream(t.Context(), cfg)
		must(t, err)
		o := x.listen()
		second := testArtifact(trade.DecisionsName, "stored", "refused")
		x.a.w.cfg.Engine = engineFunc(func(context.Context, func(footer.Footer)) (Result, error) {
			return Result{Footer: counted(7), Artifacts: []Artifact{manyParts(), second}}, errors.New("a bad bar")
		})
		begun := time.Now()
		x.a.run(t.Context())
		if took := time.Since(begun); took > lastWords {
			t.Errorf("the last word took %v (want %v at most)", took, lastWords)
		}
		o.judge()
		rec, _ := x.record()
		if rec.Own == nil || len(rec.Own.Artifacts) != 1 || rec.Own.Artifacts[0] != manyParts().Artifact {
			t.Errorf("the record's own footer: %+v (want it to list the first artifact)", rec.Own)
		}
		disk := x.onDisk()
		if len(disk.Artifacts) != 2 || !footer.Outranks(disk, *rec.Own) {
			t.Errorf("on disk: seq %d, artifacts %+v (want both, above the record's seq %d)", disk.Seq, disk.Artifacts, rec.Own.Seq)
		}
	})
}
