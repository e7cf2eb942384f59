package worker

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/dataset"
	"gx1replay/internal/execengine"
	"gx1replay/internal/layout"
	"gx1replay/internal/run"
)

// The file of {data} is shared, is what the bars render to whatever stood there,
// and is made anew when it was changed.
func TestDataFile(t *testing.T) {
	all, store := bars.Generate(300, 1), objectMap{}
	data := run.Data{SHA256: bars.Digest(all), Bars: 300, BarLength: bars.BarLength(all), SliceBars: dataset.SliceBars}
	must(t, dataset.Publish(t.Context(), store, data.SHA256, all))
	m := run.Manifest{Data: data, Command: run.Command{SliceFormat: execengine.SliceCSV, TSFormat: execengine.TSRFC3339}}
	work := t.TempDir()
	open := func() (*Exec, *execInputs) {
		set, err := dataset.Open(t.Context(), store, data, nil)
		must(t, err)
		return &Exec{WorkDir: work}, &execInputs{source: execSource{Set: set}}
	}
	e, in := open()
	path, err := e.dataFile(t.Context(), m, in)
	must(t, err)
	want, err := os.ReadFile(path)
	must(t, err)
	if n := strings.Count(string(want), "\n"); n != 301 {
		t.Errorf("it has %d lines (want 301)", n)
	}
	info, err := os.Stat(path)
	must(t, err)
	past := time.Now().Add(-time.Hour)

	check := func(what string, e *Exec, in *execInputs, again bool) {
		t.Helper()
		must(t, os.Chtimes(path, past, past))
		got, err := e.dataFile(t.Context(), m, in)
		must(t, err)
		if b, err := os.ReadFile(got); err != nil || string(b) != string(want) || got != path {
			t.Errorf("%s: %s holds %.40q, %v", what, got, b, err)
		}
		now, err := os.Stat(path)
		must(t, err)
		if os.SameFile(now, info) == again {
			t.Errorf("%s: written again %v (want %v)", what, !again, again)
		}
		if time.Since(now.ModTime()) > time.Minute {
			t.Errorf("%s: it is not marked as used", what)
		}
		if names, _ := filepath.Glob(filepath.Join(work, layout.DataDir, "*")); len(names) != 1 {
			t.Errorf("%s: the directory holds %v", what, names)
		}
		info = now
	}
	check("the same process", e, in, false)
	e2, in2 := open()
	check("another process", e2, in2, false)
	must(t, os.WriteFile(path, []byte("time,close\n"), 0o600))
	if err := e2.recheck(m, in2); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that was changed passes: %v", err)
	}
	check("changed, the same process", e2, in2, true)
	must(t, os.Truncate(path, int64(len(want)/2)))
	e3, in3 := open()
	check("cut short, another process", e3, in3, true)
	// A directory in its place is moved aside, with what is in it.
	must(t, os.Remove(path))
	must(t, os.MkdirAll(filepath.Join(path, "inner"), 0o700))
	e5, in5 := open()
	got, err := e5.dataFile(t.Context(), m, in5)
	must(t, err)
	if b, err := os.ReadFile(got); err != nil || string(b) != string(want) || got != path {
		t.Errorf("a directory in its place: %s holds %.40q, %v", got, b, err)
	}
	if _, err := os.Stat(filepath.Join(path+".aside", "inner")); err != nil {
		t.Error(err)
	}
	past = past.Add(-time.Hour)
	must(t, os.Chtimes(filepath.Join(path+".aside", "inner"), past, past))
	must(t, os.Chtimes(path+".aside", past, past))
	if n := removeOld(work, past.Add(time.Minute)); n != 1 {
		t.Errorf("%d things were removed (want the directory that was moved aside)", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, os.Remove(path))
	e4, in4 := open()
	if got, err := e4.dataFile(ctx, m, in4); err == nil {
		t.Errorf("an ended context: %s", got)
	}
	if names, _ := filepath.Glob(filepath.Join(work, layout.DataDir, ".*")); len(names) != 0 {
		t.Errorf("an ended context has left %v", names)
	}
}
