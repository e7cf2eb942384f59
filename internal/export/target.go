package export

import (
	"fmt"
	"os"

	"gx1replay/internal/layout"
	"gx1replay/internal/run"
)

// validate keeps an unchecked run_id away from paths.
func validate(t layout.Run) error {
	if _, err := run.ParseID(string(t.RunID)); err != nil {
		return err
	}
	if t.Dir == "" {
		return fmt.Errorf("run %s: the output directory has no name", t.RunID)
	}
	return nil
}

// mkdirs makes Dir and what the lock stands in.
func mkdirs(t layout.Run) error {
	if err := os.MkdirAll(t.Dir, 0o755); err != nil {
		return fmt.Errorf("making the output directory: %w", err)
	}
	return mkStateDir(t)
}

// mkStateDir makes the state directory within an existing Dir.
func mkStateDir(t layout.Run) error {
	for _, d := range []string{t.StatesDir(), t.StateDir()} {
		if err := os.Mkdir(d, 0o700); err != nil && !os.IsExist(err) {
			return fmt.Errorf("making the run's state directory: %w", err)
		}
	}
	return nil
}
