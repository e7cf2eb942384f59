// Package layout says where the files of a run are: every path, file name and
// attempt directory, and what run and kind a name stands for. The names are
// contracts that scripts read. It touches no file.
package layout

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gx1replay/internal/run"
)

// Run says where the files of one run go. RunID must be a valid one.
type Run struct {
	Dir         string // the output directory
	FallbackDir string // where Dir cannot be written; empty: the system's temporary directory
	RunID       run.ID
}

// Perf is the path of the perf JSON.
func (r Run) Perf() string { return filepath.Join(r.Dir, Perf.Name(r.RunID)) }

// Stub is the path of the stub of a failed export.
func (r Run) Stub() string { return filepath.Join(r.Dir, Stub.Name(r.RunID)) }

// Fallback is the directory of both where Dir cannot be written.
func (r Run) Fallback() string {
	if r.FallbackDir != "" {
		return r.FallbackDir
	}
	return os.TempDir()
}

// FallbackPerf is Perf where Dir cannot be written.
func (r Run) FallbackPerf() string { return filepath.Join(r.Fallback(), Perf.Name(r.RunID)) }

// FallbackStub is Stub where Dir cannot be written.
func (r Run) FallbackStub() string { return filepath.Join(r.Fallback(), Stub.Name(r.RunID)) }

// RunDir is the run's directory for readers.
func (r Run) RunDir() string { return filepath.Join(r.Dir, string(r.RunID)) }

// Copy is the path of the copy of the perf JSON in RunDir.
func (r Run) Copy() string { return r.in(Perf) }

// TradesCSV is the path of the run's trades, the file that its perf JSON names.
func (r Run) TradesCSV() string { return r.in(TradesCSV) }

// TradesParquet is the path of the same rows as parquet.
func (r Run) TradesParquet() string { return r.in(TradesParquet) }

// Signals is the path of the signals with their outcomes.
func (r Run) Signals() string { return r.in(Signals) }

// Decisions is the path of the decision that was taken at each bar.
func (r Run) Decisions() string { return r.in(Decisions) }

// Metrics is the path of the figures of the run's trades.
func (r Run) Metrics() string { return r.in(Metrics) }

// Attribution is the path of the counts of where bars and signals went.
func (r Run) Attribution() string { return r.in(Attribution) }

// Summary is the path of the text for people; Curve is its picture.
func (r Run) Summary() string { return r.in(Summary) }

// Curve is the path of the equity curve.
func (r Run) Curve() string { return r.in(Curve) }

// Log is the path of the log of the coordinator and its local workers.
func (r Run) Log() string { return filepath.Join(r.RunDir(), "run.log") }

// ChunkFooter is the path of chunk idx's footer, where readers of the
// original look.
func (r Run) ChunkFooter(idx int) string { return filepath.Join(ChunkDir(r.RunDir(), idx), FooterFile) }

// KeptAttempt is the directory of what is kept of attempt n of chunk idx.
func (r Run) KeptAttempt(idx, n int) string { return AttemptDir(r.RunDir(), idx, n) }

func (r Run) in(k Kind) string { return filepath.Join(r.RunDir(), k.Name(r.RunID)) }

// StatesDir is the directory of the state directories of all runs of Dir.
func (r Run) StatesDir() string { return filepath.Join(r.Dir, ".gx1") }

// StateDir is the run's directory of what readers do not need: the embedded
// bus, the footer backup, keys, the lock. Its mode is 0700.
func (r Run) StateDir() string { return filepath.Join(r.StatesDir(), string(r.RunID)) }

// Lock is the path of the run's lock file.
func (r Run) Lock() string { return filepath.Join(r.StateDir(), LockFile) }

// Backup is the path of the footer backup, a perf JSON of the run while it
// lives.
func (r Run) Backup() string { return filepath.Join(r.StateDir(), "backup.json") }

// PolicyFile is the path of the policy whose content has the digest sha (hex).
func (r Run) PolicyFile(sha string) string {
	return filepath.Join(r.StateDir(), policyPrefix+sha+policySuffix)
}

const policyPrefix, policySuffix = "policy.", ".yaml"

// PolicyDigest is the digest in the name of a PolicyFile.
func PolicyDigest(path string) string {
	return strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), policyPrefix), policySuffix)
}

