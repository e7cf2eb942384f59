//go:build linux

package execrun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gx1replay/test/check"
	"gx1replay/test/testsize"
)

// given is a directory that every user can enter, and in it what a worker of
// any user needs.
type given struct {
	dir, binary, factor string
}

func give(t *testing.T) given {
	t.Helper()
	dir, err := os.MkdirTemp("", "gx1-given-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := given{dir, filepath.Join(dir, "worker"), filepath.Join(dir, "factor.txt")}
	program, err := os.ReadFile(built.binary)
	err = errors.Join(err, os.Chmod(dir, 0o755), os.WriteFile(g.binary, program, 0o755), os.WriteFile(g.factor, []byte("2\n"), 0o644))
	for _, name := range []string{"sums.py", "sums.sh"} {
		script, err2 := os.ReadFile(filepath.Join("testdata", name))
		err = errors.Join(err, err2, os.WriteFile(filepath.Join(dir, name), script, 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// sums starts a run of sums.py that has no workers of its own.
func sums(t *testing.T, g given, id string, argv ...string) *trial {
	t.Helper()
	return sumsBy(t, g, id, append([]string{built.python, filepath.Join(g.dir, "sums.py"), "{data}", "{file.factor}"}, argv...)...)
}

func sumsBy(t *testing.T, g given, id string, argv ...string) *trial {
	t.Helper()
	p := small(t).with("--exec-footer", "{out_dir}/chunk_footer.json", "--exec-file", "factor="+g.factor, "--order", "time", "--exec-env", "GX1TEST_*")
	p.RunID += id
	p.Workers = 0
	return command(t, p, argv...)
}

// worker has one serve the run as user uid, until it is told to leave.
func (v *trial) worker(g given, uid int, env []string, flags ...string) (leave func()) {
	v.t.Helper()
	url, key := v.bus()
	seed, err := os.ReadFile(key)
	v.must(err)
	key = filepath.Join(v.t.TempDir(), "key.nk")
	v.must(os.WriteFile(key, seed, 0o600))
	if uid != os.Geteuid() {
		key = filepath.Join(g.dir, "key-"+strconv.Itoa(uid))
		v.must(errors.Join(os.WriteFile(key, seed, 0o600), os.Chown(key, uid, uid)))
	}
	flags = append([]string{"--run", v.RunID, "--nkey", key, "--exec-env", "GX1TEST_*", "--exec-footer", "{out_dir}/chunk_footer.json"}, flags...)
	cmd := as(serving(g.binary, url, flags, v.argv()), uid)
	cmd.Dir, cmd.Env = g.dir, append(v.Environ(), env...)
	return join(v.t, cmd)
}

// as has cmd run as user uid.
func as(cmd *exec.Cmd, uid int) *exec.Cmd {
	if uid != os.Geteuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	return cmd
}

// pnl is what a run came to that has done all; its workers leave.
func (v *trial) pnl(leave ...func()) float64 {
	v.t.Helper()
	v.ends(0)
	for _, f := range leave {
		f()
	}
	rep := v.judge(func(o *check.Options) { o.BarLog, o.Outcome = NoLog, "complete" })
	if rep.Statuses["ok"] != 4 {
		v.t.Errorf("%v (want 4 ok)", rep.Statuses)
	}
	b, err := os.ReadFile(v.Perf())
	v.must(err)
	var f struct {
		Pnl float64 `json:"total_pnl_bps"`
	}
	v.must(json.Unmarshal(b, &f))
	if f.Pnl == 0 {
		v.t.Error("total_pnl_bps is 0")
	}
	return f.Pnl
}

// below lists the files below dir.
func below(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%s holds %v, %v", dir, files, err)
	}
	return files
}

// Whatever stands in a work directory under a data set's or a file's name, by
// a crash or by somebody's hand, no run's numbers come from it.
func TestPlantedInputs(t *testing.T) {
	t.Parallel()
	g := give(t)
	v := sums(t, g, "-first")
	first := t.TempDir()
	leave := v.worker(g, os.Geteuid(), nil, "--work-dir", first)
	want := v.pnl(leave)
	for name, plant := range map[string]func(path string, b []byte) error{
		"nothing":   func(string, []byte) error { return nil },
		"other":     func(path string, b []byte) error { return os.WriteFile(path, changed(b), 0o600) },
		"cut short": func(path string, b []byte) error { return os.Truncate(path, int64(len(b)/2)) },
		"empty":     func(path string, _ []byte) error { return os.Truncate(path, 0) },
		"link": func(path string, b []byte) error {
			other := filepath.Join(filepath.Dir(path), "other")
			return errors.Join(os.Remove(path), os.WriteFile(other, changed(b), 0o600), os.Symlink(other, path))
		},
		"pipe": func(path string, _ []byte) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := t.TempDir()
			for _, dir := range []string{"data", "files"} {
				if err := os.CopyFS(filepath.Join(work, dir), os.DirFS(filepath.Join(first, dir))); err != nil {
					t.Fatal(err)
				}
				for _, path := range below(t, filepath.Join(work, dir)) {
					b, err := os.ReadFile(path)
					if err = errors.Join(err, plant(path, b)); err != nil {
						t.Fatal(err)
					}
				}
			}
			v := sums(t, g, "")
			if got := v.pnl(v.worker(g, os.Geteuid(), nil, "--work-dir", work)); got != want {
				t.Errorf("total_pnl_bps is %v (want %v: what was planted was replayed)", got, want)
			}
		})
	}
}

// changed is other content that reads as well.
func changed(b []byte) []byte {
	return []byte(strings.NewReplacer(",1", ",7", "2", "7").Replace(string(b)))
}

// Nor from what a command has made of its inputs, in the worker that checked
// them before.
func TestACommandThatSpoilsItsInputs(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	g := give(t)
	v := sums(t, g, "-honest")
	want := v.pnl(v.worker(g, os.Geteuid(), nil, "--work-dir", t.TempDir()))
	v = sums(t, g, "-spoils", "spoil")
	if got := v.pnl(v.worker(g, os.Geteuid(), nil, "--work-dir", t.TempDir())); got != want {
		t.Errorf("total_pnl_bps is %v (want %v: what was spoiled was replayed)", got, want)
	}
}

// Users of the tests, which need no account.
const oneUser, otherUser = 64_911, 64_912

// Two users of one host share a temporary directory, and each has work
// directory and files of its own.
func TestTwoUsersOfOneHost(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("it takes root to be two users")
	}
	g := give(t)
	tmp := filepath.Join(g.dir, "tmp")
	if err := errors.Join(os.Mkdir(tmp, 0o700), os.Chmod(tmp, 0o777|fs.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	v := sumsBy(t, g, "", "sh", filepath.Join(g.dir, "sums.sh"), "{data}", "{file.factor}", "{out_dir}")
	env := []string{"TMPDIR=" + tmp, "GX1TEST_BARLOG="}
	v.pnl(v.worker(g, oneUser, env, "--cache-max", "0"), v.worker(g, otherUser, env, "--cache-max", "0"))
	workers := map[string]bool{}
	for _, c := range v.lines() {
		if workers[c.Worker] = true; c.Attempt != 1 {
			t.Errorf("attempt %d of a chunk was needed", c.Attempt)
		}
	}
	if len(workers) != 2 {
		t.Errorf("chunks were replayed by %d workers (want both)", len(workers))
	}
	for _, uid := range []int{oneUser, otherUser} {
		dir := filepath.Join(tmp, "gx1-replay-"+strconv.Itoa(uid))
		info, err := os.Lstat(dir)
		if err != nil {
			t.Error(err)
		} else if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != uid || info.Mode() != fs.ModeDir|0o700 {
			t.Errorf("%s has mode %v and belongs to user %d", dir, info.Mode(), st.Uid)
		}
	}
}

// A work directory that somebody else could have put files in is refused at
// the start, by its path, owner and mode.
func TestWorkDirectoryOfOthers(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("it takes root to be two users")
	}
	g := give(t)
	owned := func(dir string, uid int, mode fs.FileMode) error {
		return errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, uid, uid), os.Chmod(dir, mode))
	}
	own := "gx1-replay-" + strconv.Itoa(oneUser)
	for name, c := range map[string]struct {
		tmp   fs.FileMode // of the temporary directory
		make  func(tmp string) error
		named string // --work-dir, in tmp; empty: the default
		want  []string
	}{
		"a link": {0o1777, func(tmp string) error {
			return errors.Join(owned(tmp+"/theirs", otherUser, 0o777), os.Symlink("theirs", tmp+"/"+own))
		}, "", []string{own, "link"}},
		"another user's":   {0o1777, func(tmp string) error { return owned(tmp+"/"+own, otherUser, 0o777) }, "", []string{own, "user 64912", "0777", "--work-dir"}},
		"written by all":   {0o1777, func(tmp string) error { return owned(tmp+"/"+own, oneUser, 0o777) }, "", []string{own, "0777"}},
		"not sticky":       {0o777, func(string) error { return nil }, "", []string{"tmp", "0777"}},
		"named, another's": {0o1777, func(tmp string) error { return owned(tmp+"/named", otherUser, 0o777) }, "named", []string{"named", "user 64912"}},
		"named, all write": {0o1777, func(tmp string) error { return owned(tmp+"/named", oneUser, 0o777) }, "named", []string{"named", "0777", "chmod"}},
		"named, group too": {0o1777, func(tmp string) error { return owned(tmp+"/named", oneUser, 0o770) }, "named", []string{"named", "0770", "chmod"}},
		"named, link to one": {0o1777, func(tmp string) error {
			return errors.Join(owned(tmp+"/theirs", otherUser, 0o777), os.Symlink("theirs", tmp+"/named"))
		}, "named", []string{"theirs", "user 64912"}},
	} {
		t.Run(name, func(t *testing.T) {
			tmp := filepath.Join(g.dir, "tmp-"+strings.NewReplacer(" ", "-", ",", "-", "'", "-").Replace(name))
			mode := c.tmp.Perm()
			if c.tmp&0o1000 != 0 {
				mode |= fs.ModeSticky
			}
			if err := errors.Join(os.Mkdir(tmp, 0o700), os.Chmod(tmp, mode), c.make(tmp)); err != nil {
				t.Fatal(err)
			}
			args := []string{"worker", "--nats", "nats://127.0.0.1:1", "--cache-max", "0"}
			if c.named != "" {
				args = append(args, "--work-dir", filepath.Join(tmp, c.named))
			}
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			cmd := as(exec.CommandContext(ctx, g.binary, args...), oneUser)
			cmd.Dir, cmd.Env = g.dir, []string{"TMPDIR=" + tmp}
			said, err := cmd.CombinedOutput()
			if code := new(exec.ExitError); !errors.As(err, &code) || code.ExitCode() != 1 {
				t.Errorf("it ended with %v (want exit code 1)", err)
			}
			if !all(string(said), c.want) || strings.Count(fmt.Sprint(string(said)), "error: ") != 1 {
				t.Errorf("it said %q (want %q in it)", said, c.want)
			}
		})
	}
}

