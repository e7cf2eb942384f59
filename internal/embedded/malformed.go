package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/layout"
)

// Malformed: no server can be started on a store, because something in it is of
// another kind than a server's files, or much larger. A server would hang, take all
// memory, or not be able to write.
type Malformed struct{ What []string }

func (e *Malformed) Error() string {
	return "the bus's store is malformed: " + strings.Join(e.What, "; ")
}

const (
	// maxMeta bounds the description of a stream or a consumer, and its checksum:
	// ours have some hundred bytes.
	maxMeta = 1 << 20
	// maxBlock bounds a block of messages: the server's have 8 MiB, and one message
	// at most more.
	maxBlock = 64 << 20
	// maxOther bounds all other files. The largest is the index of a stream, with
	// some 60 bytes for a subject.
	maxOther = 1 << 30
)

func maxSize(name string) int64 {
	switch {
	case name == "meta.inf" || name == "meta.sum":
		return maxMeta
	case filepath.Ext(name) == ".blk":
		return maxBlock
	}
	return maxOther
}

// checkStore looks at the files of a store without opening them. If no server can
// be started, the error is a *Malformed. The directory may be a link to another
// place; within, a server makes no links.
func checkStore(store string) error {
	bad := &Malformed{}
	// With the dot it is the directory that a link leads to.
	err := filepath.WalkDir(store+string(filepath.Separator)+".", func(path string, d fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil {
			info, err = d.Info()
		}
		rel, errRel := filepath.Rel(store, path)
		switch err = errors.Join(err, errRel); {
		case errors.Is(err, fs.ErrNotExist) && rel != ".":
			return nil // it went meanwhile
		case err != nil:
			return err
		}
		if what := malformed(rel, info); what != "" {
			bad.What = append(bad.What, path+" "+what)
			if d.IsDir() {
				return fs.SkipDir
			}
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		if _, errLink := os.Lstat(store); errors.Is(errLink, fs.ErrNotExist) {
			return nil // there is none yet
		}
	}
	if err != nil {
		what, err := readError(err)
		if err != nil {
			return fmt.Errorf("looking at the bus's store: %w", err)
		}
		bad.What = append(bad.What, what)
	}
	if len(bad.What) > 0 {
		return bad
	}
	return nil
}

// malformed is what is wrong with the file at rel in a store; empty: nothing.
func malformed(rel string, info fs.FileInfo) string {
	switch mode, dir := info.Mode(), mustBeDir(rel); {
	case dir == yes && !mode.IsDir():
		return fmt.Sprintf("is no directory (%v)", mode)
	case dir == no && !mode.IsRegular() || !mode.IsDir() && !mode.IsRegular():
		return fmt.Sprintf("is no plain file (%v)", mode)
	case mode.IsRegular() && info.Size() > maxSize(info.Name()):
		return fmt.Sprintf("has %d bytes (want at most %d)", info.Size(), maxSize(info.Name()))
	}
	return ""
}

type answer int

const (
	either answer = iota
	yes
	no
)

func mustBeDir(rel string) answer {
	if rel == layout.LockFile {
		return no
	}
	inner, err := filepath.Rel(rel, streamsDir)
	if err == nil && !strings.HasPrefix(inner, "..") {
		return yes // on the way to the streams
	}
	inner, err = filepath.Rel(streamsDir, rel)
	if err != nil || strings.HasPrefix(inner, ".") {
		return either // beside them, or a stream that is being deleted
	}
	switch part := strings.Split(inner, string(filepath.Separator)); {
	case len(part) == 1, len(part) == 2 && (part[1] == "msgs" || part[1] == "obs"), len(part) == 3 && part[1] == "obs":
		return yes
	case len(part) == 2 && strings.HasPrefix(part[1], "meta."), len(part) == 3, len(part) == 4:
		return no
	}
	return either
}

// moveAside renames path to base, or to base.2, base.3, … if that exists, and
// returns the new path.
func moveAside(path, base string) (string, error) {
	to, err := atomicfile.SetAside(path, func(n int) string {
		if n == 1 {
			return base
		}
		return fmt.Sprintf("%s.%d", base, n)
	})
	if err != nil {
		return "", err
	}
	if info, err := os.Lstat(path); err == nil && !info.IsDir() { // what is no directory has two names now
		return to, os.Remove(path)
	}
	return to, nil
}
