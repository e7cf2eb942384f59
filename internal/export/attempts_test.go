package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
)

// attemptRig is a run of three chunks of ten bars.
type attemptRig struct {
	t      *testing.T
	target layout.Run
	chunks []perf.Chunk
	bus    map[string][]byte // chunk/name → content
	log    *slog.Logger
}

func newAttemptRig(t *testing.T) *attemptRig {
	r := &attemptRig{t: t, target: layout.Run{Dir: t.TempDir(), RunID: "r1"}, bus: map[string][]byte{}, log: slog.New(slog.DiscardHandler)}
	for i := range 3 {
		r.chunks = append(r.chunks, perf.Chunk{Idx: i, Planned: 10, Status: footer.StatusMissing})
	}
	return r
}

// Signals reads what the bus of the rig has.
func (r *attemptRig) ReadArtifact(_ context.Context, f footer.Footer, at int) ([][]byte, error) {
	content, ok := r.bus[f.ChunkID+"/"+f.Artifacts[at].Name]
	if !ok {
		return nil, errors.New("it is not on the bus")
	}
	return [][]byte{content[:1], content[1:]}, nil
}

// speaks makes attempt n of a worker the one that speaks for chunk i, with
// these artifacts.
func (r *attemptRig) speaks(i, n int, worker string, artifacts map[string]string) footer.Footer {
	r.t.Helper()
	f := footer.Footer{
		Schema: footer.Schema, RunID: "r1", ChunkIdx: int64(i), ChunkID: strconv.Itoa(i), Status: footer.StatusOK, Final: true,
		Attempt: int64(n), Claim: 7, Seq: 3, WorkerID: worker, Host: "h", Engine: footer.EngineExec, Phase: footer.PhaseReplay,
		PlannedBars: 10, FirstBar: int64(10 * i), EndBar: int64(10*i + 10), BarsProcessed: 10, TotalBars: 10, Timestamp: "2026-11-24T10:00:00Z",
	}
	for _, name := range []string{layout.StdoutLog, layout.StderrLog, layout.OutArchive} {
		if text, ok := artifacts[name]; ok {
			sum := sha256.Sum256([]byte(text))
			f.Artifacts = append(f.Artifacts, footer.Artifact{Name: name, Bytes: int64(len(text)), Parts: 1, SHA256: hex.EncodeToString(sum[:])})
		}
	}
	line, err := perf.EncodeChunk(f)
	if err != nil {
		r.t.Fatal(err)
	}
	r.chunks[i].Line, r.chunks[i].Status = line, footer.StatusOK
	return f
}

// leaves makes files of a local worker's attempt.
func (r *attemptRig) leaves(i, n int, files map[string]string) string {
	r.t.Helper()
	dir := r.target.Work().Attempt(run.Ref{ID: r.target.RunID}, i, n)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		r.t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
	return dir
}

