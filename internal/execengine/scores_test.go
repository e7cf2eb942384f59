package execengine

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// m5 are the opening times of n M5 bars, and a day without any in the middle.
func m5(n int) []int64 {
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC).UnixNano()
	times := make([]int64, n)
	for i := range times {
		if times[i] = at; i == n/2 {
			at += int64(24 * time.Hour)
		}
		at += int64(5 * time.Minute)
	}
	return times
}

func leaveFile(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// parquetOf writes rows as a parquet file.
func parquetOf[T any](t testing.TB, rows []T, opt ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, opt...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// same compares probabilities bit by bit; NaN is NaN.
func same(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) || x != x && y != y })
}

func TestReadScoresForms(t *testing.T) {
	own := m5(4)
	nan := math.NaN()
	long, short := []float64{0.1, 0.7500000000000001, nan, 1}, []float64{0, 0.25, 0.5, nan}
	type ns struct {
		Time   int64    `parquet:"time,timestamp(nanosecond)"`
		PLong  *float64 `parquet:"p_long,optional"`
		PShort float64  `parquet:"p_short"`
	}
	type ms struct {
		PShort float64 `parquet:"p_short"`
		Model  string  `parquet:"model"`
		Index  int64   `parquet:"__index_level_0__,timestamp(millisecond)"`
		PLong  float64 `parquet:"p_long"`
	}
	type plain struct {
		Time   int64   `parquet:"time"`
		PLong  float64 `parquet:"P_Long"`
		PShort float64 `parquet:"p_short"`
	}
	var inNS []ns
	var inMS []ms
	var inS []plain
	for i := range own {
		inNS = append(inNS, ns{own[i], &long[i], short[i]})
		inMS = append(inMS, ms{short[i], "m", own[i] / 1e6, long[i]})
		inS = append(inS, plain{own[i] / 1e9, long[i], short[i]})
	}
	inNS[2].PLong = nil
	for name, f := range map[string]struct {
		file    string
		content []byte
	}{
		"as gx1replay.py writes": {"scores.csv", []byte("time,p_long,p_short\n2026-01-02T00:00:00+00:00,0.1,0.0\n2026-01-02T00:05:00+00:00,0.7500000000000001,0.25\n2026-01-02T00:10:00+00:00,nan,0.5\n2026-01-03T00:15:00+00:00,1.0,\n")},
		"as pandas writes":       {"scores.csv", []byte("time,close,p_long,p_short\r\n2026-01-02 00:00:00+00:00,1,0.1,-0.0\r\n2026-01-02 00:05:00+00:00,1,0.7500000000000001,0.25\r\n2026-01-02 00:10:00+00:00,1,,0.5\r\n2026-01-03 00:15:00+00:00,1,1.0,NaN\r\n")},
		"an index without name":  {"scores.csv", []byte("\uFEFF,p_short,p_long\n1767312000,0,0.1\n1767312300,.25,7500000000000001e-16\n1767312600,0.5,\n1767399300,,1")},
		"parquet, ns":            {"scores.parquet", parquetOf(t, inNS)},
		"parquet, ms, gzip":      {"scores.parquet", parquetOf(t, inMS, parquet.Compression(&parquet.Gzip), parquet.MaxRowsPerRowGroup(3))},
		"parquet, s":             {"scores.parquet", parquetOf(t, inS, parquet.Compression(&parquet.Zstd))},
	} {
		dir := t.TempDir()
		leaveFile(t, dir, f.file, f.content)
		got, err := ReadScores(in(t, dir), own, false)
		if err != nil || !same(got.PLong, long) || !same(got.PShort, short) {
			t.Errorf("%s: %v, %v, %v", name, got.PLong, got.PShort, err)
		}
	}
}

// A number that was written so that it reads back the same is the same.
func TestScoresAreExact(t *testing.T) {
	const n = 2000
	own := m5(n)
	var b bytes.Buffer
	b.WriteString("time,p_long,p_short\n")
	var long []float64
	x := 0.37
	for _, ns := range own {
		x = 4 * x * (1 - x) * 0.999
		long = append(long, x)
		fmt.Fprintf(&b, "%s,%v,%g\n", newTime(ns, TSRFC3339), x, x)
	}
	dir := t.TempDir()
	leaveFile(t, dir, "scores.csv", b.Bytes())
	got, err := ReadScores(in(t, dir), own, false)
	if err != nil || !same(got.PLong, long) || !same(got.PShort, long) {
		t.Errorf("%d scores, %v", got.Len(), err)
	}
}

