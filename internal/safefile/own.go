package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// othersWrite are the permissions by which others change a directory.
const othersWrite = 0o022

// PrivateDir makes the directory dir, whose parent is there, or makes sure that
// what is there is a directory and no link, belongs to this user, and cannot be
// written by others. Its mode is 0700 then.
func PrivateDir(dir string) error {
	return own(dir, func(mode fs.FileMode) error {
		if mode.Perm()&othersWrite != 0 {
			return fmt.Errorf("%s has mode %04o and others can write there (want 0700: look at what is in it, then chmod 700)", dir, mode.Perm())
		}
		return nil
	})
}

// InnerDir is PrivateDir within a directory that PrivateDir or UserDir has
// accepted. Others cannot have reached it, so a mode that would let them write
// is set right and is no error.
func InnerDir(dir string) error {
	return own(dir, func(fs.FileMode) error { return nil })
}

func own(dir string, accept func(fs.FileMode) error) error {
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, info, err := openOwn(dir)
	if err != nil {
		return err
	}
	defer d.Close() // nothing was written to it
	if err := accept(info.Mode()); err != nil {
		return err
	}
	if info.Mode().Perm() == dirMode {
		return nil
	}
	return d.Chmod(dirMode)
}

// openOwn opens a directory that is no link and belongs to this user.
func openOwn(dir string) (*os.File, fs.FileInfo, error) {
	d, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		// A link, or something else: the kernel's error says neither.
		if info, errStat := os.Lstat(dir); errStat == nil {
			if !info.IsDir() {
				err = fmt.Errorf("%s is %s (want a directory)", dir, Kind(info.Mode()))
			} else if errOwner := ownedByUs(dir, info); errOwner != nil {
				err = errOwner
			}
		}
		return nil, nil, err
	}
	info, err := d.Stat()
	if err == nil {
		err = ownedByUs(dir, info)
	}
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	return d, info, nil
}

func ownedByUs(dir string, info fs.FileInfo) error {
	if uid, ok := Owner(info); !ok || uid != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, with mode %04o (want user %d and mode 0700): another user made it", dir, uid, info.Mode().Perm(), os.Geteuid())
	}
	return nil
}

// Owner is the user id that a file belongs to.
func Owner(info fs.FileInfo) (uid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, false
	}
	return int(st.Uid), true
}

// UserDir makes sure that a directory which the user has named is the user's
// alone to write, and returns its path without links. It makes what is missing
// of it, with mode 0700. The directories above it are the user's choice.
func UserDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return "", err
	}
	// From here on the path that was checked is the one that is used.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	d, info, err := openOwn(dir)
	if err != nil {
		return "", err
	}
	defer d.Close() // nothing was written to it
	if perm := info.Mode().Perm(); perm&othersWrite != 0 {
		return "", fmt.Errorf("%s has mode %04o: others can put files there (want 0700: chmod 700 %s, or another directory)", dir, perm, dir)
	}
	return dir, nil
}

// TempDir makes the directory name of this user in a directory like /tmp, and
// checks it as PrivateDir does. Where everybody may exchange what is in the
// parent it is refused.
func TempDir(parent, name string) (string, error) {
	info, err := os.Stat(parent)
	if err != nil {
		return "", err
	}
	uid, _ := Owner(info)
	if uid != os.Geteuid() && uid != 0 || info.Mode().Perm()&othersWrite != 0 && info.Mode()&fs.ModeSticky == 0 {
		return "", fmt.Errorf("%s belongs to user %d, with mode %04o: others can exchange what is in it (want a directory of root or of user %d, with the sticky bit if others write there)", parent, uid, unixMode(info), os.Geteuid())
	}
	dir := filepath.Join(parent, name)
	return dir, PrivateDir(dir)
}

// unixMode is the mode as chmod takes it, with the sticky bit.
func unixMode(info fs.FileInfo) uint32 {
	mode := uint32(info.Mode().Perm())
	if info.Mode()&fs.ModeSticky != 0 {
		mode |= 0o1000
	}
	return mode
}
