package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// LookPath finds the program that a shell would run for name, and returns its
// absolute path: path is the value of PATH, the command's own, whose empty
// entry means dir, as do relative ones and a name with a slash. An empty dir is
// this process's own. The error wraps ErrNotFound, or ErrNotExecutable where
// there is a file and it cannot be run.
func LookPath(name, path, dir string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("%w: its name is empty", ErrNotFound)
	}
	if !strings.HasPrefix(dir, "/") {
		wd, err := os.Getwd()
		if err != nil {
			return "", fmt.Errorf("looking for the command %s: %w", name, err)
		}
		dir = strings.TrimSuffix(wd+"/"+dir, "/")
	}
	// Joined as they are: a cleaned path is another one where .. follows a
	// symbolic link.
	absolute := func(p string) string {
		if strings.HasPrefix(p, "/") {
			return p
		}
		return strings.TrimSuffix(dir, "/") + "/" + p
	}
	if strings.Contains(name, "/") {
		file := absolute(name)
		if err := executable(file); err != nil {
			return "", fmt.Errorf("%s: %w", file, classified(err))
		}
		return file, nil
	}
	var there error // of the first file that is there and cannot be run
	for _, entry := range strings.Split(path, ":") {
		file := absolute(name)
		if entry != "" {
			file = strings.TrimSuffix(absolute(entry), "/") + "/" + name
		}
		err := executable(file)
		if err == nil {
			return file, nil
		}
		if err = classified(err); there == nil && errors.Is(err, ErrNotExecutable) && exists(file) {
			there = fmt.Errorf("%s: %w", file, err)
		}
	}
	if there != nil {
		return "", there
	}
	return "", fmt.Errorf("%s: %w (PATH is %q)", name, ErrNotFound, path)
}

// executable returns why file cannot be run by this user.
func executable(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return syscall.EISDIR
	}
	if !info.Mode().IsRegular() {
		return fs.ErrPermission
	}
	return unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS)
}

// exists reports whether file is there as anything but a directory, which a shell
// passes over.
func exists(file string) bool {
	info, err := os.Stat(file)
	return err == nil && !info.IsDir()
}
