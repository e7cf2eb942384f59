package docs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// small makes a command of the documents a small one, run by the program
// under test.
var small = strings.NewReplacer("go run ./cmd/coordinator", "coordinator", "70000", "4000")

// patience is far above what any block takes; a block that hangs is a
// failure.
const patience = 2 * time.Minute

// tutorials are the documents whose blocks marked `sh run` are run. (Those of
// docs/exec.md are run by test/examples.)
var tutorials = []string{"README.md", "docs/running.md", "docs/resuming.md", "docs/results.md"}

// TestCommandsRun runs every block marked `sh run` of each tutorial, in order,
// in one directory, as a reader would.
func TestCommandsRun(t *testing.T) {
	for _, page := range tutorials {
		t.Run(page, func(t *testing.T) { runPage(t, page) })
	}
}

func runPage(t *testing.T, page string) {
	s := newShell(t)
	blocks := document{page, read(t, filepath.Join(root, page))}.blocks()
	ran, compared := 0, 0
	for i, b := range blocks {
		if b.info != "sh run" {
			continue
		}
		ran++
		name := strings.TrimSpace(strings.SplitN(b.text, "\n", 2)[0])
		t.Run(name, func(t *testing.T) {
			if strings.Contains(b.text, "jq ") {
				if _, err := exec.LookPath("jq"); err != nil {
					t.Skip("jq is not installed")
				}
			}
			out := s.run(t, small.Replace(b.text))
			if i+1 < len(blocks) && blocks[i+1].info == "text out" {
				compared++
				if err := matches(out, blocks[i+1].text); err != nil {
					t.Errorf("%s shows the output\n%s\nit was\n%s\n%v", page, blocks[i+1].text, out, err)
				}
			}
		})
	}
	if ran < 3 || page == "README.md" && compared < 1 {
		t.Errorf("%s: %d blocks were run and the output of %d compared (want 3 or more, and 1 in README.md)", page, ran, compared)
	}
}

// shell runs scripts in one directory.
type shell struct {
	dir string
	env []string
}

func newShell(t *testing.T) shell {
	t.Helper()
	bin, dir, runtimeDir := t.TempDir(), t.TempDir(), t.TempDir()
	install(t, bin)
	if err := os.Chmod(runtimeDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS(filepath.Join(root, "examples"))); err != nil {
		t.Fatal(err)
	}
	return shell{dir, []string{
		"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME=" + dir, "TMPDIR=" + os.TempDir(), "XDG_RUNTIME_DIR=" + runtimeDir,
	}}
}

// run runs a script, which must succeed, and returns what it printed.
func (s shell) run(t *testing.T, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = s.dir, s.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s\n%v\n%s%s", script, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// loose are the lines of a summary that depend on the scale by more than
// their numbers: phases below one per cent are left out, and so are trades
// where there are none.
var loose = map[string]bool{"time": true, "trades": true}

// rare are the lines of a summary that a small run need not have.
var rare = map[string]bool{"expired": true}

var (
	runID  = regexp.MustCompile(`[0-9]{8}_[0-9]{6}_[0-9a-f]{4}`)
	number = regexp.MustCompile(`[0-9][0-9,.]*`)
)

// matches says whether got is what the document shows, line by line, any
// number for a number and any run_id for a run_id.
func matches(got, shown string) error {
	gotLines, shownLines := strings.Split(strings.TrimSpace(got), "\n"), strings.Split(strings.TrimSpace(shown), "\n")
	if len(gotLines) < len(shownLines) {
		shownLines = slices.DeleteFunc(shownLines, func(line string) bool { return rare[label(line)] })
	}
	if len(gotLines) != len(shownLines) {
		return fmt.Errorf("%d lines (want %d)", len(gotLines), len(shownLines))
	}
	for i, want := range shownLines {
		pattern := mask(want)
		if l := label(want); loose[l] {
			pattern = `  ` + l + ` .*`
		}
		if !regexp.MustCompile(`^` + pattern + `$`).MatchString(gotLines[i]) {
			return fmt.Errorf("line %d: %q does not look like %q", i+1, gotLines[i], want)
		}
	}
	return nil
}

// label is a line's first word.
func label(line string) string {
	word, _, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
	return word
}

func mask(line string) string {
	const id = "\x00"
	line = regexp.QuoteMeta(runID.ReplaceAllString(line, id))
	// QuoteMeta has put a backslash before each dot of a number.
	line = number.ReplaceAllString(strings.ReplaceAll(line, `\.`, "."), `[0-9][0-9,.]*`)
	return strings.ReplaceAll(line, id, `[0-9a-f_]+`)
}

// TestMatches shows that a drift would be seen.
func TestMatches(t *testing.T) {
	const shown = "run 20261124_110358_1a2b complete after 11s\n  speed     70,000 bars, 6,362 bars/s\n  time      model 95%\n  expired   1 of 766 signals\n"
	for _, c := range []struct {
		got string
		ok  bool
	}{
		{"run 20270101_000000_ffff complete after 1.1s\n  speed     4,000 bars, 12 bars/s\n  time      i/o 3%, model 9%\n", true},
		{"run 20270101_000000_ffff complete after 1.1s\n  speed     4,000 bars, 12 bars/s\n  time      model 9%\n  expired   3 of 9 signals\n", true},
		{"run 20270101_000000_ffff complete after 1.1s\n  speed     4,000 bars, 12 bars/s\n  time      model 9%\n  expired   3 signals\n", false},
		{"run 20270101_000000_ffff complete after 1.1s\n  speed     4,000 bars, 12 bars/s\n  time      model 9%\n  expired   3 of 9 signals\n  more\n", false},
		{"run 20270101_000000_ffff stopped after 1.1s\n  speed     4,000 bars, 12 bars/s\n  time      model 9%\n", false},
		{"run 20270101_000000_ffff complete after 1.1s\n  speed     4,000 rows, 12 bars/s\n  time      model 9%\n", false},
		{"run 20270101_000000_ffff complete after 1.1s\n  speed     4,000 bars, 12 bars/s\n", false},
		{"run 20270101_000000_ffff complete after 1.1s\n  speed     4,000 bars, 12 bars/s\n  phases    model 9%\n", false},
	} {
		if err := matches(c.got, shown); (err == nil) != c.ok {
			t.Errorf("%q: %v (want ok %v)", c.got, err, c.ok)
		}
	}
}

// TestREADMENamesTheTestCommand: .ci/run runs the line that it finds here.
func TestREADMENamesTheTestCommand(t *testing.T) {
	found := regexp.MustCompile(`(?m)^go test .*-race.*$`).FindAllString(read(t, filepath.Join(root, "README.md")), -1)
	if len(found) != 1 || found[0] != "go test -race ./..." {
		t.Errorf("README.md names the test commands %q (want one, go test -race ./...)", found)
	}
}
