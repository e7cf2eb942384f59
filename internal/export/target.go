package export

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"gx1replay/internal/run"
	"gx1replay/internal/selection"
)

// Target says where the exports of one run go.
type Target struct {
	Dir         string // the output directory
	FallbackDir string // where Dir cannot be written; empty: the system's temporary directory
	RunID       run.ID
}

// Perf is the path of the perf JSON.
func (t Target) Perf() string { return filepath.Join(t.Dir, t.perfName()) }

// Stub is the path of the stub of a failed export.
func (t Target) Stub() string { return filepath.Join(t.Dir, t.stubName()) }

// FallbackPerf and FallbackStub are the paths of both where Dir cannot be
// written.
func (t Target) FallbackPerf() string { return filepath.Join(t.fallbackDir(), t.perfName()) }

// FallbackStub: see FallbackPerf.
func (t Target) FallbackStub() string { return filepath.Join(t.fallbackDir(), t.stubName()) }

// Lock is the path of the run's lock file.
func (t Target) Lock() string { return filepath.Join(t.StateDir(), "lock") }

// StateDir is the run's directory of what readers do not need: the embedded
// bus, the footer backup, keys, the lock. Its mode is 0700.
func (t Target) StateDir() string { return filepath.Join(t.Dir, ".gx1", string(t.RunID)) }

// Backup is the path of the footer backup, a perf JSON of the run while it
// lives.
func (t Target) Backup() string { return filepath.Join(t.StateDir(), "backup.json") }

// PolicyFile is the path of the policy whose content has the digest sha (hex).
func (t Target) PolicyFile(sha string) string {
	return filepath.Join(t.StateDir(), policyPrefix+sha+policySuffix)
}

const policyPrefix, policySuffix = "policy.", ".yaml"

// WorkDir is where the run's local workers leave their footers:
// `<work>/<run_id>.<incarnation>/chunk_<i>/attempt_<n>/chunk_footer.json`.
func (t Target) WorkDir() string { return filepath.Join(t.StateDir(), "work") }

// RunDir is the run's directory for readers.
func (t Target) RunDir() string { return filepath.Join(t.Dir, string(t.RunID)) }

// Copy is the path of the copy of the perf JSON in RunDir.
func (t Target) Copy() string { return filepath.Join(t.RunDir(), t.perfName()) }

// TradeFiles are the files about the run's trades.
func (t Target) TradeFiles() selection.Files { return selection.Files{Dir: t.Dir, RunID: t.RunID} }

// ChunkFooter is the path of chunk idx's footer, where readers of the
// original look.
func (t Target) ChunkFooter(idx int) string {
	return filepath.Join(t.RunDir(), "chunk_"+strconv.Itoa(idx), "chunk_footer.json")
}

func (t Target) perfName() string { return "perf_" + string(t.RunID) + ".json" }
func (t Target) stubName() string { return "perf_" + string(t.RunID) + run.StubSuffix + ".json" }

func (t Target) fallbackDir() string {
	if t.FallbackDir != "" {
		return t.FallbackDir
	}
	return os.TempDir()
}

// validate keeps an unchecked run_id away from paths.
func (t Target) validate() error {
	if _, err := run.ParseID(string(t.RunID)); err != nil {
		return err
	}
	if t.Dir == "" {
		return fmt.Errorf("run %s: the output directory has no name", t.RunID)
	}
	return nil
}

// mkdirs makes Dir and what the lock stands in.
func (t Target) mkdirs() error {
	if err := os.MkdirAll(t.Dir, 0o755); err != nil {
		return fmt.Errorf("making the output directory: %w", err)
	}
	return t.mkStateDir()
}

// mkStateDir makes the state directory within an existing Dir.
func (t Target) mkStateDir() error {
	for _, d := range []string{filepath.Dir(t.StateDir()), t.StateDir()} {
		if err := os.Mkdir(d, 0o700); err != nil && !os.IsExist(err) {
			return fmt.Errorf("making the run's state directory: %w", err)
		}
	}
	return nil
}
