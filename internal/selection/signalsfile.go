package selection

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/perf"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
	"gx1replay/internal/trade"
)

// mostKept bounds the encoded signals that a selection keeps for their file, in
// bytes: more of them would not go into one of trade.MaxSignalFile.
const mostKept = 2 * trade.MaxSignalFile

// keptSignals are the signals of a run's chunks, encoded, with what the
// selection made of them.
type keptSignals struct {
	chunks []keptChunk
	rows   int64
	bytes  int64
	err    error // why they are not kept
}

type keptChunk struct {
	idx      int
	artifact footer.Artifact
	parts    [][]byte
	picks    trade.Picks
}

// add keeps the signals of a chunk.
func (k *keptSignals) add(idx int, signals []trade.Signal, picks trade.Picks) {
	if k.err != nil || len(signals) == 0 {
		return
	}
	a, parts, err := trade.EncodeSignals(trade.ArtifactName, signals)
	if err == nil && k.bytes+a.Bytes > mostKept {
		err = trade.ErrSignalsTooLarge
	}
	if err != nil {
		*k = keptSignals{err: err}
		return
	}
	k.chunks = append(k.chunks, keptChunk{idx, a, parts, picks})
	k.rows += int64(len(signals))
	k.bytes += a.Bytes
}

// all yields them in order.
func (k *keptSignals) all() iter.Seq2[trade.KeptSignal, error] {
	return func(yield func(trade.KeptSignal, error) bool) {
		for _, c := range k.chunks {
			list, err := trade.DecodeSignals(c.artifact, c.parts)
			if err != nil {
				yield(trade.KeptSignal{}, err)
				return
			}
			for i := range list {
				s := trade.KeptSignal{Signal: list[i]}
				s.Taken, s.Dropped = c.picks.Dropped(i)
				if !yield(s, nil) {
					return
				}
			}
		}
	}
}

// byChunk are the signals by the index of their chunk.
func (k *keptSignals) byChunk() (map[int][]trade.Signal, error) {
	all := make(map[int][]trade.Signal, len(k.chunks))
	for _, c := range k.chunks {
		list, err := trade.DecodeSignals(c.artifact, c.parts)
		if err != nil {
			return nil, err
		}
		all[c.idx] = list
	}
	return all, nil
}

// keep keeps the signals of a chunk for their file, each followed to its end:
// whoever compares runs needs the exits of signals that nobody took as well.
func (p *pass) keep(ctx context.Context, idx int, signals []trade.Signal, picks trade.Picks) error {
	if p.kept == nil {
		return nil
	}
	kept := signals
	for i := range signals {
		if s := &signals[i]; s.Left == nil || s.Next() >= p.data.Bars || p.staysOpen != nil {
			continue
		}
		if &kept[0] == &signals[0] {
			kept = slices.Clone(signals)
		}
		s := &kept[i]
		err := trade.Finish(&p.rules, s, p.data.Bars, p.Bars.Bars(ctx, run.BarRange{First: s.Next(), End: p.data.Bars}))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil { // it stays open, and says so
			break
		}
	}
	p.kept.add(idx, kept, picks)
	return nil
}

// trySignals writes the file of the run's signals and names it in the selection.
// What keeps it from that is logged, and said in the perf JSON: nothing else
// depends on it.
func (p *pass) trySignals(ctx context.Context, r perf.Report) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/signalsShare)
		defer cancel()
	}
	err := p.kept.err
	var skipped trade.BarSet
	if err == nil {
		skipped, err = p.skipped(ctx, r)
	}
	sum := sha256.New()
	if err == nil {
		err = p.Selector.writeFiles(ctx, file{path: p.Files.Signals(), write: func(w io.Writer) error {
			return trade.WriteSignals(io.MultiWriter(w, sum), skipped, p.kept.all())
		}})
	}
	if err != nil {
		p.Logger.Warn("the signals are not kept: runs can be compared by their trades alone", "path", p.Files.Signals(), "error", err)
		if errors.Is(err, trade.ErrSignalsTooLarge) {
			p.sel.Remarks = append(p.sel.Remarks, fmt.Sprintf("the signals are not kept: %v", err))
		}
		return
	}
	if p.sel.Estimate != nil && skipped.Bars() > 0 {
		p.sel.Estimate.PregateSkips = skipped.Count(0, skipped.Bars())
	}
	name, sha := named(p.Files, p.Files.Signals(), sum)
	p.sel.Signals = perf.SignalsFile{File: name, SHA256: sha, Rows: p.kept.rows}
}

// signalsShare is the part of the time for a selection, one of so many of what
// is left, that the file of signals may take.
const signalsShare = 2

// skipped finds the bars that the run's pregate skips; none where only a command
// knows its gate, or the bars are not at hand.
func (p *pass) skipped(ctx context.Context, r perf.Report) (trade.BarSet, error) {
	if p.theirs || p.staysOpen != nil || !r.PregateEnabled || r.Env.Engine != footer.EngineBuiltin {
		return trade.BarSet{}, nil
	}
	gated := p.policy
	gated.Pregate.Enabled = true
	return replay.SkippedBars(gated, p.data.Bars, p.Bars.Bars(ctx, run.BarRange{End: p.data.Bars}))
}