// What may hold secrets or a user's data can be read by that user alone,
// whatever the umask: the state directory with the work directory of local
// workers, logs, and what attempts leave in the report. The results can be read
// by all whom the umask lets.
func TestModesWithoutAUmask(t *testing.T) {
	t.Parallel()
	wrapper := filepath.Join(t.TempDir(), "coordinator")
	if err := os.WriteFile(wrapper, []byte("#!/bin/sh\numask 0\nexec '"+built.binary+"' \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := plan(t)
	p.Binary = wrapper
	v := start(t, "protocol", p)
	v.done(p.Bars / 4)
	v.must(v.Signal(syscall.SIGTERM))
	v.ends(0)
	if b, err := os.ReadFile(v.Perf()); err != nil || !strings.Contains(string(b), `"outcome":"stopped"`) && !strings.Contains(string(b), `"outcome": "stopped"`) {
		t.Errorf("the run was not stopped, so there is little to look at (%v)", err)
	}
	secret, seen := 0, 0
	err := filepath.WalkDir(v.Out, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		own := strings.Contains(path, "/out/chunk_footer") || strings.HasSuffix(path, "/out/trades.csv") || d.Name() == "progress.jsonl"
		if own {
			return nil // written by the command, in a directory of mode 0700
		}
		inState := strings.HasPrefix(path, filepath.Join(v.Out, ".gx1"))
		if d.IsDir() && inState && d.Name() == "jetstream" { // the server's own, in a directory of mode 0700
			return fs.SkipDir
		}
		inAttempt := strings.Contains(path, "/attempt_") || d.Name() == "run.log"
		switch open := info.Mode().Perm() & 0o077; {
		case inState || inAttempt && !d.IsDir():
			if secret++; open != 0 {
				t.Errorf("%s has mode %v (want nothing for others)", path, info.Mode())
			}
		case !d.IsDir() && strings.HasSuffix(path, ".json"):
			if seen++; open != 0o044 {
				t.Errorf("%s has mode %v (want it readable by all)", path, info.Mode())
			}
		}
		return nil
	})
	if err != nil || secret < 10 || seen < 2 {
		t.Errorf("%d files of the user's alone and %d for all, %v", secret, seen, err)
	}
}
