package cuts_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/dataset"
	"gx1replay/internal/export"
	"gx1replay/internal/feature"
	"gx1replay/internal/footer"
	"gx1replay/internal/model"
	"gx1replay/internal/policy"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// policies are the files in testdata.
var policies = []string{"sparse", "dense", "ten", "charged"}

// study is a policy on a data set, with what the chunks of a run share.
type study struct {
	bars     []bars.Bar
	data     run.Data
	policy   policy.Policy
	sessions feature.SessionTable
	model    *model.Set
	rules    trade.Rules
	states   dataset.States
}

// newStudy prepares a run as the coordinator and a worker do. sliceBars is how
// far the states of recursive features are apart.
func newStudy(t testing.TB, name string, data []bars.Bar, sliceBars int64) *study {
	t.Helper()
	p, err := policy.Load(filepath.Join("testdata", name+".yaml"), policy.Options{NeedModel: true, Strict: true})
	must(t, err)
	s := &study{bars: data, policy: p, data: run.Data{
		SHA256: bars.Digest(data), Bars: int64(len(data)), BarLength: bars.BarLength(data), SliceBars: sliceBars,
	}}
	s.sessions = feature.NewSessionTable(p.Sessions)
	s.model, err = model.NewSet(*p.Model, p.Sessions, p.Features, p.ModelContent)
	must(t, err)
	s.rules, err = trade.NewRules(p, s.data.BarLength)
	must(t, err)
	if object := dataset.StatesName(s.data, s.fresh(t)); object != "" {
		content, err := dataset.ComputeStates(s.data, data, s.fresh(t))
		must(t, err)
		s.states, err = dataset.LoadStates(t.Context(), shelf{object: content}, object, s.data, s.fresh(t))
		must(t, err)
	}
	return s
}