func footerText(t *testing.T, f footer.Footer) string {
	t.Helper()
	b, err := f.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// files are the files below the run's directory, with their content.
func (r *attemptRig) files() []string {
	r.t.Helper()
	list := []string{}
	err := filepath.WalkDir(r.target.RunDir(), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(r.target.RunDir(), path)
		if strings.HasSuffix(path, layout.FooterFile) {
			b = []byte("F")
		}
		list = append(list, rel+"="+string(b))
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

func (r *attemptRig) publish(ctx context.Context) (PublishedAttempts, error) {
	return PublishAttempts(ctx, r.target, "", r.chunks, r, r.log)
}

func TestAttemptsOutliveTheCleaning(t *testing.T) {
	r := newAttemptRig(t)
	// Chunk 0: a local worker, at its second attempt.
	f := r.speaks(0, 2, "here", map[string]string{layout.StdoutLog: "o", layout.StderrLog: "e", layout.OutArchive: "tar"})
	r.leaves(0, 1, map[string]string{layout.StderrLog: "Traceback", "task.json": "{}", "reproduce.sh": "#!", "slice.csv": "large", "signals.bin": "x"})
	r.leaves(0, 2, map[string]string{layout.StdoutLog: "o", layout.StderrLog: "e", layout.OutArchive: "tar", layout.AttemptPolicy: "p", layout.FooterFile: footerText(t, f)})
	// Chunk 1: another host's, though there is a local attempt of that number.
	r.speaks(1, 1, "there", map[string]string{layout.StdoutLog: "far", layout.OutArchive: "tar2"})
	r.bus["1/"+layout.StdoutLog], r.bus["1/"+layout.OutArchive] = []byte("far"), []byte("tar2")
	r.leaves(1, 1, map[string]string{layout.StderrLog: "mine"})
	// Chunk 2: another host's, of which the bus has one file damaged and one not.
	r.speaks(2, 1, "there", map[string]string{layout.StdoutLog: "far", layout.StderrLog: "lost"})
	r.bus["2/"+layout.StdoutLog] = []byte("fax")
	// Older logs of chunk 0, of an attempt elsewhere, say nothing any more.
	old := filepath.Join(r.target.RunDir(), "chunk_0")
	if err := os.MkdirAll(old, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(old, layout.StdoutLog), []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"chunk_0/attempt_1/reproduce.sh=#!", "chunk_0/attempt_1/stderr.log=Traceback", "chunk_0/attempt_1/task.json={}",
		"chunk_0/attempt_2/chunk_footer.json=F", "chunk_0/attempt_2/policy.yaml=p", "chunk_0/attempt_2/stderr.log=e", "chunk_0/attempt_2/stdout.log=o",
		"chunk_0/out_dir.tar.gz=tar",
		"chunk_1/attempt_1/stderr.log=mine", "chunk_1/out_dir.tar.gz=tar2", "chunk_1/stdout.log=far",
	}
	for range 2 { // again, and nothing changes
		done, err := r.publish(t.Context())
		if err != nil || done.Missed != 2 || done.Full || done.Files != len(want) {
			t.Fatalf("%+v, %v (want %d files, 2 missed)", done, err, len(want))
		}
		if got := r.files(); !slices.Equal(got, want) {
			t.Fatalf("%q\nwant %q", got, want)
		}
	}
	// The workers' directories go, and what was kept stays.
	if err := os.RemoveAll(r.target.WorkDir()); err != nil {
		t.Fatal(err)
	}
	if got := r.files(); !slices.Equal(got, want) {
		t.Fatalf("after the cleaning: %q", got)
	}
	list := FindAttemptLogs(r.target, -1)
	var found []string
	for _, a := range list {
		found = append(found, fmt.Sprintf("%d/%d %q %d %d", a.ChunkIdx, a.Attempt, a.Footer.WorkerID, a.Stdout, a.Stderr))
	}
	if wantLogs := []string{`0/1 "" -1 9`, `0/2 "here" 1 1`, `1/1 "" -1 4`}; !slices.Equal(found, wantLogs) {
		t.Errorf("logs %q\nwant %q", found, wantLogs)
	}
	if text, ok, err := list[0].ReadLog(layout.StderrLog, 100); err != nil || !ok || string(text) != "Traceback" {
		t.Errorf("%q, %v, %v", text, ok, err)
	}
	if text, ok, err := list[0].ReadLog(layout.StderrLog, 4); err != nil || !ok || string(text) != "back" {
		t.Errorf("the end of a log: %q, %v, %v", text, ok, err)
	}
	if _, ok, err := list[0].ReadLog(layout.StdoutLog, 100); err != nil || ok {
		t.Errorf("a log that is not there: %v, %v", ok, err)
	}
	if one := FindAttemptLogs(r.target, 1); len(one) != 1 || one[0].ChunkIdx != 1 {
		t.Errorf("of chunk 1: %+v", one)
	}
}

// The logs of another host's attempt stand beside the chunk's footer, which
// says whose they are.
func TestLogsOfAnotherHost(t *testing.T) {
	r := newAttemptRig(t)
	f := r.speaks(1, 3, "there", map[string]string{layout.StderrLog: "far"})
	r.bus["1/"+layout.StderrLog] = []byte("far")
	if _, err := r.publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list := FindAttemptLogs(r.target, -1); len(list) != 0 {
		t.Errorf("logs of nobody: %+v", list)
	}
	if err := os.WriteFile(r.target.ChunkFooter(1), []byte(footerText(t, f)), 0o644); err != nil {
		t.Fatal(err)
	}
	list := FindAttemptLogs(r.target, -1)
	if len(list) != 1 || list[0].Attempt != 3 || list[0].Footer.WorkerID != "there" || list[0].Stderr != 3 {
		t.Errorf("%+v", list)
	}
}

// A command may have put anything into its attempt's directory.
func TestOnlyPlainFilesOfAttemptsAreKept(t *testing.T) {
	r := newAttemptRig(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := r.leaves(0, 1, map[string]string{layout.StderrLog: "e"})
	if err := os.Symlink(secret, filepath.Join(dir, layout.StdoutLog)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "task.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(dir, layout.FooterFile)); err != nil {
		t.Fatal(err)
	}
	done, err := r.publish(t.Context())
	if err != nil || done.Files != 1 || done.Missed != 3 {
		t.Errorf("%+v, %v", done, err)
	}
	if got := r.files(); !slices.Equal(got, []string{"chunk_0/attempt_1/stderr.log=e"}) {
		t.Errorf("%q", got)
	}
	if list := FindAttemptLogs(r.target, 0); len(list) != 1 || list[0].Stdout != -1 {
		t.Errorf("%+v", list)
	}
}

func TestKeptAttemptsAreBounded(t *testing.T) {
	r := newAttemptRig(t)
	r.leaves(0, 1, map[string]string{layout.StderrLog: strings.Repeat("a", 60)})
	r.leaves(1, 1, map[string]string{layout.StderrLog: strings.Repeat("b", 60)})
	r.leaves(2, 1, map[string]string{layout.StderrLog: strings.Repeat("c", 40)})
	p := attemptKeeper{t: r.target, root: r.target.Work().Run(run.Ref{ID: r.target.RunID, Incarnation: ""}), log: r.log, left: 100}
	if err := p.local(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !p.done.Full || p.done.Missed != 1 || p.done.Files != 2 || p.done.Bytes != 100 {
		t.Errorf("%+v", p.done)
	}
}

func TestKeepingAttemptsEndsWithItsContext(t *testing.T) {
	r := newAttemptRig(t)
	r.leaves(0, 1, map[string]string{layout.StderrLog: "e"})
	over := errors.New("over")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(over)
	if _, err := r.publish(ctx); !errors.Is(err, over) || !strings.Contains(err.Error(), "run r1") {
		t.Errorf("%v (want %v)", err, over)
	}
	// What is only on a bus is no error where there is none.
	r.speaks(1, 1, "there", map[string]string{layout.StdoutLog: "far"})
	if done, err := PublishAttempts(t.Context(), r.target, "", r.chunks, nil, r.log); err != nil || done.Files != 1 || done.Missed != 1 {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestFindPolicy(t *testing.T) {
	r := newAttemptRig(t)
	content := []byte("policy_name: x\n")
	sum := sha256.Sum256(content)
	p := run.Policy{Content: hex.EncodeToString(sum[:])}
	if _, err := FindPolicy(r.target, p); err == nil || !strings.Contains(err.Error(), r.target.StateDir()) {
		t.Errorf("where there is none: %v", err)
	}
	for i, text := range []string{"policy_name: another\n", string(content)} {
		dir := r.target.KeptAttempt(i, 1)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, layout.AttemptPolicy), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := FindPolicy(r.target, p); err != nil || string(got) != string(content) {
		t.Errorf("an attempt's: %q, %v", got, err)
	}
}
