package process

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

// Entry is what the run registry holds of one run: its coordinator, and how
// its server is reached.
type Entry struct {
	RunID run.ID `json:"run_id"`
	PID   int    `json:"pid"` // of the coordinator
	// StartTime distinguishes the coordinator from a later process of the same
	// number; see StartTime.
	StartTime string    `json:"start_time"`
	URL       string    `json:"url"`        // of the server
	KeyFile   string    `json:"key_file"`   // an nkey: the run's own, or that of an external bus; empty if none is needed
	OutputDir string    `json:"output_dir"` // absolute
	StartedAt time.Time `json:"started_at"` // of the session
	Session   int       `json:"session"`    // 1, 2, …
	State     string    `json:"state"`
	// OpenToStrangers: every process of this machine may stop the run without a
	// key. Entries of earlier versions lack it.
	OpenToStrangers bool `json:"open_to_strangers,omitempty"`

	// Further access to an external bus: a context's name, and files.
	Context   string `json:"context,omitempty"`
	CredsFile string `json:"creds_file,omitempty"`
	TLSCA     string `json:"tlsca,omitempty"`
	TLSCert   string `json:"tlscert,omitempty"`
	TLSKey    string `json:"tlskey,omitempty"`

	// Alive reports whether the coordinator lives. Get and List fill it; it is
	// not stored.
	Alive bool `json:"-"`
}

const (
	entrySuffix = ".json"
	// maxEntryBytes bounds an entry, which has some 500 bytes, two of them perhaps
	// long paths.
	maxEntryBytes = 64 << 10
)

// Registry is the directory that holds one file for each run of this user on
// this machine. Any number of processes may use it at once: a file is written
// aside and renamed, so that a reader sees the old entry or the new one.
type Registry struct{ dir string }

// Put stores e. An empty StartTime is filled in from the process e.PID, which must
// live.
func (r *Registry) Put(e Entry) error {
	if err := r.put(e); err != nil {
		return fmt.Errorf("putting run %s into the run registry: %w", e.RunID, err)
	}
	return nil
}

func (r *Registry) put(e Entry) (err error) {
	if err := e.validate(); err != nil {
		return err
	}
	if e.StartTime == "" {
		if e.StartTime, err = StartTime(e.PID); err != nil {
			return err
		}
	}
	b, err := encodeEntry(e)
	if err != nil {
		return err
	}
	return atomicfile.Write(r.path(e.RunID), atomicfile.Options{}, atomicfile.Parts(b))
}

// Remove removes the run's entry if it is still that of the coordinator pid.
// Another one, or none, is no error.
func (r *Registry) Remove(id run.ID, pid int) error {
	if _, err := run.ParseID(string(id)); err != nil {
		return fmt.Errorf("removing a run from the run registry: %w", err)
	}
	if err := r.remove(id, pid); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing run %s from the run registry: %w", id, err)
	}
	return nil
}

func (r *Registry) remove(id run.ID, pid int) error {
	e, err := r.read(r.path(id), id)
	if err != nil || e.PID != pid {
		return err
	}
	// A resumed run may put its entry here meanwhile: move the file away, look
	// again, and give back what is not ours unless yet another one has come.
	f, err := os.CreateTemp(r.dir, "."+string(id)+".remove.*") // List does not look at it
	if err != nil {
		return err
	}
	f.Close()
	defer os.Remove(f.Name())
	if err := os.Rename(r.path(id), f.Name()); err != nil {
		return err
	}
	if e, err = r.read(f.Name(), id); err != nil || e.PID == pid {
		return err
	}
	if err := os.Link(f.Name(), r.path(id)); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("giving back the entry of process %d: %w", e.PID, err)
	}
	return nil
}

// Get returns the entry of one run, or an error that wraps fs.ErrNotExist.
func (r *Registry) Get(id run.ID) (Entry, error) {
	if _, err := run.ParseID(string(id)); err != nil {
		return Entry{}, fmt.Errorf("looking a run up in the run registry: %w", err)
	}
	e, err := r.read(r.path(id), id)
	if err != nil {
		return Entry{}, fmt.Errorf("looking run %s up in the run registry: %w", id, err)
	}
	e.Alive = Alive(e.PID, e.StartTime)
	return e, nil
}

// List returns all entries, the oldest first, dead ones included. problems are the
// files that hold none.
func (r *Registry) List() (entries []Entry, problems []error) {
	files, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, []error{fmt.Errorf("listing the run registry: %w", err)}
	}
	for _, f := range files {
		name, isEntry := strings.CutSuffix(f.Name(), entrySuffix)
		if strings.HasPrefix(name, ".") || !isEntry {
			continue // being written, or not ours
		}
		path := filepath.Join(r.dir, f.Name())
		id, err := run.ParseID(name)
		if err != nil {
			problems = append(problems, fmt.Errorf("run registry file %s: its name: %w", path, err))
			continue
		}
		e, err := r.read(path, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("run registry file %s: %w", path, err))
			continue
		}
		e.Alive = Alive(e.PID, e.StartTime)
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt), strings.Compare(string(a.RunID), string(b.RunID)))
	})
	return entries, problems
}

func (r *Registry) path(id run.ID) string { return filepath.Join(r.dir, string(id)+entrySuffix) }

// read reads an entry. Only a regular file of our own counts.
func (r *Registry) read(path string, id run.ID) (Entry, error) {
	f, info, err := safefile.Open(path)
	if err != nil {
		return Entry{}, err
	}
	defer f.Close() // it was read only
	if uid, ok := safefile.Owner(info); !ok || uid != os.Geteuid() {
		return Entry{}, fmt.Errorf("belongs to user %d (want %d)", uid, os.Geteuid())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxEntryBytes+1))
	if err != nil {
		return Entry{}, err
	}
	e, err := decodeEntry(b)
	if err != nil {
		return Entry{}, err
	}
	if e.RunID != id {
		return Entry{}, fmt.Errorf("holds run %s (want %s)", e.RunID, id)
	}
	return e, nil
}

func encodeEntry(e Entry) ([]byte, error) {
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return nil, err
	}
	if len(b) >= maxEntryBytes {
		return nil, fmt.Errorf("the entry has %d bytes (at most %d)", len(b), maxEntryBytes-1)
	}
	return append(b, '\n'), nil
}

// decodeEntry also reads entries with fields of later versions.
func decodeEntry(b []byte) (Entry, error) {
	if len(b) > maxEntryBytes {
		return Entry{}, fmt.Errorf("has more than %d bytes", maxEntryBytes)
	}
	var e Entry
	if err := json.Unmarshal(bytes.TrimSpace(b), &e); err != nil {
		return Entry{}, fmt.Errorf("holds no entry: %w", err)
	}
	if err := e.validate(); err != nil {
		return Entry{}, err
	}
	return e, nil
}

func (e Entry) validate() error {
	if _, err := run.ParseID(string(e.RunID)); err != nil {
		return err
	}
	if e.PID < 1 || e.PID > 1<<31-1 {
		return fmt.Errorf("pid %d (want 1 to %d)", e.PID, 1<<31-1)
	}
	if e.Session < 1 {
		return fmt.Errorf("session %d (want 1 or more)", e.Session)
	}
	return nil
}

// Alive reports whether the process pid that began at start still lives.
func Alive(pid int, start string) bool {
	now, err := StartTime(pid)
	return err == nil && now == start
}
