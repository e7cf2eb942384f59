//go:build linux

package execrun

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"gx1replay/test/testsize"
)

// harmless says that text does nothing in a terminal but to be read.
func harmless(t *testing.T, what, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s is not UTF-8: %q", what, text)
	}
	for _, r := range text {
		if r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			t.Errorf("%s holds %U: %q", what, r, text)
			return
		}
	}
}

// What a command writes of control characters reaches no terminal by what we
// print, and stays what it is in files.
func TestControlCharactersOfACommand(t *testing.T) {
	testsize.All(t)
	t.Parallel()
	script, err := filepath.Abs("testdata/colours.py")
	if err != nil {
		t.Fatal(err)
	}
	v := command(t, small(t).with("--max-failures", "1", "--keep-bus"), built.python, script)
	v.ends(3)
	shown := map[string]string{"the coordinator's standard error": v.said()}
	for what, path := range map[string]string{"its summary": v.Stdout(), "the run's log": v.Log()} {
		b, err := os.ReadFile(path)
		v.must(err)
		shown[what] = string(b)
	}
	for _, args := range [][]string{
		{"logs", v.RunID}, {"logs", v.RunID, "--json"}, {"logs", v.RunID, "1"}, {"status"}, {"verify", v.Perf()}, {"chunk", v.RunID, "99", "--rerun"},
		{"exec", "check", "--policy", v.Policy, "--data", "synthetic:300", "--cuts", "2", "--", built.python, script},
	} {
		if args[0] == "logs" || args[0] == "chunk" {
			args = append(args, "--output-dir", v.Out)
		}
		said, err := v.Command(v.ctx, args...)
		v.must(err)
		shown[strings.Join(args, " ")] = said.Stdout + said.Stderr
	}
	for what, text := range shown {
		harmless(t, what, text)
	}
	if text := shown["logs "+v.RunID+" 1 --output-dir "+v.Out]; !strings.Contains(text, `\u001b[2J`) || !strings.Contains(text, "of chunk 1\n") {
		t.Errorf("logs shows %q", text)
	}
	said, err := v.Command(v.ctx, "logs", v.RunID, "1", "--raw", "--output-dir", v.Out)
	v.must(err)
	kept, err := os.ReadFile(filepath.Join(v.Out, v.RunID, "chunk_1", "attempt_1", "stderr.log"))
	v.must(err)
	if said.Stdout != string(kept) || !strings.Contains(said.Stdout, "\x1b[2J") || !strings.Contains(said.Stdout, "byte \x9b2J") {
		t.Errorf("logs --raw shows %q, the file holds %q", said.Stdout, kept)
	}
}
