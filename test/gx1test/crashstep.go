package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gx1replay/internal/cli"
	"gx1replay/internal/coordinator"
)

// dieAt has die called at a step of a run's end; empty: never.
func dieAt(h *cli.Hooks, step string, die func()) {
	// Of the files that are written aside only the perf JSON counts: the
	// backup goes through the same code, and stands in the state directory.
	atPerf := func(before func(string) error) func(string) error {
		return func(aside string) error {
			if strings.HasPrefix(filepath.Base(aside), ".perf_") && !strings.Contains(aside, string(filepath.Separator)+".gx1"+string(filepath.Separator)) {
				die()
			}
			if before != nil {
				return before(aside)
			}
			return nil
		}
	}
	switch step {
	case "":
	case "write":
		h.Export.BeforeSync = atPerf(h.Export.BeforeSync)
	case "selecting":
		h.Export.BeforeSync = func(aside string) error {
			if dir := filepath.Dir(aside); strings.HasPrefix(filepath.Base(aside), ".perf_"+filepath.Base(dir)+".") && filepath.Base(filepath.Dir(dir)) != ".gx1" {
				awaitPerf(filepath.Dir(dir), filepath.Base(dir))
				die()
			}
			return nil
		}
	case "rename":
		h.Export.BeforeRename = atPerf(h.Export.BeforeRename)
	default:
		onStep(h, step, die)
	}
}

// onStep has do called at a step of a session.
func onStep(h *cli.Hooks, step string, do func()) {
	wrapped := h.Observe
	h.Observe = func(o coordinator.Observer) coordinator.Observer {
		if wrapped != nil {
			o = wrapped(o)
		}
		return stepper{o, step, do}
	}
}

// stepper is an Observer that does something at a step.
type stepper struct {
	coordinator.Observer
	step string
	do   func()
}

func (s stepper) Step(name string) {
	if name == s.step {
		s.do()
	}
	s.Observer.Step(name)
}

// perfPatience bounds awaitPerf; the test that waits for the end then sees what
// is missing.
const perfPatience = 20 * time.Second

// awaitPerf waits until the run has a perf JSON, as it has when the selection of
// its trades takes a while.
func awaitPerf(out, id string) {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(perfPatience); time.Now().Before(deadline); <-again.C {
		if _, err := os.Stat(filepath.Join(out, "perf_"+id+".json")); err == nil {
			return
		}
	}
}

// killSelf ends this process as kill -9 does, and does not return.
func killSelf() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