func TestReadScoresErrors(t *testing.T) {
	own := m5(4)
	const head = "time,p_long,p_short\n"
	row := func(i int, p string) string { return stamp(own[i]) + "," + p + "\n" }
	all := row(0, "0.1,0.2") + row(1, "0.1,0.2") + row(2, "0.1,0.2") + row(3, "0.1,0.2")
	for want, content := range map[string]string{
		`scores.csv line 3: time is "2026-01-02T00:00:00Z" (want each bar once`:                                       head + row(0, "0.1,0.2") + row(0, "0.1,0.2"),
		`(want 2026-01-02T00:05:00Z, the chunk's next bar: bars between them have no row)`:                            head + row(0, "0.1,0.2") + row(2, "0.1,0.2"),
		`line 4: time is "2026-01-02T00:00:00Z" (want each bar once, in order: this one has a row; 2026-01-02T00:10:`: head + row(0, "0.1,0.2") + row(1, "0.1,0.2") + row(0, "0.1,0.2"),
		`line 2: time is "2026-01-01T23:55:00Z" (want 2026-01-02T00:00:00Z, the chunk's next bar: this one lies befo`: head + "2026-01-01T23:55:00Z,0.1,0.2\n" + all,
		`line 6: time is "2026-01-03T00:20:00Z" (want no more rows`:                                                   head + all + "2026-01-03T00:20:00Z,0.1,0.2\n",
		`line 6: time is "2026-01-03T00:15:00Z" (want each bar once`:                                                  head + all + row(3, "0.1,0.2"),
		`: no bar opens then)`:              head + "2026-01-02T00:02:00Z,0.1,0.2\n",
		`line 2: time is "soon"`:            head + "soon,0.1,0.2\n",
		`line 2: time is ""`:                head + ",0.1,0.2\n",
		`p_long is "1.0000001" (want a`:     head + row(0, "1.0000001,0.2"),
		`p_short is "-0.1" (want a`:         head + row(0, "0.1,-0.1"),
		`p_short is "inf" (want a`:          head + row(0, "0.1,inf"),
		`p_short is "high" (want a`:         head + row(0, "0.1,high"),
		`ends after 3 rows (want one for`:   head + row(0, "0.1,0.2") + row(1, "0.1,0.2") + row(2, "0.1,0.2"),
		`ends after 0 rows`:                 head,
		`ends after 0 rows (want one for`:   "",
		`no column p_short (it has "time,p`: "time,p_long,p\n1,2,3\n",
		`has column p_long twice`:           "time,p_long,P_LONG,p_short\n1,2,3,4\n",
		`wrong number of fields`:            head + stamp(own[0]) + ",0.1\n",
		"line 2, column ":                   head + "\"" + stamp(own[0]) + "\"x,0.1,0.2\n",
	} {
		dir := t.TempDir()
		leaveFile(t, dir, "scores.csv", []byte(content))
		if s, err := ReadScores(in(t, dir), own, false); err == nil || !strings.Contains(err.Error(), want) || s.Len() > 0 {
			t.Errorf("%.60q: %v (want an error with %s)", content, err, want)
		}
	}
	type nested struct {
		Time   []int64 `parquet:"time"`
		PLong  float64 `parquet:"p_long"`
		PShort float64 `parquet:"p_short"`
	}
	type row3 struct {
		Time   int64   `parquet:"time,timestamp(microsecond)"`
		PLong  float32 `parquet:"p_long"`
		PShort float32 `parquet:"p_short"`
	}
	whole := parquetOf(t, []row3{{own[0] / 1e3, 0.5, 1.5}})
	for want, content := range map[string][]byte{
		"column \"time\": it is nested":    parquetOf(t, []nested{{[]int64{1}, 0.5, 0.5}}),
		"scores.parquet row 1: p_short is": whole,
		"does not end as a parquet file":   whole[:len(whole)-1],
		"compressed by LZ4":                parquetOf(t, []row3{{own[0] / 1e3, 0.5, 0.5}}, parquet.Compression(&parquet.Lz4Raw)),
	} {
		dir := t.TempDir()
		leaveFile(t, dir, "scores.parquet", content)
		if _, err := ReadScores(in(t, dir), own, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v (want an error with %s)", err, want)
		}
	}
	dir := t.TempDir()
	if _, err := ReadScores(in(t, dir), own, false); err == nil || !strings.Contains(err.Error(), "holds neither scores.csv nor scores.parquet") {
		t.Errorf("no file: %v", err)
	}
	leaveFile(t, dir, "scores.csv", []byte(head+all))
	leaveFile(t, dir, "scores.parquet", whole)
	if _, err := ReadScores(in(t, dir), own, false); err == nil || !strings.Contains(err.Error(), "holds both") {
		t.Errorf("two files: %v", err)
	}
	for name, put := range map[string]func(path string) error{
		"a link":      func(path string) error { return os.Symlink(filepath.Join(dir, "scores.csv"), path) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o755) },
	} {
		odd := t.TempDir()
		if err := put(filepath.Join(odd, "scores.csv")); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadScores(in(t, odd), own, false); err == nil || !strings.Contains(err.Error(), "no plain file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a command that was ended has flushed counts, and nothing that is torn:
// half a number is a number, too.
func TestScoresOfAStoppedCommand(t *testing.T) {
	own := m5(6)
	var whole bytes.Buffer
	whole.WriteString("time,p_long,p_short\n")
	for _, ns := range own {
		fmt.Fprintf(&whole, "%s,0.125,0.0625\n", stamp(ns))
	}
	for n := range whole.Len() + 1 {
		dir := t.TempDir()
		leaveFile(t, dir, "scores.csv", whole.Bytes()[:n])
		s, err := ReadScores(in(t, dir), own, true)
		rows := int64(max(0, bytes.Count(whole.Bytes()[:n], []byte("\n"))-1))
		if err != nil || s.Len() != rows {
			t.Fatalf("%d bytes: %d scores, %v (want %d)", n, s.Len(), err, rows)
		}
		for k := range s.PLong {
			if s.PLong[k] != 0.125 || s.PShort[k] != 0.0625 {
				t.Fatalf("%d bytes: score %d is %v, %v", n, k, s.PLong[k], s.PShort[k])
			}
		}
	}
	if s, err := ReadScores(in(t, t.TempDir()), own, true); err != nil || s.Len() != 0 {
		t.Errorf("no file: %d scores, %v", s.Len(), err)
	}
	type row struct {
		Time          int64 `parquet:"time,timestamp(nanosecond)"`
		PLong, PShort float64
	}
	torn := parquetOf(t, []row{{own[0], 0.5, 0.5}})
	dir := t.TempDir()
	leaveFile(t, dir, "scores.parquet", torn[:len(torn)-3])
	if s, err := ReadScores(in(t, dir), own, true); err != nil || s.Len() != 0 {
		t.Errorf("a torn parquet file: %d scores, %v", s.Len(), err)
	}
	// A gap is no end.
	dir = t.TempDir()
	leaveFile(t, dir, "scores.csv", []byte("time,p_long,p_short\n"+stamp(own[1])+",0.5,0.5\n"))
	if _, err := ReadScores(in(t, dir), own, true); err == nil {
		t.Error("a gap before the first row is taken")
	}
}

func FuzzReadScores(f *testing.F) {
	own := m5(3)
	type row struct {
		Time   int64   `parquet:"time,timestamp(nanosecond)"`
		PLong  float64 `parquet:"p_long"`
		PShort float64 `parquet:"p_short,optional"`
	}
	f.Add([]byte("time,p_long,p_short\n2026-01-02T00:00:00Z,0.5,0.25\n2026-01-02 00:05:00,nan,\n1767399000,1,0"), false, false)
	f.Add(parquetOf(f, []row{{own[0], 0.5, 0.5}, {own[1], 0.5, 0.5}, {own[2], 0.5, 0.5}}), true, false)
	f.Add([]byte("time,p_long,p_short\n2026-01-02T00:00:00Z,0.5,0."), false, true)
	f.Fuzz(func(t *testing.T, content []byte, asParquet, partial bool) {
		dir, name := t.TempDir(), "scores.csv"
		if asParquet {
			name = "scores.parquet"
		}
		leaveFile(t, dir, name, content)
		s, err := ReadScores(in(t, dir), own, partial)
		if err != nil {
			return
		}
		if n := s.Len(); n > 3 || n < 3 && !partial || len(s.PShort) != len(s.PLong) {
			t.Fatalf("%d and %d scores of 3 bars", len(s.PLong), len(s.PShort))
		}
		for _, p := range slices.Concat(s.PLong, s.PShort) {
			if p < 0 || p > 1 {
				t.Fatalf("%v is taken as a probability", p)
			}
		}
	})
}