// Probe is the path of the file that is written to try the disk.
func (r Run) Probe() string { return filepath.Join(r.StateDir(), "probe") }

// Bus is the directory of the embedded server's files.
func (r Run) Bus() string { return filepath.Join(r.StateDir(), BusDir) }

// Key is the path of the run's own key.
func (r Run) Key() string { return filepath.Join(r.StateDir(), KeyFile) }

// Context is the path of the stock nats command's context of the run.
func (r Run) Context() string { return Context(r.StateDir(), string(r.RunID)) }

// Work is the work directory of the run's local workers.
func (r Run) Work() Work { return Work(r.WorkDir()) }

// WorkDir is the path of Work.
func (r Run) WorkDir() string { return filepath.Join(r.StateDir(), "work") }

// Names in a state directory.
const (
	LockFile = "lock"
	BusDir   = "bus"
	KeyFile  = "run.nk"
	// ContextsDir is what stands above a context of the stock nats command.
	ContextsDir = "nats"
)

// Context is the path of a context of the stock nats command below dir, which
// is its XDG_CONFIG_HOME.
func Context(dir, name string) string {
	return filepath.Join(dir, ContextsDir, "context", name+".json")
}

// Work is a worker's work directory.
type Work string

// Run is the directory of the attempts of an incarnation of a run.
func (w Work) Run(of run.Ref) string { return filepath.Join(string(w), of.Incarnation.Dir(of.ID)) }

// Attempt is the directory of attempt n of chunk idx.
func (w Work) Attempt(of run.Ref, idx, n int) string { return AttemptDir(w.Run(of), idx, n) }

// File is the path of a file that travelled with a run, by its digest (hex).
func (w Work) File(sha, name string) string { return filepath.Join(string(w), FilesDir, sha, name) }

// Data is the directory of data sets that were written out.
func (w Work) Data() string { return filepath.Join(string(w), DataDir) }

// Cache is the directory of what local workers fetched from the bus.
func (w Work) Cache() string { return filepath.Join(string(w), "cache") }

// Names in a work directory.
const (
	FilesDir = "files"
	DataDir  = "data"
)

// Names in the directory of an attempt.
const (
	// FooterFile is the original's name for what a chunk leaves.
	FooterFile = "chunk_footer.json"
	StdoutLog  = "stdout.log"
	StderrLog  = "stderr.log"
	// OutArchive is the command's output directory OutDir as an archive.
	OutArchive      = "out_dir.tar.gz"
	OutDir          = "out"
	TaskFile        = "task.json"
	AttemptPolicy   = "policy.yaml"
	ProgressFile    = "progress.jsonl"
	StopFile        = "stop"
	ReproduceScript = "reproduce.sh"
)

const chunkPrefix, attemptPrefix = "chunk_", "attempt_"

// Patterns of the directories below ChunkDir's and AttemptDir's root, for
// path.Match.
const (
	ChunkDirs   = chunkPrefix + "*"
	AttemptDirs = ChunkDirs + "/" + attemptPrefix + "*"
)

// ChunkDir is the directory of chunk idx below root, which is a RunDir or a
// Work.Run.
func ChunkDir(root string, idx int) string {
	return filepath.Join(root, chunkPrefix+strconv.Itoa(idx))
}

// AttemptDir is the directory of attempt n of chunk idx below root.
func AttemptDir(root string, idx, n int) string {
	return filepath.Join(ChunkDir(root, idx), attemptPrefix+strconv.Itoa(n))
}

// ParseChunkDir is the chunk of a directory that ChunkDir names.
func ParseChunkDir(name string) (idx int, ok bool) { return number(name, chunkPrefix) }

// ParseAttemptDir is the attempt of a directory that AttemptDir names.
func ParseAttemptDir(name string) (n int, ok bool) { return number(name, attemptPrefix) }

// number reads the number after prefix, as it is written without a sign or
// leading zeros.
func number(name, prefix string) (int, bool) {
	text, ok := strings.CutPrefix(name, prefix)
	n, err := strconv.Atoi(text)
	return n, ok && err == nil && n >= 0 && strconv.Itoa(n) == text
}
