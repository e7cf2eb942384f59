package execengine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gx1replay/internal/safefile"
)

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// rewrite replaces what the file holds, in place or by another file.
func rewrite(t *testing.T, path, text string, aside bool) {
	t.Helper()
	to := path
	if aside {
		to += ".aside"
	}
	if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if aside {
		if err := os.Rename(to, path); err != nil {
			t.Fatal(err)
		}
	}
}

// polled are the bars of the reports of one look.
func polled(t *testing.T, p *ProgressFile, wantErr string) []int64 {
	t.Helper()
	list, err := p.Poll()
	if wantErr == "" && err != nil || wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)) {
		t.Fatalf("error %v, want %q", err, wantErr)
	}
	var bars []int64
	for _, r := range list {
		bars = append(bars, r.Footer.BarsProcessed)
	}
	return bars
}

func wantBars(t *testing.T, what string, got []int64, want ...int64) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

func TestProgressFile_Append(t *testing.T) {
	path := filepath.Join(t.TempDir(), "progress")
	p := followFile(path, opens(path))
	wantBars(t, "no file", polled(t, p, ""))
	appendTo(t, path, "")
	wantBars(t, "an empty file", polled(t, p, ""))
	appendTo(t, path, `{"bars_processed": 1}`+"\n\r\n"+`{"bars_processed": 2}`+"\r\n"+`{"bars_pro`)
	wantBars(t, "two lines and a part", polled(t, p, ""), 1, 2)
	wantBars(t, "the same", polled(t, p, ""))
	appendTo(t, path, `cessed": 3`)
	wantBars(t, "more of it", polled(t, p, ""))
	appendTo(t, path, "}")
	wantBars(t, "all of it", polled(t, p, ""), 3)
	appendTo(t, path, "\nhello\n{\"bars_processed\": NaN}\n[]\n{\"bars_processed\": 5}\n")
	wantBars(t, "lines that are none", polled(t, p, path+": line 5: report \"hello\""), 0, 5)
	wantBars(t, "the same", polled(t, p, ""))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantBars(t, "it is gone", polled(t, p, ""))
	appendTo(t, path, "{\"bars_processed\": 6}\n")
	wantBars(t, "another", polled(t, p, ""), 6)
}

func TestProgressFile_Rewrite(t *testing.T) {
	for _, end := range []string{"", "\n"} {
		for _, aside := range []bool{false, true} {
			path := filepath.Join(t.TempDir(), "progress")
			p := followFile(path, opens(path))
			// Longer, as long, shorter; 1000 follows 100 with the same beginning.
			for _, bars := range []int64{9, 10, 11, 100, 1000, 999, 7} {
				text := fmt.Sprintf(`{"bars_processed": %d}`, bars) + end
				rewrite(t, path, text, aside)
				wantBars(t, text, polled(t, p, ""), bars)
				wantBars(t, "the same", polled(t, p, ""))
			}
		}
	}
}

// A file that is seen while it is rewritten is read when that is done.
func TestProgressFile_Torn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "progress")
	p := followFile(path, opens(path))
	appendTo(t, path, strings.Repeat("{\"bars_processed\": 4}\n", 100))
	if n := len(polled(t, p, "")); n != 100 {
		t.Fatalf("%d reports", n)
	}
	rewrite(t, path, "", false)
	wantBars(t, "empty", polled(t, p, ""))
	rewrite(t, path, `{"bars_`, false)
	wantBars(t, "a part", polled(t, p, ""))
	rewrite(t, path, "{\"bars_processed\": 5}\n", false)
	wantBars(t, "whole", polled(t, p, ""), 5)
}

func TestProgressFile_Bounds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "progress")
	p := followFile(path, opens(path))
	const lines = 100_000
	var text strings.Builder
	for i := range lines {
		fmt.Fprintf(&text, "{\"bars_processed\": %d}\n", i+1)
	}
	appendTo(t, path, text.String())
	last := int64(0)
	looks := 0
	for ; ; looks++ {
		bars := polled(t, p, "")
		if len(bars) == 0 {
			break
		}
		if len(bars) > pollReports || !slices.IsSorted(bars) || bars[0] <= last {
			t.Fatalf("%d reports from %d to %d after %d", len(bars), bars[0], bars[len(bars)-1], last)
		}
		last = bars[len(bars)-1]
	}
	if last != lines || looks != 3 {
		t.Errorf("the last report is %d, after %d looks", last, looks)
	}

	appendTo(t, path, `{"x": "`+strings.Repeat("x", 3*pollBytes)+"\"}\n{\"bars_processed\": 7}\n")
	for range 3 {
		wantBars(t, "a line without an end", polled(t, p, ""))
	}
	wantBars(t, "behind it", polled(t, p, "line 100001: it is longer than 1048576 bytes"), 7)
}

