package worker

import (
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"time"

	"gx1replay/internal/bus"
	"gx1replay/internal/layout"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

// cleanUpEvery is how often a worker looks for what is old.
const cleanUpEvery = time.Hour

// removable is all that is ever removed from a work directory: attempts by run
// and chunk, files that travelled by their digest, data sets written out.
var removable = []struct {
	glob string
	is   *regexp.Regexp
}{
	{"*/" + layout.AttemptDirs, regexp.MustCompile(`^[^/]+/chunk_[0-9]+/attempt_[0-9]+$`)},
	{layout.FilesDir + "/*", regexp.MustCompile(`^files/[0-9a-f]{64}$`)},
	{layout.DataDir + "/.*", regexp.MustCompile(`^data/\.put\.[0-9a-f]{16}\.tmp$`)}, // of a process that died
	{layout.DataDir + "/*", regexp.MustCompile(`^data/[0-9a-f]{64}[0-9a-z._]*$`)},
}

// removeOldWork removes, now and then, what was not touched for KeepWork.
func (w *Worker) removeOldWork(ctx context.Context) {
	for {
		if n := removeOld(w.cfg.WorkDir, time.Now().Add(-w.cfg.KeepWork)); n > 0 {
			w.log.Info("old attempts and files removed from the work directory", "removed", n, "untouched_for", w.cfg.KeepWork)
		}
		if !pause(ctx, cleanUpEvery) {
			return
		}
	}
}

// removeExported removes the attempts of runs that are complete, exported and
// verified: their footers are not needed any more. Each run is looked for once. all: list
// has every run of the bus.
func (w *Worker) removeExported(list []bus.StoredManifest, all bool) {
	done := map[run.ID]bool{}
	if !all && w.removed != nil {
		done = w.removed
	}
	for _, m := range list {
		if m.State != run.StateExported || w.worksOn(m.RunID) {
			continue
		}
		if !w.removed[m.RunID] {
			removeAttempts(layout.Work(w.cfg.WorkDir).Run(m.Ref()))
		}
		done[m.RunID] = true
	}
	w.removed = done
}

func (w *Worker) worksOn(id run.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.busy {
		if key.id == id {
			return true
		}
	}
	return false
}

// removeAttempts removes a run's attempts, and its directory if nothing else
// is in it.
func removeAttempts(dir string) {
	d, err := safefile.OpenDir(dir)
	if err != nil {
		return // there are none
	}
	defer d.Close() // it was read only
	attempts, err := fs.Glob(d.FS(), layout.AttemptDirs)
	if err != nil {
		return // the pattern is fine
	}
	for _, name := range attempts {
		_ = d.RemoveAll(name) // what stays is old one day
	}
	chunks, err := fs.Glob(d.FS(), layout.ChunkDirs)
	if err != nil {
		return
	}
	for _, name := range chunks {
		_ = d.Remove(name)
	}
	_ = os.Remove(dir)
}

// removeOld removes from a work directory what was last changed before limit,
// and returns how much that was.
func removeOld(dir string, limit time.Time) (removed int) {
	d, err := safefile.OpenDir(dir)
	if err != nil {
		return 0 // there is nothing
	}
	defer d.Close() // it was read only
	for _, t := range removable {
		found, err := fs.Glob(d.FS(), t.glob)
		if err != nil {
			return removed // the pattern is fine
		}
		for _, name := range found {
			full := filepath.Join(dir, filepath.FromSlash(name))
			if !t.is.MatchString(name) || !changedBefore(full, limit) || d.RemoveAll(name) != nil {
				continue
			}
			removed++
			for up := path.Dir(name); up != "."; up = path.Dir(up) {
				if d.Remove(up) != nil {
					break // something else is in it
				}
			}
		}
	}
	return removed
}

// changedBefore reports whether neither path nor what is directly in it was
// changed since limit. An attempt's footer is replaced while it runs.
func changedBefore(path string, limit time.Time) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.ModTime().Before(limit) {
		return false
	}
	if !info.IsDir() {
		return true
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || !info.ModTime().Before(limit) {
			return false
		}
	}
	return true
}

// touchEvery is how exactly it is known when something was used last.
const touchEvery = time.Minute

// touch marks what is used in a work directory. What is not there any more is
// no error.
func touch(path string) {
	now := time.Now()
	if info, err := os.Lstat(path); err == nil && now.Sub(info.ModTime()) > touchEvery {
		_ = os.Chtimes(path, now, now)
	}
}
