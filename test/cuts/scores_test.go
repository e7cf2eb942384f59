package cuts_test

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/execengine"
	"gx1replay/internal/footer"
	"gx1replay/internal/model"
	"gx1replay/internal/policy"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
	"gx1replay/internal/trade"
	"gx1replay/test/testsize"

	"pgregory.net/rapid"
)

// probabilities are those that a command would compute that has the model of s
// and the features of the whole data set: NaN where it has none.
func (s *study) probabilities(t testing.TB) (long, short []float64) {
	t.Helper()
	set := s.fresh(t)
	for _, b := range s.bars {
		set.Push(b)
		x, y := math.NaN(), math.NaN()
		if set.Ready() && s.model.Has(set.Session()) {
			x, y = s.model.Score(set.Session(), set.Values())
		}
		long, short = append(long, model.Sigmoid(x)), append(short, model.Sigmoid(y))
	}
	return long, short
}

// scoring replays chunks of s by scores that a command leaves in files.
type scoring struct {
	*study
	dir         string
	long, short []float64
	tail        int64 // bars of a slice behind its chunk
	follow      int64 // replay.follow_bars
}

// one is replayOne by a file of scores.
func (s *scoring) one(ctx context.Context, chunk run.Chunk) (part, error) {
	dir := filepath.Join(s.dir, strconv.FormatInt(chunk.Bars.First, 10)+"-"+strconv.FormatInt(chunk.Bars.End, 10))
	if err := s.leave(dir, chunk.Bars); err != nil {
		return part{}, err
	}
	out, err := safefile.OpenDir(dir)
	if err != nil {
		return part{}, err
	}
	defer out.Close() // it was read only
	first, last := max(0, chunk.Bars.First-20), min(s.data.Bars, chunk.Bars.End+s.tail)
	e := execengine.Emit{
		Kind: run.EmitsScores, Dir: out, Chunk: chunk.Bars, Data: s.data, Policy: s.policy, Source: replay.InMemory(s.bars),
		FirstRow: first, Bars: chunk.Bars.Len(),
	}
	e.Policy.Model, e.Policy.Features, e.Policy.Replay.FollowBars = nil, []string{"its_own"}, s.follow
	for _, b := range s.bars[first:last] {
		e.Times = append(e.Times, b.TimeNS)
	}
	left, err := execengine.Emitted(ctx, e)
	if err != nil {
		return part{}, err
	}
	p := part{chunk: chunk}
	p.footer.BarsProcessed = left.Bars
	p.footer.Artifacts = []footer.Artifact{{}}
	for _, a := range left.Artifacts {
		p.footer.Artifacts[0], p.signals = a.Artifact, a.Content
	}
	return p, nil
}

// leave writes scores.csv as Python writes numbers: the shortest text that
// reads back the same.
func (s *scoring) leave(dir string, r run.BarRange) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString("time,p_long,p_short\n")
	for i := r.First; i < r.End; i++ {
		b.WriteString(time.Unix(0, s.bars[i].TimeNS).UTC().Format("2006-01-02 15:04:05+00:00"))
		for _, p := range [2]float64{s.long[i], s.short[i]} {
			b.WriteByte(',')
			b.WriteString(strconv.FormatFloat(p, 'g', -1, 64))
		}
		b.WriteByte('\n')
	}
	return os.WriteFile(filepath.Join(dir, "scores.csv"), b.Bytes(), 0o644)
}

// csv is the SHA-256 of the trades file of a run by scores, cut at borders.
func (s *scoring) csv(ctx context.Context, borders []int64) (string, error) {
	var parts []part
	first := int64(0)
	for i, end := range borders {
		p, err := s.one(ctx, run.Chunk{Idx: i, Bars: run.BarRange{First: first, End: end}})
		if err != nil {
			return "", err
		}
		if p.signals != nil { // else there are none to decode
			parts = append(parts, p)
		}
		first = end
	}
	d, err := s.join(parts)
	return d.csv, err
}

