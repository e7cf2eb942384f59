package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"gx1replay/internal/cli"
	"gx1replay/internal/worker"
)

// hooks reads the environment, and from args which process this is. The bar
// log is opened here, once a process.
func hooks(getenv func(string) string, pid int, args []string) (cli.Hooks, error) {
	var h cli.Hooks
	var onBar []func(worker.Job, int64) error
	// The gate comes first: a bar that it holds is not logged yet.
	if text := getenv("GX1TEST_GATE"); text != "" {
		g, err := parseGate(text)
		if err != nil {
			return h, fmt.Errorf("GX1TEST_GATE=%w", err)
		}
		onBar = append(onBar, g.pass)
		h.Engine = g.engine
	}
	if dir := getenv("GX1TEST_BARLOG"); dir != "" {
		log, err := openBarLog(dir, pid)
		if err != nil {
			return h, fmt.Errorf("GX1TEST_BARLOG: %w", err)
		}
		onBar = append(onBar, log.append)
	}
	if text := getenv("GX1TEST_BAR_SLEEP"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return h, fmt.Errorf("GX1TEST_BAR_SLEEP=%q (want a duration)", text)
		}
		onBar = append(onBar, func(worker.Job, int64) error { time.Sleep(d); return nil })
	}
	if len(onBar) > 0 {
		h.OnBar = func(job worker.Job) func(int64) error {
			return func(bar int64) error {
				for _, f := range onBar {
					if err := f(job, bar); err != nil {
						return err
					}
				}
				return nil
			}
		}
	}
	if text := getenv("GX1TEST_NAN"); text != "" {
		faults, err := parseFaults(text)
		if err != nil {
			return h, fmt.Errorf("GX1TEST_NAN: %w", err)
		}
		gated := h.Engine
		h.Engine = func(e worker.Engine) worker.Engine {
			if gated != nil {
				e = gated(e)
			}
			return nanEngine{e, faults}
		}
	}
	if text := getenv("GX1TEST_HOLD"); text != "" {
		if text != "1" {
			return h, fmt.Errorf("GX1TEST_HOLD=%q (want 1)", text)
		}
		onStep(&h, "begin", func() { select {} })
	}
	if dir := getenv("GX1TEST_BLOCK_SYNC"); dir != "" {
		h.Export.BeforeSync = func(aside string) error {
			if filepath.Dir(aside) == filepath.Clean(dir) {
				<-make(chan struct{})
			}
			return nil
		}
	}
	if text := getenv("GX1TEST_ENGINE_VERSION"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return h, fmt.Errorf("GX1TEST_ENGINE_VERSION=%q (want 1 or more)", text)
		}
		h.EngineVersion = n
	}
	h.Build = getenv("GX1TEST_BUILD")
	switch {
	case len(args) > 0 && args[0] == "worker":
	case len(args) > 0 && args[0] == "guardian":
		dieAt(&h, getenv("GX1TEST_DIE_GUARDIAN"), killSelf)
	default:
		dieAt(&h, getenv("GX1TEST_DIE"), killSelf)
	}
	return h, nil
}

// barLog is one process's log of the bars that it stepped over.
type barLog struct{ f *os.File }

func openBarLog(dir string, pid int) (barLog, error) {
	f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(pid)+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	return barLog{f}, err
}

// append writes one line with one write: a kill leaves whole lines, and what
// is in the file was stepped over at most a moment later.
func (l barLog) append(job worker.Job, bar int64) error {
	_, err := fmt.Fprintf(l.f, "%d %d %d\n", job.Chunk.Idx, job.Attempt, bar)
	return err
}
