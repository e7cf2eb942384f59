package bars

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// names lists a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestFileRoundTrip(t *testing.T) {
	bars := Generate(500, 4)
	dir := t.TempDir()
	for _, name := range []string{"a.parquet", "a.csv", "B.PARQUET"} {
		path := filepath.Join(dir, name)
		for range 2 { // the second time over the first
			if err := WriteFile(path, bars); err != nil {
				t.Fatal(err)
			}
		}
		set, err := ReadFile(path, ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(set.Bars, bars) || set.Source != path || set.SpreadBps != 0 {
			t.Errorf("%s: %d bars of %s with spread %v", name, len(set.Bars), set.Source, set.SpreadBps)
		}
	}
	if got := names(t, dir); len(got) != 3 {
		t.Errorf("files %v, want three and nothing beside them", got)
	}
}

func TestOpen(t *testing.T) {
	set, err := Open("synthetic:300,seed=9", ReadOptions{})
	if err != nil || !slices.Equal(set.Bars, Generate(300, 9)) || set.Source != "synthetic:300,seed=9" {
		t.Errorf("%d bars of %s, %v", len(set.Bars), set.Source, err)
	}
	if _, err := Open("synthetic:0", ReadOptions{}); err == nil {
		t.Error("no error for no bars")
	}
	set, err = Open("testdata/metatrader.csv", ReadOptions{SpreadBps: new(3.0)})
	if err != nil || len(set.Bars) != 2 || set.SpreadBps != 3 {
		t.Errorf("%d bars, spread %v, %v", len(set.Bars), set.SpreadBps, err)
	}
}

func TestReadFileRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none.csv"):                      "no such file",
		write("x.txt", "time"):                              "header: missing columns",
		write("noext", "time"):                              "header: missing columns",
		write("empty.csv", ""):                              "no bars",
		write("empty.parquet", ""):                          "0 bytes are no parquet file",
		write("text.parquet", "time,open,high,low,close\n"): "no parquet file: it ends with",
		filepath.Join(dir, "sub"):                           "a directory without files",
	} {
		_, err := ReadFile(path, ReadOptions{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: error %v, want one that names the file once and says %s", path, err, want)
		}
	}
}

func TestWriteFileLeavesWhatWasThere(t *testing.T) {
	good := Generate(10, 1)
	bad := slices.Clone(good)
	bad[5].BidLow = -1
	dir := t.TempDir()
	path := filepath.Join(dir, "d.csv")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	var cell *CellError
	if err := WriteFile(path, bad); !errors.As(err, &cell) || cell.Row != 6 {
		t.Errorf("bars that are not valid: error %v", err)
	}
	if err := WriteFile(path, nil); !errors.Is(err, ErrEmpty) {
		t.Errorf("no bars: error %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "before" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	taken := filepath.Join(dir, "taken.csv")
	if err := os.Mkdir(taken, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(taken, good); err == nil {
		t.Error("a directory was replaced")
	}
	if err := WriteFile(filepath.Join(dir, "none", "d.csv"), good); err == nil {
		t.Error("written into a directory that is not there")
	}
	if err := WriteFile(filepath.Join(dir, "d.txt"), good); err == nil || !strings.Contains(err.Error(), "d.txt") {
		t.Errorf("an unknown extension: error %v", err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"d.csv", "taken.csv"}) {
		t.Errorf("files %v, want d.csv and taken.csv alone", got)
	}
}

func TestWriteFileMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.csv")
	if err := WriteFile(path, Generate(1, 1)); err != nil {
		t.Fatal(err)
	}
	reference := path + ".reference"
	if err := os.WriteFile(reference, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	got, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.Stat(reference)
	if err != nil {
		t.Fatal(err)
	}
	if got.Mode() != want.Mode() {
		t.Errorf("mode %v, any other new file has %v", got.Mode(), want.Mode())
	}
}