// drawPolicy changes all of p that scores go by: gate, entries, exits, risk.
func drawPolicy(t *rapid.T, p policy.Policy) policy.Policy {
	p01 := func(name string) float64 { return float64(rapid.IntRange(0, 100).Draw(t, name)) / 100 }
	maybe := func(name string, lo, hi float64) *float64 {
		if !rapid.Bool().Draw(t, name+" is set") {
			return nil
		}
		x := rapid.Float64Range(lo, hi).Draw(t, name)
		return &x
	}
	p.Pregate = policy.Pregate{Enabled: rapid.Bool().Draw(t, "gate"), MaxSpreadBps: maybe("spread", 1, 4), MinATRBps: maybe("atr", 0, 6)}
	if rapid.Bool().Draw(t, "sessions") {
		p.Pregate.AllowSessions = []string{p.Sessions[0].Name, p.Sessions[len(p.Sessions)-1].Name}
	}
	p.WarmupBars = rapid.Int64Range(0, 300).Draw(t, "warm-up")
	p.Entry.PSideMin = policy.Sides{Long: 0.3 + 0.5*p01("long"), Short: 0.3 + 0.5*p01("short")}
	p.Entry.MarginMin = policy.Sides{Long: 0.2 * p01("lead long"), Short: 0.2 * p01("lead short")}
	p.Exit = policy.Exit{StopBps: maybe("stop", 3, 30), TargetBps: maybe("target", 3, 30), MaxBars: rapid.Int64Range(1, 60).Draw(t, "max bars")}
	if rapid.Bool().Draw(t, "rule a") {
		p.Exit.RuleA = &policy.RuleA{ProfitMinBps: 6, ProfitMaxBps: 9, AdaptiveThresholdBps: 4, AdaptiveBars: 3, TrailingStopBps: 2}
	}
	p.Risk = policy.Risk{
		MaxOpenTrades: rapid.IntRange(1, 6).Draw(t, "open"), CooldownAfterExitIsSet: rapid.Bool().Draw(t, "cooldown"),
		CooldownBarsAfterExit: rapid.Int64Range(0, 9).Draw(t, "cooldown bars"),
	}
	p.Replay.Fill = rapid.SampledFrom([]policy.Fill{policy.FillNextOpen, policy.FillSignalClose}).Draw(t, "fill")
	return p
}

// A command that emits the probabilities of a model has the trades of the run
// in which that model is built in, byte for byte, for any policy and cut.
func TestScoresMakeTheModelsTrades(t *testing.T) {
	const n = 2000
	s := newStudy(t, "sparse", bars.Generate(n, 9), n)
	s.policy.Entry = policy.Entry{PSideMin: policy.Sides{Long: 0.5, Short: 0.5}}
	c := &scoring{study: s, dir: t.TempDir(), follow: 3}
	c.long, c.short = s.probabilities(t)
	whole := []run.Chunk{{Bars: run.BarRange{End: n}}}
	trades := 0
	same := func(borders []int64) (got, want string) {
		d, err := s.doChunks(t.Context(), whole, []int{0}, cut{workers: 1, follow: n})
		must(t, err)
		trades += d.taken.Len()
		got, err = c.csv(t.Context(), borders)
		must(t, err)
		return got, d.csv
	}
	for _, chunks := range []int{1, 7, 64} {
		plan, err := run.NewPlan(n, chunks, 0, run.OrderTime)
		must(t, err)
		var borders []int64
		for i := range plan.Chunks {
			borders = append(borders, plan.Chunk(i).Bars.End)
		}
		if got, want := same(borders); got != want {
			t.Errorf("%d chunks: trades file %s, %s with the model built in", chunks, got, want)
		}
	}
	if trades < 100 {
		t.Errorf("%d trades are too few to tell", trades)
	}
	// As many as there is time for; GX1R_CUTS draws them all.
	most := testsize.Of(t, 2, 10)
	if os.Getenv("GX1R_CUTS") != "" {
		most = math.MaxInt
	}
	base, drawn := s.policy, 0
	rapid.Check(t, func(rt *rapid.T) {
		if drawn >= most {
			return
		}
		s.policy = drawPolicy(rt, base)
		var err error
		if s.rules, err = trade.NewRules(s.policy, s.data.BarLength); err != nil {
			rt.Fatal(err)
		}
		c.tail, c.follow = rapid.Int64Range(0, 30).Draw(rt, "tail"), rapid.Int64Range(0, 40).Draw(rt, "follow")
		borders := rapid.SliceOfNDistinct(rapid.Int64Range(1, n-1), 0, 9, rapid.ID).Draw(rt, "borders")
		slices.SortFunc(borders, cmp.Compare[int64])
		before := trades
		if got, want := same(append(borders, n)); got != want {
			rt.Fatalf("cut at %v: trades file %s, %s with the model built in (%d trades)", borders, got, want, trades-before)
		}
		drawn++
	})
	t.Logf("%d trades of %d policies", trades, drawn)
}
