//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"gx1replay/test/check"
	"gx1replay/test/drive"
)

// latencyChunks are the sizes of the campaign `latency`.
var latencyChunks = [...]int{7, 1000, 10_000}

// runLatency measures from the signal to the first visible file, beside what
// the disk takes for the same bytes.
func runLatency(ctx context.Context, fs *flag.FlagSet, args []string, c *campaign) error {
	runs := fs.String("runs", "50,50,10", "runs with 7, 1,000 and 10,000 chunks")
	workers := fs.Int("workers", 2, "local workers")
	if err := fs.Parse(args); err != nil {
		return err
	}
	counts, err := numbers(*runs)
	if err != nil || len(counts) != len(latencyChunks) {
		return fmt.Errorf("--runs %s (want three numbers)", *runs)
	}
	done, err := c.prepare(ctx)
	if err != nil {
		return err
	}
	defer done()
	wrong := false
	for i, chunks := range latencyChunks {
		var visible, bare, busy []time.Duration
		var ratios []float64
		size := 0
		for n := range counts[i] {
			m, err := c.measure(ctx, fmt.Sprintf("latency_%d_%d", chunks, n), chunks, *workers)
			if err != nil {
				fmt.Fprintf(c.out, "%d chunks, run %d: %v\n", chunks, n, err)
				wrong = true
				continue
			}
			visible, bare, busy, size = append(visible, m.visible), append(bare, m.bare), append(busy, m.busy), m.bytes
			ratios = append(ratios, float64(m.visible)/float64(m.bare))
		}
		v, b := quantile(visible, 0.5), quantile(bare, 0.5)
		fmt.Fprintf(c.out, "%6d chunks (%d bytes), %d runs: signal to visible file median %v, worst %v; bare write+fsync+rename+fsync median %v, worst %v; ratio of medians %.2f, median of ratios %.2f; bare while the run was going on: median %v, ratio %.2f\n",
			chunks, size, len(visible), round(v), round(quantile(visible, 1)), round(b), round(quantile(bare, 1)),
			float64(v)/float64(max(b, 1)), quantile(ratios, 0.5),
			round(quantile(busy, 0.5)), float64(v)/float64(max(quantile(busy, 0.5), 1)))
	}
	if wrong {
		return errWrong
	}
	return nil
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// measured is one run's figures.
type measured struct {
	visible time.Duration
	// bare is what the disk takes for the same bytes once the run has ended;
	// busy, for about as many while workers and bus go on writing.
	bare, busy time.Duration
	bytes      int
}

// measure lets a run do most of its chunks, stops it, and watches for its
// file; then it writes the same bytes by itself.
func (c *campaign) measure(ctx context.Context, id string, chunks, workers int) (measured, error) {
	dir := filepath.Join(c.dir, id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return measured{}, fmt.Errorf("making the run's directory: %w", err)
	}
	bars := max(5000, 2*chunks)
	policy := filepath.Join(dir, "policy.yaml")
	// The last tenth of the bars must take longer than looking does.
	if err := drive.WritePolicy(policy, 4*time.Millisecond); err != nil {
		return measured{}, err
	}
	listen, err := freeAddress()
	if err != nil {
		return measured{}, err
	}
	r, err := drive.Start(drive.Config{
		Binary: c.binary, Dir: dir, RunID: id, Policy: policy, Bars: bars,
		Args: []string{"--chunks", strconv.Itoa(chunks), "--workers", strconv.Itoa(workers), "--listen", listen},
	})
	if err != nil {
		return measured{}, err
	}
	defer r.End()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := r.Until(ctx, "nine tenths of the bars are done", func() bool { return r.Bars() > bars*9/10 }); err != nil {
		return measured{}, err
	}
	var m measured
	if m.busy, err = bareWrite(filepath.Join(r.Out, "busy.json"), make([]byte, 4000+1250*chunks)); err != nil {
		return m, err
	}
	w, err := watchFor(r.Perf())
	if err != nil {
		return measured{}, err
	}
	defer w.Close()
	begun := time.Now()
	if err := r.Signal(syscall.SIGTERM); err != nil {
		return measured{}, err
	}
	if m.visible, err = w.wait(begun, hangAfter); err != nil {
		return m, err
	}
	first, err := os.ReadFile(r.Perf())
	if err != nil {
		return m, fmt.Errorf("reading the first file: %w", err)
	}
	m.bytes = len(first)
	if rep := check.Judge(first, nil, check.Options{RunID: id, Bars: int64(bars), Stop: []string{"sigterm"}, Outcome: "stopped"}); !rep.OK() {
		return m, fmt.Errorf("the first file is wrong: %v; kept in %s", rep.Violations, dir)
	}
	if code, err := r.Wait(ctx); err != nil || code != 0 {
		return m, errors.Join(err, fmt.Errorf("exit code %d; kept in %s", code, dir))
	}
	if m.bare, err = bareWrite(filepath.Join(r.Out, "bare.json"), first); err != nil {
		return m, err
	}
	c.clean(dir)
	return m, nil
}

// bareWrite is the least that puts b under path for good: write, fsync,
// rename, fsync of the directory.
func bareWrite(path string, b []byte) (time.Duration, error) {
	begun := time.Now()
	f, err := os.CreateTemp(filepath.Dir(path), ".bare-")
	if err != nil {
		return 0, fmt.Errorf("writing the same bytes: %w", err)
	}
	if _, err := f.Write(b); err != nil {
		return 0, fmt.Errorf("writing the same bytes: %w", errors.Join(err, f.Close()))
	}
	if err := errors.Join(f.Sync(), f.Close(), os.Rename(f.Name(), path)); err != nil {
		return 0, fmt.Errorf("writing the same bytes: %w", err)
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return 0, fmt.Errorf("writing the same bytes: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return 0, fmt.Errorf("writing the same bytes: %w", err)
	}
	return time.Since(begun), nil
}
