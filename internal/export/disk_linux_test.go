package export_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gx1replay/internal/export"
	"gx1replay/test/testsize"
)

// mounted mounts over dir until the test ends, or skips the test.
func mounted(t *testing.T, source, dir, kind string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount(source, dir, kind, flags, data); err != nil {
		t.Skipf("this needs the right to mount: mounting %s: %v", dir, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
}

// A disk that is full when the export is written.
func TestInvariant3_FullDisk(t *testing.T) {
	tg := target(t)
	if err := os.Mkdir(tg.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	mounted(t, "none", tg.Dir, "tmpfs", 0, "size=256k")
	var stderr bytes.Buffer
	e := opened(t, tg, export.Config{Stderr: &stderr})
	exported(t, e, theChunks(t, 100, 37))
	before, err := os.ReadFile(tg.Perf())
	if err != nil {
		t.Fatal(err)
	}
	filler, err := os.Create(filepath.Join(tg.Dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	paths := failed(t, e, theChunks(t, 100, 60), syscall.ENOSPC)
	wantFallback(t, tg, paths, stderr.Bytes(), 2, 160)
	wantNames(t, tg.Dir, "filler perf_r1.json")
	if after, err := os.ReadFile(tg.Perf()); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the old file was touched: %v", err)
	}
	// With some room again, the export is made after all.
	if err := filler.Truncate(0); err != nil {
		t.Fatal(err)
	}
	exported(t, e, theChunks(t, 100, 60))
}

// A file that is larger than the room that is left: the stub still fits.
func TestInvariant3_TooLittleRoom(t *testing.T) {
	tg := target(t)
	if err := os.Mkdir(tg.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	mounted(t, "none", tg.Dir, "tmpfs", 0, "size=512k")
	e := opened(t, tg, export.Config{})
	chunks := someChunks(t, 1000) // of 1 MB
	paths := failed(t, e, chunks, syscall.ENOSPC)
	if len(paths) != 1 || paths[0] != tg.Stub() {
		t.Errorf("written: %v", paths)
	}
	wantNames(t, tg.Dir, "perf_r1_FAILED_EXPORT.json")
	readStub(t, tg.Stub(), len(chunks))
}

// The output directory becomes read-only after the start.
func TestReadOnlyOutputDirectory(t *testing.T) {
	tg := target(t)
	var stderr bytes.Buffer
	e := opened(t, tg, export.Config{Stderr: &stderr})
	exported(t, e, theChunks(t, 100, 37))
	// Mounted over itself: the open lock would not let the mount below it
	// become read-only.
	mounted(t, tg.Dir, tg.Dir, "", syscall.MS_BIND, "")
	if err := syscall.Mount("none", tg.Dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	paths := failed(t, e, theChunks(t, 100, 60), syscall.EROFS)
	wantFallback(t, tg, paths, stderr.Bytes(), 2, 160)
	if got := replayed(t, tg.Perf()); got != 137 {
		t.Errorf("%d bars, want 137", got)
	}
}

// What another user has put into a fallback directory that everybody can
// write is neither read nor followed.
func TestFallbackOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this needs the right to give files away")
	}
	tg := target(t)
	if _, err := export.WriteFallback(tg, export.Config{}, export.Failure{Report: aReport(1), Chunks: theChunks(t, 60)}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(tg.FallbackPerf(), 65534, 65534); err != nil {
		t.Skipf("this needs the right to give files away: %v", err)
	}
	paths, err := export.WriteFallback(tg, export.Config{}, export.Failure{Report: aReport(1), Chunks: theChunks(t, 50)})
	if err == nil || !strings.Contains(err.Error(), "belongs to user 65534") || len(paths) != 1 || paths[0] != tg.FallbackStub() {
		t.Errorf("%v, %v", paths, err)
	}
}

// A process that is killed at any moment leaves a whole file that holds all
// that it has ever said to be exported, and the next one tidies up.
func TestInvariant1_Killed(t *testing.T) {
	tg := target(t)
	const n = 400
	if dir := os.Getenv("EXPORT_TEST_KILL_DIR"); dir != "" {
		tg.Dir = dir
		e := opened(t, tg, export.Config{})
		done := int64(0)
		if last, ok := e.Last(); ok {
			done = last.Chunks[0].Line.Bars()
		}
		chunks := someChunks(t, n)
		for {
			done = min(done+1, chunkBars-1)
			chunks[0] = aChunk(t, 0, done)
			exported(t, e, append(chunks[:0:0], chunks...))
			os.Stdout.WriteString(strconv.FormatInt(done, 10) + "\n")
		}
	}
	for kill := range testsize.Of(t, 2, 6) {
		cmd := exec.Command(os.Args[0], "-test.run=TestInvariant1_Killed$")
		cmd.Env = append(os.Environ(), "EXPORT_TEST_KILL_DIR="+tg.Dir)
		said := killedAfter(t, cmd, kill+1)
		if got := read(t, tg.Perf()).Chunks[0].Line.Bars(); got < said {
			t.Errorf("%d bars in the file, %d were said to be exported", got, said)
		}
	}
	l := locked(t, tg)
	if _, err := export.Open(l, tg, export.Config{}); err != nil {
		t.Fatal(err)
	}
	wantNames(t, tg.Dir, "perf_r1.json")
}
