package export

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/ledger"
	"gx1replay/internal/policy"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

// AttemptLogs is an attempt of a command that has left logs on this host.
type AttemptLogs struct {
	ChunkIdx, Attempt int
	Dir               string
	// Footer is what it reported of itself; zero: nothing.
	Footer footer.Footer
	// Sizes of its logs in bytes; -1: it is not there.
	Stdout, Stderr int64
	changed        time.Time
}

// FindAttemptLogs lists the attempts of run t that have left logs in its
// directory or with its local workers, by chunk and attempt. Of chunk idx only,
// unless that is negative. What cannot be read is left out.
func FindAttemptLogs(t layout.Run, idx int) []AttemptLogs {
	found := map[[2]int]AttemptLogs{}
	add := func(a AttemptLogs) {
		key := [2]int{a.ChunkIdx, a.Attempt}
		// The same, or one of that number that came later.
		if b, twice := found[key]; !twice || a.changed.After(b.changed) {
			found[key] = a
		}
	}
	type place struct {
		root string
		own  bool // logs also lie beside the chunk's footer
	}
	places := []place{{t.RunDir(), true}}
	for _, root := range allAttempts(t) {
		places = append(places, place{root, false})
	}
	for _, at := range places {
		for _, k := range numbered(at.root, layout.ParseChunkDir) {
			if idx >= 0 && k != idx || k >= run.MaxChunks {
				continue
			}
			chunk := layout.ChunkDir(at.root, k)
			for _, n := range numbered(chunk, layout.ParseAttemptDir) {
				if a, ok := attemptLogs(k, n, layout.AttemptDir(at.root, k, n)); ok {
					add(a)
				}
			}
			if !at.own {
				continue
			}
			if a, ok := attemptLogs(k, 0, chunk); ok && a.Footer.Attempt > 0 {
				a.Attempt = int(a.Footer.Attempt)
				add(a)
			}
		}
	}
	list := slices.Collect(maps.Values(found))
	slices.SortFunc(list, func(a, b AttemptLogs) int {
		return cmp.Or(cmp.Compare(a.ChunkIdx, b.ChunkIdx), cmp.Compare(a.Attempt, b.Attempt))
	})
	return list
}

// allAttempts are the directories of local workers' attempts of every
// incarnation of the run.
func allAttempts(t layout.Run) []string {
	entries, err := os.ReadDir(t.WorkDir())
	if err != nil {
		return nil
	}
	var list []string
	for _, e := range entries {
		name, mark, _ := strings.Cut(e.Name(), ".")
		if e.IsDir() && name == string(t.RunID) && run.Incarnation(mark).Validate() == nil {
			list = append(list, filepath.Join(t.WorkDir(), e.Name()))
		}
	}
	return list
}

// attemptLogs reads what an attempt has left in dir; ok is false if it has no
// logs.
func attemptLogs(idx, n int, dir string) (a AttemptLogs, ok bool) {
	a = AttemptLogs{ChunkIdx: idx, Attempt: n, Dir: dir, Stdout: -1, Stderr: -1}
	for _, log := range []struct {
		name string
		size *int64
	}{{layout.StdoutLog, &a.Stdout}, {layout.StderrLog, &a.Stderr}} {
		info, err := os.Lstat(filepath.Join(dir, log.name))
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		*log.size = info.Size()
		if info.ModTime().After(a.changed) {
			a.changed = info.ModTime()
		}
		ok = true
	}
	if !ok {
		return a, false
	}
	if f, err := ledger.ReadFooter(filepath.Join(dir, layout.FooterFile)); err == nil && f.ChunkIdx == int64(idx) {
		a.Footer = f
	}
	return a, true
}

// ReadLog reads a log of at most limit bytes, and reports whether it is there.
func (a AttemptLogs) ReadLog(name string, limit int64) (text []byte, ok bool, err error) {
	f, info, err := safefile.Open(filepath.Join(a.Dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	defer f.Close() // it was read only
	size := min(info.Size(), limit)
	text = make([]byte, size)
	// Of a log that is too long the end is wanted; it may also be written anew
	// while it is read.
	n, err := f.ReadAt(text, info.Size()-size)
	if err != nil && n == 0 && size > 0 {
		return nil, false, err
	}
	return text[:n], true, nil
}

// FindPolicy finds the content of a run's policy, where its coordinator has
// kept it or an attempt of a command was given it.
func FindPolicy(t layout.Run, p run.Policy) ([]byte, error) {
	paths := []string{t.PolicyFile(p.Content)}
	for _, k := range numbered(t.RunDir(), layout.ParseChunkDir) {
		for _, n := range numbered(layout.ChunkDir(t.RunDir(), k), layout.ParseAttemptDir) {
			paths = append(paths, filepath.Join(t.KeptAttempt(k, n), layout.AttemptPolicy))
		}
	}
	for _, path := range paths {
		if content, err := safefile.Read(path, policy.MaxBytes); err == nil && checkPolicy(p, content) == nil {
			return content, nil
		}
	}
	return nil, fmt.Errorf("the policy of run %s (SHA-256 %.12s) is no longer stored: looked in %s and %s", t.RunID, p.Content, t.StateDir(), t.RunDir())
}
