//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"gx1replay/test/drive"
)

// death is what a kill of the coordinator came to.
type death struct {
	killed bool // else it had ended before
	// byGuardian: the file came after the kill. Else it was there before.
	byGuardian bool
	visible    time.Duration // from the kill to the file
	gone       time.Duration // from the kill to the end of the last process
}

// kill kills the coordinator, if it lives, and waits for the file and for the
// end of all processes.
func (s *stops) kill(ctx context.Context, r *drive.Run, h *history) (death, error) {
	var d death
	w, err := watchFor(r.Perf())
	there := err != nil
	if there {
		if _, err := os.Stat(r.Perf()); err != nil {
			return d, fmt.Errorf("watching for the file: %w", err)
		}
	} else {
		defer w.Close()
	}
	before := stampOf(r.Perf())
	at := time.Now()
	if err := r.Kill(); err != nil {
		return d, err
	}
	if !there {
		// A file that came between the look and the kill is seen as well.
		if d.visible, err = w.wait(at, hangAfter); errors.Is(err, os.ErrDeadlineExceeded) {
			return d, fmt.Errorf("no file came within %v of the kill; alive: %v", hangAfter, r.Alive())
		} else if err != nil {
			return d, err
		}
		mode, err := modeOf(r.Perf())
		if err != nil {
			return d, err
		}
		d.byGuardian = mode == "recovered"
	}
	if err := r.Reaped(ctx); err != nil {
		return d, err
	}
	if _, err := r.Wait(ctx); err == nil {
		h.note("it had ended by itself")
	} else {
		d.killed = true
		h.note("killed with SIGKILL")
	}
	if err := r.Gone(ctx); err != nil {
		return d, err
	}
	d.gone = time.Since(at)
	if there && d.killed && stampOf(r.Perf()) != before {
		h.note("the file was there and has been replaced")
	}
	h.note("the file came after %v, the last process was gone after %v", ms(d.visible), ms(d.gone))
	return d, nil
}

// modeOf reads a file's export_mode.
func modeOf(path string) (string, error) {
	b, err := os.ReadFile(path)
	var f struct {
		Mode string `json:"export_mode"`
	}
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	if err != nil {
		return "", fmt.Errorf("reading the file that was left: %w", err)
	}
	return f.Mode, nil
}

// stampOf tells one file under a name from another.
func stampOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%v %d", info.ModTime(), info.Size())
}
