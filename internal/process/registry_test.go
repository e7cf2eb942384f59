package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gx1replay/internal/run"
)

func sample() Entry {
	return Entry{
		RunID:     "20261124_101500_ab12",
		PID:       4711,
		StartTime: "5f0c7a3e-0b0e-4a51-9f5e-0d5c7a1b2c3d/117010",
		URL:       "nats://127.0.0.1:4222",
		KeyFile:   "/home/user/reports/.gx1/20261124_101500_ab12/run.key",
		OutputDir: "/home/user/reports",
		StartedAt: time.Date(2026, 11, 24, 10, 15, 0, 123456789, time.UTC),
		Session:   2,
		State:     "running",
	}
}

// mine is an entry of this very process.
func mine(id run.ID) Entry {
	e := sample()
	e.RunID, e.PID, e.StartTime = id, os.Getpid(), ""
	return e
}

func openRegister(t *testing.T) *Registry {
	t.Helper()
	r, err := OpenRegistry(filepath.Join(t.TempDir(), "deep", "runs"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEntryGolden(t *testing.T) {
	want, err := os.ReadFile("testdata/entry.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := encodeEntry(sample())
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("an entry is written as\n%s\nwant\n%s", got, want)
	}
	back, err := decodeEntry(want)
	if err != nil || back != sample() {
		t.Errorf("read back: %+v, %v", back, err)
	}
}

func TestRegisterKeepsAndForgets(t *testing.T) {
	r := openRegister(t)
	if err := r.Put(mine("a")); err != nil {
		t.Fatal(err)
	}
	got, err := r.Get("a")
	if err != nil {
		t.Fatal(err)
	}
	start, err := StartTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	want := mine("a")
	want.StartTime, want.Alive = start, true
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	info, err := os.Stat(filepath.Join(r.dir, "a.json"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the file has mode %v, %v (want 0600)", info.Mode(), err)
	}

	// Another coordinator's entry stays.
	if err := r.Remove("a", os.Getpid()+1); err != nil {
		t.Error(err)
	}
	if _, err := r.Get("a"); err != nil {
		t.Errorf("removed for a stranger: %v", err)
	}
	if err := r.Remove("a", os.Getpid()); err != nil {
		t.Error(err)
	}
	if _, err := r.Get("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Remove: %v (want fs.ErrNotExist)", err)
	}
	if err := r.Remove("a", os.Getpid()); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
	files, err := os.ReadDir(r.dir)
	if err != nil || len(files) != 0 {
		t.Errorf("left in the directory: %v, %v", files, err)
	}
}

func TestRegisterListsOldestFirstAndMarksTheDead(t *testing.T) {
	r := openRegister(t)
	for i, id := range []run.ID{"young", "old", "B", "A"} {
		e := mine(id)
		e.StartedAt = e.StartedAt.Add(-time.Duration(min(i, 2)) * time.Hour)
		if id == "old" {
			e.StartTime = "another boot/1" // this number, another process
		}
		if err := r.Put(e); err != nil {
			t.Fatal(err)
		}
	}
	entries, problems := r.List()
	if len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprint(e.RunID, " ", e.Alive))
	}
	if want := "A true, B true, old false, young true"; strings.Join(got, ", ") != want {
		t.Errorf("List: %v (want %s)", got, want)
	}
}

func TestRegisterSaysWhatItSkips(t *testing.T) {
	r := openRegister(t)
	if err := r.Put(mine("good")); err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/entry.json")
	if err != nil {
		t.Fatal(err)
	}
	path := func(name string) string { return filepath.Join(r.dir, name) }
	for name, content := range map[string]string{
		"empty.json":     "",
		"half.json":      string(golden[:40]),
		"other.json":     string(golden),
		"two words.json": string(golden),
		"big.json":       strings.Repeat(" ", maxEntryBytes+1),
		"twice.json":     string(golden) + string(golden),
		"note.txt":       "not ours to judge",
		".x.put.1":       "being written",
	} {
		if err := os.WriteFile(path(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(path("good.json"), path("link.json")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path("pipe.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path("dir.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	entries, problems := r.List()
	if len(entries) != 1 || entries[0].RunID != "good" {
		t.Errorf("entries: %+v (want good alone)", entries)
	}
	said := errors.Join(problems...).Error()
	for _, name := range []string{"empty", "half", "other", "two words", "big", "twice", "link", "pipe", "dir"} {
		if !strings.Contains(said, path(name+".json")) {
			t.Errorf("nothing is said of %s.json", name)
		}
	}
	if len(problems) != 9 {
		t.Errorf("%d problems (want 9):\n%s", len(problems), said)
	}
}

func TestRegisterOfADirectoryThatIsGone(t *testing.T) {
	r := openRegister(t)
	if err := os.Remove(r.dir); err != nil {
		t.Fatal(err)
	}
	if entries, problems := r.List(); len(entries) != 0 || len(problems) != 1 {
		t.Errorf("List: %v, %v (want one problem)", entries, problems)
	}
	if err := r.Put(mine("a")); err == nil {
		t.Error("Put is no error")
	}
}

func TestInvariant5_NoInvalidIDReachesAPath(t *testing.T) {
	r := openRegister(t)
	outside := filepath.Join(filepath.Dir(r.dir), "x.json")
	if err := os.WriteFile(outside, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range []run.ID{"", "../x", "/etc/x", "a/b", ".", "a b", "a\x00", run.ID(strings.Repeat("a", run.MaxIDLen+1))} {
		e := mine(id)
		if err := r.Put(e); err == nil {
			t.Errorf("Put(%q) is no error", id)
		}
		if _, err := r.Get(id); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Get(%q): %v", id, err)
		}
		if err := r.Remove(id, os.Getpid()); err == nil {
			t.Errorf("Remove(%q) is no error", id)
		}
	}
	if b, err := os.ReadFile(outside); err != nil || string(b) != "untouched" {
		t.Errorf("the file outside holds %q, %v", b, err)
	}
}

func TestPutRefuses(t *testing.T) {
	r := openRegister(t)
	for name, spoil := range map[string]func(*Entry){
		"pid 0":        func(e *Entry) { e.PID = 0 },
		"pid negative": func(e *Entry) { e.PID = -1 },
		"session 0":    func(e *Entry) { e.Session = 0 },
		"nobody's pid": func(e *Entry) { e.PID = 1<<31 - 1 },
		"endless":      func(e *Entry) { e.OutputDir = strings.Repeat("d", maxEntryBytes) },
	} {
		e := mine("a")
		spoil(&e)
		if err := r.Put(e); err == nil {
			t.Errorf("%s: Put is no error", name)
		}
	}
	if files, _ := os.ReadDir(r.dir); len(files) != 0 {
		t.Errorf("left in the directory: %v", files)
	}
}

// Readers see whole entries, whatever writers do, and a Remove never takes
// what another coordinator has put.
func TestRegisterUnderWriters(t *testing.T) {
	r := openRegister(t)
	const rounds = 200
	var wg sync.WaitGroup
	for pid := 101; pid <= 102; pid++ {
		wg.Go(func() {
			e := sample()
			e.PID = pid
			for range rounds {
				if err := r.Put(e); err != nil {
					t.Error(err)
				}
				if err := r.Remove(e.RunID, pid+2); err != nil { // never ours
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range rounds {
			if _, problems := r.List(); len(problems) > 0 {
				t.Errorf("problems: %v", problems)
			}
		}
	})
	wg.Wait()
	if _, err := r.Get(sample().RunID); err != nil {
		t.Errorf("the entry is lost: %v", err)
	}
}

func TestOpenRegisterRefuses(t *testing.T) {
	tmp := t.TempDir()
	dir := func(name string, mode fs.FileMode) string {
		d := filepath.Join(tmp, name)
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d, mode); err != nil { // past the umask
			t.Fatal(err)
		}
		return d
	}
	link := filepath.Join(tmp, "link")
	if err := os.Symlink(dir("target", 0o700), link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(tmp, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		link:                     "symbolic link",
		file:                     "want a directory",
		dir("writable", 0o777):   "0777",
		dir("groups", 0o770):     "0770",
		filepath.Join(file, "x"): "not a directory",
	} {
		if _, err := OpenRegistry(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("OpenRegistry(%s): %v (want an error with %q)", path, err, want)
		}
	}
	if os.Geteuid() == 0 {
		theirs := dir("theirs", 0o700)
		if err := os.Chown(theirs, 4242, -1); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenRegistry(theirs); err == nil || !strings.Contains(err.Error(), "belongs to user 4242") {
			t.Errorf("another user's directory: %v", err)
		}
	}

	readable := dir("readable", 0o755)
	if _, err := OpenRegistry(readable); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(readable); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("a readable directory has %v, %v afterwards (want 0700)", info.Mode(), err)
	}
}

func TestOpenRegisterFindsItsPlace(t *testing.T) {
	runtime, tmp := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", tmp)
	fallback := filepath.Join(tmp, fmt.Sprintf("gx1-replay-%d", os.Geteuid()), "runs")
	for value, want := range map[string]string{
		runtime:                           filepath.Join(runtime, "gx1-replay", "runs"),
		"":                                fallback,
		"relative":                        fallback,
		filepath.Join(runtime, "missing"): fallback,
	} {
		t.Setenv("XDG_RUNTIME_DIR", value)
		r, err := OpenRegistry("")
		if err != nil {
			t.Errorf("XDG_RUNTIME_DIR=%q: %v", value, err)
			continue
		}
		if r.dir != want {
			t.Errorf("XDG_RUNTIME_DIR=%q: %s (want %s)", value, r.dir, want)
		}
		for _, d := range []string{r.dir, filepath.Dir(r.dir)} {
			if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("%s: %v, %v (want 0700)", d, info, err)
			}
		}
	}
	// The directory above runs is checked too.
	if err := os.Chmod(filepath.Dir(fallback), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", "")
	if _, err := OpenRegistry(""); err == nil {
		t.Error("a parent that others can write to is no error")
	}
}

func TestDefaultParentPassesOverAnotherUsersDirectory(t *testing.T) {
	dir := t.TempDir()
	if got, want := defaultParent(dir, "/t", os.Geteuid()+1), fmt.Sprintf("/t/gx1-replay-%d", os.Geteuid()+1); got != want {
		t.Errorf("parent is %s (want %s)", got, want)
	}
}

func FuzzDecodeEntry(f *testing.F) {
	golden, err := os.ReadFile("testdata/entry.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add([]byte(`{"run_id":"a","pid":1,"session":1,"added_later":[1]}`))
	f.Add([]byte(`{"run_id":"../a","pid":1,"session":1}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(b)
		if err != nil {
			return
		}
		if _, err := run.ParseID(string(e.RunID)); err != nil || e.PID < 1 || e.Session < 1 {
			t.Errorf("accepted: %+v", e)
		}
		again, err := encodeEntry(e)
		if err != nil {
			return // only a text that grows past the bound when it is quoted
		}
		back, err := decodeEntry(again)
		if err != nil || back.RunID != e.RunID || back.URL != e.URL || !back.StartedAt.Equal(e.StartedAt) {
			t.Errorf("%+v was read back as %+v, %v", e, back, err)
		}
	})
}
