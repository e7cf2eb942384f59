package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"gx1replay/internal/bars"
	"gx1replay/internal/compare"
	"gx1replay/internal/execengine"
	"gx1replay/internal/export"
	"gx1replay/internal/perf"
	"gx1replay/internal/policy"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
	"gx1replay/internal/trade"
)

// loadRun reads a run by its id or the path of its perf JSON, with its signals or
// its command's trades. An error is about the perf JSON; why there are no signals
// stands in the run.
func loadRun(outputDir, text string) (*compare.Run, error) {
	path, err := perfPathIn(outputDir, text)
	if err != nil {
		return nil, err
	}
	side := readSide(path)
	if side.Err != nil {
		return nil, fmt.Errorf("%w: %s: %w", compare.ErrRefused, path, side.Err)
	}
	r := &compare.Run{Path: path, File: side.File}
	sel := side.File.Report.Selection
	switch {
	case sel.Scope == perf.ScopeCommand:
		r.Own, r.NoSignals = readOwnTrades(path, sel.Trades)
	case sel.Signals.File == "":
		r.NoSignals = errors.New("it keeps none (signals.file is empty)")
	default:
		r.Signals, r.NoSignals = readSignalFile(path, sel.Signals, side.File.Report.Data.Bars)
	}
	return r, nil
}

// besides reads the file that the perf JSON at path names, of at most so many
// bytes and with that digest.
func besides(path, name, sha string, most int64) ([]byte, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return nil, fmt.Errorf("%s names the file %.200q (want a path below its directory)", path, name)
	}
	at := filepath.Join(filepath.Dir(path), filepath.FromSlash(name))
	b, err := safefile.Read(at, most)
	if errors.Is(err, fs.ErrNotExist) { // beside the copy of the perf JSON stands the file
		at = filepath.Join(filepath.Dir(path), filepath.Base(at))
		b, err = safefile.Read(at, most)
	}
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != sha {
		return nil, fmt.Errorf("%s has SHA-256 %x (%s says %.64s)", at, sum, filepath.Base(path), sha)
	}
	return b, nil
}

func readSignalFile(path string, named perf.SignalsFile, dataBars int64) (*trade.SignalFile, error) {
	b, err := besides(path, named.File, named.SHA256, trade.MaxSignalFile)
	if err != nil {
		return nil, err
	}
	file, err := trade.ReadSignals(bytes.NewReader(b), int64(len(b)), dataBars)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", named.File, err)
	}
	return &file, nil
}

// mostOwnTrades bounds the file of a command's trades, in bytes.
const mostOwnTrades = 1 << 30

func readOwnTrades(path string, named perf.TradesFile) ([]compare.OwnTrade, error) {
	switch {
	case named.File == "":
		return nil, errors.New("it has no trades file (trades.file is empty)")
	case named.WithoutRows > 0:
		return nil, fmt.Errorf("%d of its trades are not in the trades file (trades.without_rows)", named.WithoutRows)
	}
	b, err := besides(path, named.File, named.SHA256, mostOwnTrades)
	if err != nil {
		return nil, err
	}
	list, err := compare.ReadOwn(bytes.NewReader(b), execengine.ParseTime)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", named.File, err)
	}
	return list, nil
}

// follower follows signals that runs left open, on the bars of source. Nil where
// source is empty.
func follower(ctx context.Context, source string, read dataFlags) (compare.Follow, error) {
	if source == "" {
		return nil, nil
	}
	set, err := read.open(source, false)
	if err != nil {
		return nil, err
	}
	sha, n := bars.Digest(set.Bars), int64(len(set.Bars))
	rules := map[*compare.Run]trade.Rules{}
	return func(r *compare.Run, s *trade.Signal) error {
		report := r.File.Report
		if report.Data.SHA256 != sha {
			return fmt.Errorf("--data %s has SHA-256 %s, the run's data %s", source, sha, report.Data.SHA256)
		}
		if _, ok := rules[r]; !ok {
			p, err := policy.Parse("policy.values", report.PolicyValues, policy.Options{})
			if err != nil {
				return err
			}
			if p, err = replay.ForVersion(report.EngineVersion, p, report.Data.BarLength); err != nil {
				return err
			}
			if rules[r], err = trade.NewRules(p, report.Data.BarLength); err != nil {
				return err
			}
		}
		own := rules[r]
		return trade.Finish(&own, s, n, export.MemoryBars(set.Bars).Bars(ctx, run.BarRange{First: s.Next(), End: n}))
	}, nil
}
