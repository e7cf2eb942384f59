package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gx1replay/internal/execengine"
	"gx1replay/internal/run"
)

// checkSizes refuses --exec-file files too large to ship if local workers have no
// directory for them. Other workers may have one.
func (f *execFlags) checkSizes(local bool) error {
	for name, path := range f.shipped() {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("--exec-file %s: %w", name, err)
		}
		if info.Size() > execengine.MaxShipped && local && f.files == "" {
			return tooLarge(name, path, info.Size(), "")
		}
	}
	return nil
}

// checkFound refuses --exec-file files too large to ship that are not in the
// directory where local workers look.
func (f *execFlags) checkFound(c run.Command, local bool) error {
	if !local {
		return nil
	}
	for name, path := range f.shipped() {
		if c.Files[name].Bytes <= execengine.MaxShipped {
			continue
		}
		found, err := f.inFiles(path, c.Files[name])
		if err != nil {
			return fmt.Errorf("--exec-file %s: looking for it in --files %s: %w", name, f.files, err)
		}
		if !found {
			return tooLarge(name, path, c.Files[name].Bytes, fmt.Sprintf("; --files %s has neither %s nor %s with this content", f.files, c.Files[name].Name, c.Files[name].SHA256))
		}
	}
	return nil
}

func tooLarge(name, path string, size int64, more string) error {
	return usagef("--files DIR: a directory on each worker's host in which the file is found, by its name or its SHA-256", "--exec-file %s: %s has %d bytes (want at most %d, %d MiB, of a file that goes with a run%s)", name, path, size, execengine.MaxShipped, execengine.MaxShipped>>20, more)
}

// inFiles reports whether the directory of large files has the file, looking as
// workers do.
func (f *execFlags) inFiles(path string, file run.CommandFile) (bool, error) {
	own, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	for _, name := range []string{file.SHA256, file.Name} {
		there := filepath.Join(f.files, name)
		info, err := os.Stat(there)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return false, err
		case os.SameFile(own, info):
			return true, nil
		case info.Size() != file.Bytes:
			continue
		}
		if got, err := execengine.ShipFile(there); err != nil {
			return false, err
		} else if got.SHA256 == file.SHA256 {
			return true, nil
		}
	}
	return false, nil
}
