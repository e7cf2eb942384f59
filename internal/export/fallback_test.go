package export_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"gx1replay/internal/export"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
)

// stubOf reads a stub and checks what must stand in each.
func stubOf(tb testing.TB, b []byte, chunks int) map[string]any {
	tb.Helper()
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		tb.Fatalf("%v: %s", err, b)
	}
	statuses, _ := m["chunks_statuses"].(map[string]any)
	env, _ := m["env_info"].(map[string]any)
	if m["run_id"] != "r1" || m["status"] != "export_failed" || m["export_error"] == "" || m["note"] == "" ||
		m["chunks_total"] != float64(chunks) || len(statuses) != chunks || env["engine"] != "builtin" {
		tb.Errorf("the stub is %s", b)
	}
	return m
}

func readStub(tb testing.TB, path string, chunks int) map[string]any {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return stubOf(tb, b, chunks)
}

// wantFallback checks what a failure leaves whose output directory could not
// be written: both files in the fallback directory, and the stub's JSON on
// standard error.
func wantFallback(tb testing.TB, tg layout.Run, paths []string, stderr []byte, chunks int, bars int64) {
	tb.Helper()
	if len(paths) != 2 || paths[0] != tg.FallbackPerf() || paths[1] != tg.FallbackStub() {
		tb.Errorf("written: %v", paths)
	}
	wantNames(tb, tg.FallbackDir, "perf_r1.json perf_r1_FAILED_EXPORT.json")
	if got := replayed(tb, tg.FallbackPerf()); got != bars {
		tb.Errorf("%d bars in the fallback, want %d", got, bars)
	}
	readStub(tb, tg.FallbackStub(), chunks)
	stubOf(tb, stderr, chunks)
}

// failed makes an export that must fail with want, and then the stub.
func failed(tb testing.TB, e *export.Exporter, chunks []perf.Chunk, want error) []string {
	tb.Helper()
	_, err := e.ExportFinal(tb.Context(), aReport(len(chunks)), chunks)
	if !errors.Is(err, want) {
		tb.Fatalf("the export: %v (want %v)", err, want)
	}
	paths, err := e.Fail(export.Failure{Report: aReport(len(chunks)), Chunks: chunks, Cause: err, Trace: "a trace"})
	if err != nil {
		tb.Fatal(err)
	}
	return paths
}

// A sync that fails: the old file is untouched, nothing is left beside it,
// and the stub tells why, until an export succeeds.
func TestInvariant3_FailedSync(t *testing.T) {
	tg := target(t)
	fail := false
	e := opened(t, tg, export.Config{BeforeSync: func(aside string) error {
		if fail && !strings.HasSuffix(aside, "FAILED_EXPORT.json") {
			fail = false
			return syscall.ENOSPC
		}
		return nil
	}})
	exported(t, e, theChunks(t, 100, 37))
	before, err := os.ReadFile(tg.Perf())
	if err != nil {
		t.Fatal(err)
	}
	fail = true
	paths := failed(t, e, theChunks(t, 100, 60), syscall.ENOSPC)
	if after, err := os.ReadFile(tg.Perf()); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the old file was touched: %v", err)
	}
	if len(paths) != 1 || paths[0] != tg.Stub() {
		t.Errorf("written: %v", paths)
	}
	wantNames(t, tg.Dir, "perf_r1.json perf_r1_FAILED_EXPORT.json")
	stub := readStub(t, tg.Stub(), 2)
	if !strings.Contains(stub["export_error"].(string), "no space left") || stub["export_traceback"] != "a trace" {
		t.Errorf("%v", stub)
	}
	exported(t, e, theChunks(t, 100, 60))
	wantNames(t, tg.Dir, "perf_r1.json")
}

func TestDirectoryInThePerfFilesPlace(t *testing.T) {
	for name, prepare := range map[string]func(e *export.Exporter){
		"from the first export on": func(*export.Exporter) {},
		"instead of an export":     func(e *export.Exporter) { exported(t, e, theChunks(t, 100, 10)) },
	} {
		t.Run(name, func(t *testing.T) {
			tg := target(t)
			e := opened(t, tg, export.Config{})
			prepare(e)
			if err := os.RemoveAll(tg.Perf()); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(tg.Perf(), 0o755); err != nil {
				t.Fatal(err)
			}
			_, err := e.Export(t.Context(), aReport(2), theChunks(t, 100, 37))
			if err == nil || !strings.Contains(err.Error(), "is no plain file (a directory)") {
				t.Fatalf("%v", err)
			}
			paths, err := e.Fail(export.Failure{Report: aReport(2), Chunks: theChunks(t, 100, 37), Cause: err})
			if err != nil || len(paths) != 1 || paths[0] != tg.Stub() {
				t.Errorf("%v, %v", paths, err)
			}
			readStub(t, tg.Stub(), 2)
		})
	}
}