func (s *study) fresh(t testing.TB) *feature.Set {
	t.Helper()
	set, err := feature.New(s.policy.Features, s.sessions)
	must(t, err)
	return set
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shelf is an object store of one test.
type shelf map[string][]byte

func (s shelf) HasObject(_ context.Context, name string) (bool, error) { return s[name] != nil, nil }

func (s shelf) PutObject(_ context.Context, name string, data []byte) error {
	s[name] = data
	return nil
}

func (s shelf) GetObject(_ context.Context, name string, _ int64) ([]byte, error) {
	if s[name] == nil {
		return nil, fmt.Errorf("object %s is not there", name)
	}
	return s[name], nil
}

// cut is a way to do a run.
type cut struct {
	chunks, workers int
	order           run.Order
	follow          int64 // replay.follow_bars
}

func (c cut) String() string {
	return fmt.Sprintf("%d chunks, %d workers, order %s, follow_bars %d", c.chunks, c.workers, c.order, c.follow)
}

// sums are the counters of a run's footers, added up.
type sums struct {
	bars, warmup, skips, passes, missing, calls, signals int64
	reasons                                              string
}

// outcome is all that must not depend on the cut.
type outcome struct {
	csv, parquet         string // SHA-256, hex
	metrics, attribution string // the files
	sums
}

// done is a run that was done, and what a test looks at beside its outcome.
type done struct {
	outcome
	signals  []trade.Signal
	taken    trade.Picks
	finished int // signals that were followed on after their chunk
}

// do replays the chunks of a plan, joins their signals, selects over the run
// and writes its files.
func (s *study) do(t testing.TB, c cut) done {
	t.Helper()
	plan, err := run.NewPlan(s.data.Bars, c.chunks, 0, c.order)
	must(t, err)
	chunks := make([]run.Chunk, plan.Chunks)
	for i := range chunks {
		chunks[i] = plan.Chunk(i)
	}
	d, err := s.doChunks(t.Context(), chunks, slices.Collect(plan.Published()), c)
	must(t, err)
	return d
}

// doChunks does the same with chunks that need not be a plan's, replayed in
// the given order; of c it needs workers and follow.
func (s *study) doChunks(ctx context.Context, chunks []run.Chunk, order []int, c cut) (done, error) {
	s.policy.Replay.FollowBars = c.follow
	parts, err := s.replay(ctx, chunks, order, c.workers)
	if err != nil {
		return done{}, err
	}
	return s.join(parts)
}

// part is what a chunk comes to on its way to the coordinator.
type part struct {
	chunk   run.Chunk
	footer  footer.Footer
	signals [][]byte
}

// replay replays the chunks in that order, so many at a time.
func (s *study) replay(ctx context.Context, chunks []run.Chunk, order []int, workers int) ([]part, error) {
	parts := make([]part, len(chunks))
	next := make(chan int, len(order))
	for _, i := range order {
		next <- i
	}
	close(next)
	errs := make([]error, workers)
	var work sync.WaitGroup
	for w := range workers {
		work.Go(func() {
			for i := range next {
				if parts[i], errs[w] = s.replayOne(ctx, chunks[i]); errs[w] != nil {
					return
				}
			}
		})
	}
	work.Wait()
	return parts, errors.Join(errs...)
}

func (s *study) replayOne(ctx context.Context, chunk run.Chunk) (part, error) {
	res, err := replay.Run(ctx, replay.Job{
		Bars: chunk.Bars, DataBars: s.data.Bars, BarLength: s.data.BarLength,
		Policy: s.policy, Model: s.model, States: s.states.States, StateEvery: s.states.SliceBars,
		ReportEvery: time.Hour,
	}, replay.InMemory(s.bars), nil)
	if err != nil {
		return part{}, fmt.Errorf("replaying chunk %d: %w", chunk.Idx, err)
	}
	artifact, encoded, err := trade.EncodeSignals("signals", res.Signals)
	if err != nil {
		return part{}, fmt.Errorf("encoding the signals of chunk %d: %w", chunk.Idx, err)
	}
	res.Footer.Artifacts = []footer.Artifact{artifact}
	return part{chunk, res.Footer, encoded}, nil
}

// join does what the coordinator does on export.
func (s *study) join(parts []part) (d done, err error) {
	reasons := footer.Counts{}
	for _, p := range parts {
		list, err := trade.DecodeSignals(p.footer.Artifacts[0], p.signals)
		if err == nil {
			err = trade.ValidateSignals(list, p.chunk.Bars, s.data.Bars)
		}
		if err != nil {
			return d, fmt.Errorf("the signals of chunk %d: %w", p.chunk.Idx, err)
		}
		d.signals = append(d.signals, list...)
		f, sum := p.footer, &d.sums
		sum.bars += f.BarsProcessed
		sum.warmup += f.BarsSkippedWarmup
		sum.skips += f.PregateSkips
		sum.passes += f.PregatePasses
		sum.missing += f.PregateMissingInputs
		sum.calls += f.NModelCalls
		sum.signals += f.NSignals
		for reason, n := range f.SkipReasons {
			reasons[reason] += n
		}
	}
	d.reasons = fmt.Sprint(reasons)
	var drops footer.Counts
	d.taken, drops, err = trade.NewPass(s.policy.Risk).Next(d.signals, func(sig *trade.Signal) error {
		d.finished++
		return s.finish(sig)
	})
	if err != nil {
		return d, err
	}
	a := trade.NewAttribution()
	*a.BarsProcessed, *a.BarsSkippedWarmup, *a.PregateSkips, *a.PregatePasses, a.SkipReasons = d.bars, d.warmup, d.skips, d.passes, reasons
	for trade := range d.taken.Closed(d.signals) {
		a.AddTrade(trade.ExitReason)
	}
	a.AddSignals(int64(len(d.signals)), int64(d.taken.Len())-a.NTrades, drops)
	if total := func(c footer.Counts) (n int64) {
		for _, x := range c {
			n += x
		}
		return n
	}; *a.NSignals != a.NTrades+*a.TradesOpen+total(a.DropReasons) || *a.PregateSkips != total(a.SkipReasons) || a.NTrades != total(a.ExitReasons) {
		return d, fmt.Errorf("the attribution's counts do not add up: %+v", a)
	}
	return d, s.write(&d, a)
}

// finish follows a signal on to its end, or the data's.
func (s *study) finish(sig *trade.Signal) error {
	rest := run.BarRange{First: sig.Next(), End: s.data.Bars}
	return trade.Finish(&s.rules, sig, s.data.Bars, export.MemoryBars(s.bars).Bars(context.Background(), rest))
}

// write writes the run's files into d.
func (s *study) write(d *done, a trade.Attribution) error {
	for _, file := range []struct {
		to    *string
		plain bool
		write func(io.Writer) error
	}{
		{&d.csv, false, func(w io.Writer) error {
			return trade.WriteCSV(w, d.taken.Closed(d.signals), s.sessions, s.policy.Costs)
		}},
		{&d.parquet, false, func(w io.Writer) error {
			return trade.WriteParquet(w, d.taken.Closed(d.signals), s.sessions, s.policy.Costs)
		}},
		{&d.metrics, true, trade.Measure(d.taken.Closed(d.signals), s.sessions, s.policy.Costs).WriteJSON},
		{&d.attribution, true, a.WriteJSON},
	} {
		var b bytes.Buffer
		if err := file.write(&b); err != nil {
			return err
		}
		*file.to = b.String()
		if !file.plain {
			sum := sha256.Sum256(b.Bytes())
			*file.to = hex.EncodeToString(sum[:])
		}
	}
	return nil
}
