package execengine

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

// Bounds of what --exec-digest names. A run's manifest, one message on the
// bus, lists every file: it takes 1024 of them (run.Command.Validate).
const (
	maxDigests     = 1024
	maxDigestBytes = 2 << 30
)

// Identify returns the SHA-256 (hex) of the files that belong to a command
// which runs in dir, by name:
//
//   - every argument that is a plain file, also behind its first "=", under the
//     name that it has there. Argument 0 counts only if it holds a slash: which
//     interpreter a search of PATH finds differs from host to host, so PATH is
//     not searched. An argument with a placeholder differs
//     from chunk to chunk, and is none.
//   - every file that globs (--exec-digest) match, under its path from dir if it
//     is below dir or the glob is relative. Directories are walked. Hidden files
//     and directories and __pycache__ are left out unless the glob itself names
//     them: editors and interpreters leave them there.
//
// A glob that matches no file is an error that names it, and so is one that
// leads to more than 1024 files or 2 GiB.
func Identify(argv []string, dir string, globs []string) (map[string]string, error) {
	return identify(argv, dir, globs, func(file string) (string, error) {
		sha, _, err := digestFile(file)
		return sha, err
	})
}

// Identify is Identify of the engine's command, with the files as they are now.
// digest returns a file's SHA-256 (hex); it may know that of a file that has not
// changed.
func (e *Engine) Identify(digest func(file string) (string, error)) (map[string]string, error) {
	return identify(e.Spec.Command.Argv, e.Dir, e.Spec.Digest, digest)
}

func identify(argv []string, dir string, globs []string, digest func(file string) (string, error)) (map[string]string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the files of the command: %w", err)
	}
	digests := map[string]string{}
	for i, a := range argv {
		if i == 0 && !strings.Contains(a, "/") {
			continue
		}
		for _, name := range argumentFiles(a) {
			file := inDir(dir, name)
			if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
				continue
			}
			if digests[name], err = digest(file); err != nil {
				return nil, fmt.Errorf("argument %d of the command: %w", i, err)
			}
		}
	}
	w := digestWalk{dir: dir, digests: digests, digestFile: digest}
	for _, glob := range globs {
		if err := w.glob(glob); err != nil {
			return nil, fmt.Errorf("--exec-digest %.200q: %w", glob, err)
		}
	}
	return digests, nil
}

// argumentFiles are the names by which an argument may mean a file.
func argumentFiles(arg string) []string {
	text, err := Expand(arg, nil)
	if err != nil || text == "" {
		return nil
	}
	names := []string{text}
	if _, value, ok := strings.Cut(text, "="); ok && value != "" {
		names = append(names, value)
	}
	return names
}

// inDir is name as a process in dir opens it.
func inDir(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// digestWalk collects the files of --exec-digest.
type digestWalk struct {
	dir     string
	digests map[string]string
	bytes   int64

	digestFile func(file string) (string, error)
}

func (w *digestWalk) glob(glob string) error {
	pattern := glob
	if glob == "" {
		return errors.New("it is empty (want a file, a directory or a glob)")
	}
	if !filepath.IsAbs(glob) {
		pattern = filepath.Join(literal(w.dir), glob)
	}
	matches, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	named := leftOut(filepath.Base(glob)) // who names hidden files means them
	found := false
	for _, m := range matches {
		if leftOut(filepath.Base(m)) && !named {
			continue
		}
		some, err := w.add(m, !filepath.IsAbs(glob))
		if err != nil {
			return err
		}
		found = found || some
	}
	if !found {
		return errors.New("it matches no file")
	}
	return nil
}

// literal is path as a pattern that matches it alone.
func literal(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// leftOut says whether a walk passes over what has that name.
func leftOut(base string) bool { return strings.HasPrefix(base, ".") || base == "__pycache__" }

// add digests a file, or the files below a directory. Links to files are
// followed, links to directories only where the glob named them: they may
// lead around in a circle.
func (w *digestWalk) add(file string, relative bool) (found bool, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return false, err
	}
	if !info.IsDir() {
		return w.digest(file, info, relative)
	}
	// Behind the slash WalkDir follows a link.
	err = filepath.WalkDir(file+"/", func(inner string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || inner == file+"/":
			return err
		case leftOut(e.Name()) && e.IsDir():
			return fs.SkipDir
		case leftOut(e.Name()) || e.IsDir():
			return nil
		}
		info, err := os.Stat(inner)
		if e.Type()&os.ModeSymlink != 0 && (err != nil || info.IsDir()) {
			return nil
		}
		if err != nil {
			return err
		}
		some, err := w.digest(inner, info, relative)
		found = found || some
		return err
	})
	return found, err
}

// digest digests what is at file, if that is a plain file.
func (w *digestWalk) digest(file string, info fs.FileInfo, relative bool) (found bool, err error) {
	if !info.Mode().IsRegular() {
		return false, nil
	}
	name := file
	if rel, err := filepath.Rel(w.dir, file); err == nil && (relative || filepath.IsLocal(rel)) {
		name = rel
	}
	if _, ok := w.digests[name]; ok {
		return true, nil
	}
	if len(w.digests) >= maxDigests {
		return false, fmt.Errorf("it leads to more than %d files, arguments included (name those that matter)", maxDigests)
	}
	if w.bytes += info.Size(); w.bytes > maxDigestBytes {
		return false, fmt.Errorf("with %s it comes to more than %d GiB", name, maxDigestBytes>>30)
	}
	sha, err := w.digestFile(file)
	w.digests[name] = sha
	return true, err
}

// digestFile returns the SHA-256 (hex) and size of a plain file.
func digestFile(file string) (sha string, size int64, err error) {
	f, _, err := safefile.OpenLinked(file)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	if size, err = io.Copy(h, f); err != nil {
		return "", 0, fmt.Errorf("reading %s: %w", file, err)
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

// ShipFile describes a plain file that is shipped with a run (--exec-file).
func ShipFile(path string) (run.CommandFile, error) {
	abs, err := filepath.Abs(path) // so that a path like x/.. has a name
	if err != nil {
		return run.CommandFile{}, err
	}
	sha, size, err := digestFile(abs)
	if err != nil {
		return run.CommandFile{}, err
	}
	return run.CommandFile{Name: filepath.Base(abs), SHA256: sha, Bytes: size}, nil
}