// A directory that takes the stub's place sends all into the fallback.
func TestDirectoryInTheStubsPlace(t *testing.T) {
	tg := target(t)
	var stderr bytes.Buffer
	e := opened(t, tg, export.Config{Stderr: &stderr})
	if err := os.Mkdir(tg.Stub(), 0o755); err != nil {
		t.Fatal(err)
	}
	exported(t, e, theChunks(t, 100, 60)) // whose bars the fallback holds too
	wantNames(t, tg.Dir, "perf_r1.json perf_r1_FAILED_EXPORT.json")
	paths, err := e.Fail(export.Failure{Report: aReport(2), Chunks: theChunks(t, 100, 37), Cause: errTest})
	if err != nil {
		t.Fatal(err)
	}
	wantFallback(t, tg, paths, stderr.Bytes(), 2, 160)
}

func TestDeletedOutputDirectory(t *testing.T) {
	tg := target(t)
	var stderr bytes.Buffer
	e := opened(t, tg, export.Config{Stderr: &stderr})
	exported(t, e, theChunks(t, 100, 20))
	if err := os.RemoveAll(tg.Dir); err != nil {
		t.Fatal(err)
	}
	paths := failed(t, e, theChunks(t, 100, 37), os.ErrNotExist)
	wantFallback(t, tg, paths, stderr.Bytes(), 2, 137)
	if _, err := os.Stat(tg.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the output directory was made again: %v", err)
	}
}

// Without an Exporter, as where the lock is never free.
func TestFailWithoutExporter(t *testing.T) {
	tg := target(t)
	var stderr bytes.Buffer
	paths, err := export.Fail(tg, export.Config{Stderr: &stderr}, export.Failure{Report: aReport(1), Chunks: theChunks(t, 5)})
	if err != nil {
		t.Fatal(err)
	}
	wantFallback(t, tg, paths, stderr.Bytes(), 1, 5)
}

func TestFallbackCannotBeWrittenEither(t *testing.T) {
	tg := target(t)
	write(t, tg.FallbackDir, nil) // a file
	var stderr bytes.Buffer
	paths, err := export.Fail(tg, export.Config{Stderr: &stderr}, export.Failure{Report: aReport(1), Chunks: theChunks(t, 5), Cause: errTest})
	if err == nil || len(paths) != 0 {
		t.Errorf("%v, %v", paths, err)
	}
	stubOf(t, stderr.Bytes(), 1)
}

// What holds for the output directory holds for the fallback.
func TestInvariant2_Fallback(t *testing.T) {
	tg := target(t)
	fallback := func(r perf.Report, bars ...int64) {
		t.Helper()
		paths, err := export.WriteFallback(tg, export.Config{}, export.Failure{Report: r, Chunks: theChunks(t, bars...), Cause: errTest})
		if err != nil || len(paths) != 2 {
			t.Fatalf("%v, %v", paths, err)
		}
	}
	fallback(aReport(2), 60, 10)
	fallback(aReport(2), 10, 40)
	if got := replayed(t, tg.FallbackPerf()); got != 100 {
		t.Errorf("%d bars, want 100", got)
	}
	other := aReport(2)
	other.Data.SHA256 = "d2"
	fallback(other, 10, 10)
	if got := replayed(t, tg.FallbackPerf()); got != 20 {
		t.Errorf("%d bars of the other data, want 20", got)
	}
	if got := replayed(t, tg.FallbackPerf()+".set-aside-1"); got != 100 {
		t.Errorf("%d bars set aside, want 100", got)
	}
	fallback(other, 100, 100)
	fallback(other, 10, 10)
	if f := read(t, tg.FallbackPerf()); f.Totals.Outcome != perf.OutcomeComplete {
		t.Errorf("a complete file was replaced: %+v", f.Totals)
	}
	wantNames(t, tg.FallbackDir, "perf_r1.json perf_r1.json.set-aside-1 perf_r1_FAILED_EXPORT.json")
}
