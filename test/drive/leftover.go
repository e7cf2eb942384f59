//go:build linux

package drive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Leftovers lists what an ended run should not have left: files that were
// written aside and never renamed, and its entry in the register. The bus's
// own files are not looked at, nor what another run has in the register that
// it shares: that one may be leaving at this moment.
func (r *Run) Leftovers() []string {
	var list []string
	bus := filepath.Join(r.State(), "bus")
	register := filepath.Join(r.Runtime, "gx1-replay")
	for _, dir := range []string{r.Out, r.Fallback(), register} {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return nil // not there
			case path == bus:
				return fs.SkipDir
			case d.IsDir():
			case dir == register && !strings.HasPrefix(d.Name(), "."+r.RunID+".") && path != r.Entry():
			case strings.HasSuffix(path, ".tmp"), strings.HasPrefix(d.Name(), "."), path == r.Entry():
				list = append(list, path)
			}
			return nil
		})
	}
	return list
}

// Uncleaned lists what stands in the run's state directory and should be gone
// once it is complete: everything but its lock, which stays for good.
func (r *Run) Uncleaned() []string {
	entries, err := os.ReadDir(r.State())
	if err != nil {
		return nil // not there
	}
	var list []string
	for _, e := range entries {
		if e.Name() != "lock" {
			list = append(list, filepath.Join(r.State(), e.Name()))
		}
	}
	return list
}

// ErrCleaned: the run was complete and has cleaned its workers' directories.
var ErrCleaned = errors.New("the workers' directory is cleaned away")

// FooterOnDisk returns the bars_processed of the footer that an attempt left
// on its worker's disk.
func (r *Run) FooterOnDisk(chunk, attempt int64) (bars int64, err error) {
	work := filepath.Join(r.State(), "work")
	if _, err := os.Stat(work); errors.Is(err, os.ErrNotExist) {
		return 0, ErrCleaned
	}
	// <run_id>.<incarnation>, which is this run's alone.
	paths, err := filepath.Glob(filepath.Join(work, r.RunID+".*", fmt.Sprintf("chunk_%d", chunk), fmt.Sprintf("attempt_%d", attempt), "chunk_footer.json"))
	if err != nil || len(paths) != 1 {
		return 0, fmt.Errorf("the footer on a worker's disk: found %v, %w (want one)", paths, errors.Join(err, os.ErrNotExist))
	}
	path := paths[0]
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("the footer on a worker's disk: %w", err)
	}
	var f struct {
		Bars int64 `json:"bars_processed"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return 0, fmt.Errorf("the footer on a worker's disk, %s: %w", path, err)
	}
	return f.Bars, nil
}

// Tail returns the last lines of a file, for a person to read.
func Tail(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Stacks is a line for each goroutine of the dumps in a file that is in this
// module's code: what it waits for, and its innermost functions there; empty
// without a dump.
func Stacks(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	var out []string
	for _, stack := range strings.Split(string(b), "\n\n") {
		head, frames, _ := strings.Cut(stack[max(0, strings.Index(stack, "goroutine ")):], "\n")
		if !strings.HasPrefix(head, "goroutine ") {
			continue
		}
		var ours []string
		for _, line := range strings.Split(frames, "\n") {
			if rest, ok := strings.CutPrefix(line, "gx1replay/"); ok && len(ours) < 3 {
				ours = append(ours, rest[:max(0, strings.LastIndex(rest, "("))])
			}
		}
		if len(ours) > 0 {
			out = append(out, head+" "+strings.Join(ours, " < "))
		}
	}
	return strings.Join(out, "\n")
}
