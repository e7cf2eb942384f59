//go:build linux

package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"gx1replay/test/drive"
)

// history is what was done to a run, and when.
type history struct {
	begun time.Time
	lines []string
}

func (h *history) note(format string, args ...any) {
	if h.begun.IsZero() {
		h.begun = time.Now()
	}
	h.lines = append(h.lines, fmt.Sprintf("%8.3f s  %s", time.Since(h.begun).Seconds(), fmt.Sprintf(format, args...)))
}

// failure is the text by which a failed run can be understood, and done again.
func (h *history) failure(what string, wrong []string, dir, id string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  %s\n  what was done:\n%s\n  kept in %s\n", what, strings.Join(wrong, "\n  "), indent(strings.Join(h.lines, "\n")), dir)
	said, _ := filepath.Glob(filepath.Join(dir, "stderr*"))
	for _, path := range append(said, filepath.Join(dir, "out", id, "run.log")) {
		fmt.Fprintf(&b, "  %s ends with:\n%s\n", path, indent(drive.Tail(path, 12)))
	}
	return b.String()
}
