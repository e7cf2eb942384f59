package bars

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReadDirectory(t *testing.T) {
	all := Generate(300, 2)
	dir := t.TempDir()
	write := func(name string, bars []Bar) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := WriteFile(path, bars); err != nil {
			t.Fatal(err)
		}
	}
	// The order of names is not that of time.
	write("month=1/part-0.parquet", all[:100])
	write("month=10/part-0.parquet", all[200:])
	write("month=2/part-0.parquet", all[100:200])
	if err := os.WriteFile(filepath.Join(dir, "_SUCCESS"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "month=1", ".part-0.parquet.crc"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := ReadFile(dir, ReadOptions{Form: Form{From: "2018-01-01"}})
	if err != nil || !slices.Equal(set.Bars, all) || set.Source != dir || !strings.HasPrefix(set.Read.Format, "3 files, parquet") {
		t.Fatalf("%d bars of %s, %s, %v", len(set.Bars), set.Source, set.Read.Format, err)
	}
	hive := t.TempDir()
	for name, part := range map[string][]Bar{"symbol=A/part-0.parquet": all[:100], "symbol=B/part-0.parquet": all[100:]} {
		path := filepath.Join(hive, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := WriteFile(path, part); err != nil {
			t.Fatal(err)
		}
	}
	if set, err := ReadFile(hive, ReadOptions{}); err == nil || !strings.Contains(err.Error(), `rows of "A" and of "B" (want one instrument`) {
		t.Errorf("two instruments: %d bars, %v", len(set.Bars), err)
	}
	write("month=3/part-0.parquet", all[150:160])
	if _, err := ReadFile(dir, ReadOptions{}); err == nil || !strings.Contains(err.Error(), "month=3/part-0.parquet begins at") {
		t.Errorf("files that overlap: %v", err)
	}
}
