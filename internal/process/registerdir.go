package process

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// OpenRegister opens the register in dir, which it makes if need be. An empty
// dir means the user's own:
//
//	$XDG_RUNTIME_DIR/gx1-replay/runs      if that variable names a directory of this user's
//	<tmp>/gx1-replay-<uid>/runs           otherwise
//
// A directory that is a symbolic link, belongs to another user or is writable
// by others is refused: what stands in the register says where stops and keys
// go.
func OpenRegister(dir string) (*Register, error) {
	if dir != "" {
		dir, err := filepath.Abs(dir)
		if err != nil {
			return nil, fmt.Errorf("opening the register: %w", err)
		}
		if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
			return nil, fmt.Errorf("opening the register: %w", err)
		}
		return openChain(dir)
	}
	parent := defaultParent(os.Getenv("XDG_RUNTIME_DIR"), os.TempDir(), os.Geteuid())
	return openChain(parent, filepath.Join(parent, "runs"))
}

// openChain makes and checks the directories in order, each the parent of the
// next. Once one is ours and closed to others, nobody can exchange what is in
// it.
func openChain(dirs ...string) (*Register, error) {
	for _, dir := range dirs {
		if err := ownDir(dir); err != nil {
			return nil, fmt.Errorf("opening the register: %w", err)
		}
	}
	return &Register{dir: dirs[len(dirs)-1]}, nil
}

// defaultParent chooses the directory above runs. A runtime directory of
// another user, as sudo -E leaves it, or one that does not exist, is passed
// over.
func defaultParent(runtimeDir, tmp string, uid int) string {
	if filepath.IsAbs(runtimeDir) { // the XDG specification has relative ones ignored
		if info, err := os.Stat(runtimeDir); err == nil && info.IsDir() {
			if have, ok := owner(info); ok && have == uid {
				return filepath.Join(runtimeDir, "gx1-replay")
			}
		}
	}
	return filepath.Join(tmp, "gx1-replay-"+strconv.Itoa(uid))
}

// ownDir makes dir if it is not there, and makes sure that it is a directory
// of ours that only we can change or read.
func ownDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is %s (want a directory)", dir, describe(info.Mode()))
	}
	if uid, ok := owner(info); !ok || uid != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d (want %d): somebody else made it", dir, uid, os.Geteuid())
	}
	switch perm := info.Mode().Perm(); {
	case perm&0o022 != 0:
		return fmt.Errorf("%s has mode %04o and others can write there (want 0700: look at what is in it, then chmod 700)", dir, perm)
	case perm != 0o700:
		return os.Chmod(dir, 0o700)
	}
	return nil
}

func describe(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode.IsRegular():
		return "a file"
	}
	return mode.Type().String()
}

// owner returns the user id that a file belongs to.
func owner(info fs.FileInfo) (uid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, false
	}
	return int(st.Uid), true
}