func TestReadFooter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "footer.json")
	for _, c := range []struct {
		text           string
		running, final string // "": none, "ok": there is one, else the error
	}{
		{"{\"bars_processed\": 5,\n \"pnl_bps\": NaN}\n", "ok", "ok"},
		{"", "", "it is empty"},
		{`{"bars_processed": 5`, "", "unexpected end of JSON input"},
		{"hello", "", path + ": report \"hello\" is no JSON object"},
		{`{"x":"` + strings.Repeat("x", 1<<20) + `"}`, "more than 1048576 bytes", "more than 1048576 bytes"},
	} {
		rewrite(t, path, c.text, false)
		for final, want := range map[bool]string{false: c.running, true: c.final} {
			r, ok, err := readFooter(path, safefile.Read, final)
			switch {
			case ok != (want == "ok"), ok && r.Footer.BarsProcessed != 5,
				(err != nil) != (want != "" && want != "ok"),
				err != nil && !strings.Contains(err.Error(), want):
				t.Errorf("%.30q, final %v: %v, %d bars, error %v, want %q", c.text, final, ok, r.Footer.BarsProcessed, err, want)
			}
		}
	}
	for _, final := range []bool{false, true} {
		if _, ok, err := readFooter(path+".none", safefile.Read, final); ok || err != nil {
			t.Errorf("no file, final %v: %v, %v", final, ok, err)
		}
	}
}

// What is no plain file is refused, and a pipe to which nobody writes does not
// hang.
func TestOpenPlain(t *testing.T) {
	dir := t.TempDir()
	fifo, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, fifo, os.DevNull} {
		for _, final := range []bool{false, true} {
			if _, ok, err := readFooter(path, safefile.Read, final); ok || err == nil || !strings.Contains(err.Error(), path+" is no plain file") {
				t.Errorf("%s: %v, %v", path, ok, err)
			}
		}
		if _, err := followFile(path, opens(path)).Poll(); err == nil || !strings.Contains(err.Error(), path+" is no plain file") {
			t.Errorf("%s: %v", path, err)
		}
	}
	rewrite(t, filepath.Join(dir, "plain"), "{}", false)
	if err := os.Symlink("plain", link); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := readFooter(link, safefile.Read, true); ok || !errors.Is(err, safefile.ErrNotPlain) {
		t.Errorf("a link to a plain file: %v, %v (want it refused: it may lead anywhere)", ok, err)
	}
}

// However a file grows, each of its lines is seen.
func FuzzProgressFile(f *testing.F) {
	f.Add([]byte("{\"n_signals\": 1}\n\n{\"n_signals\": 2}\nx\n{}"), uint16(7))
	f.Add([]byte("{}{}\n[\r\n{\"error\":\"\xff\"}"), uint16(1))
	f.Fuzz(func(t *testing.T, text []byte, size uint16) {
		if size == 0 || len(text) > 4096 || len(text)/int(size) > 64 {
			t.Skip()
		}
		want := 0
		for line := range strings.SplitSeq(string(text), "\n") {
			if _, err := ParseReport([]byte(line)); err == nil {
				want++
			}
		}
		path := filepath.Join(t.TempDir(), "progress")
		p := followFile(path, opens(path))
		got := 0
		for part := range slices.Chunk(text, int(size)) {
			appendTo(t, path, string(part))
			list, _ := p.Poll()
			got += len(list)
		}
		if p.offset > int64(len(text)) {
			t.Fatalf("offset %d of %d bytes", p.offset, len(text))
		}
		// An object counts as soon as it is whole, and what follows it on its line
		// is then looked at alone.
		if got < want {
			t.Fatalf("%d reports, want %d", got, want)
		}
		if list, _ := followFile(path, opens(path)).Poll(); len(list) != want {
			t.Fatalf("%d reports of the whole file, want %d", len(list), want)
		}
	})
}
