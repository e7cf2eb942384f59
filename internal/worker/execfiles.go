package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/execengine"
	"gx1replay/internal/layout"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

// has reports whether the files of in are still those of the run, and marks
// those in the work directory as used.
func (e *Exec) has(m run.Manifest, in *execInputs) bool {
	own, err := filepath.Abs(filepath.Join(e.WorkDir, layout.FilesDir))
	if err != nil {
		return false
	}
	for name, path := range in.files {
		if !e.checked.is(path, m.Command.Files[name].SHA256) {
			return false
		}
		if dir := filepath.Dir(path); strings.HasPrefix(dir, own+string(filepath.Separator)) {
			touch(dir)
		}
	}
	return true
}

// recheck reports whether what a command is about to open is still what it has to
// be: another process of this user, a command of an earlier chunk most likely,
// may have written to it. What is left is the moment until the command opens
// it, and this user alone can use that.
func (e *Exec) recheck(m run.Manifest, in *execInputs) error {
	for name, path := range in.files {
		if err := e.checked.check(path, m.Command.Files[name].SHA256); err != nil {
			return fmt.Errorf("--exec-file %s: %w", name, err)
		}
	}
	in.mu.Lock()
	data := in.data
	in.mu.Unlock()
	if data.path == "" {
		return nil
	}
	return e.checked.check(data.path, data.sha)
}

// inner makes a directory of this user's in the work directory.
func (e *Exec) inner(names ...string) (dir string, err error) {
	dir, err = filepath.Abs(e.WorkDir)
	for _, name := range names {
		if err == nil {
			dir = filepath.Join(dir, name)
			err = safefile.InnerDir(dir)
		}
	}
	return dir, err
}

// dataFile writes the whole data set to a file that the run's processes on this
// host share, and finds it there again. What the file has to be is known from
// the bars alone, whose slices are checked by their digests: a file that is
// there is held against what they render to, once a run and process. The file's
// name has that digest in it, so builds that render differently do not replace
// each other's files.
func (e *Exec) dataFile(ctx context.Context, m run.Manifest, in *execInputs) (string, error) {
	const key = "data"
	for again := false; ; again = true {
		data, err := in.render.Get(ctx, key, func(ctx context.Context) (written, int64, error) { return e.writeData(ctx, m, in) })
		if err != nil {
			return "", err
		}
		if !again && !e.checked.is(data.path, data.sha) {
			in.render.Forget(key)
			continue
		}
		touch(data.path)
		in.mu.Lock()
		in.data = data
		in.mu.Unlock()
		return data.path, nil
	}
}

// writeData is dataFile, without looking at what was written before.
func (e *Exec) writeData(ctx context.Context, m run.Manifest, in *execInputs) (written, int64, error) {
	dir, err := e.inner(layout.DataDir)
	if err != nil {
		return written{}, 0, err
	}
	d, err := safefile.OpenDir(dir)
	if err != nil {
		return written{}, 0, err
	}
	defer d.Close() // nothing is lost by it
	prefix, suffix := m.Data.SHA256+m.Data.Extra+"."+m.Command.TSFormat+".", "."+m.Command.SliceFormat
	// render returns the file's name, which has its digest in it.
	sha := ""
	render := func(w io.Writer) (string, error) {
		h := sha256.New()
		_, err := execengine.RenderSlice(ctx, io.MultiWriter(w, h), m.Command.SliceFormat, m.Command.TSFormat, in.source, run.BarRange{End: m.Data.Bars})
		if err != nil {
			return "", fmt.Errorf("writing the data set: %w", err)
		}
		sha = hex.EncodeToString(h.Sum(nil))
		return prefix + sha[:16] + suffix, nil
	}
	names, err := d.Names()
	if err != nil {
		return written{}, 0, err
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, prefix) && strings.HasSuffix(n, suffix) }) {
		name, err := render(io.Discard)
		if err != nil {
			return written{}, 0, err
		}
		if path := filepath.Join(dir, name); e.checked.is(path, sha) {
			return written{path, sha}, 0, nil
		}
	}
	// Other processes write the same file: aside and renamed, each its own.
	var path string
	err = d.Put(true, func(w io.Writer) (string, error) {
		name, err := render(w)
		path = filepath.Join(dir, name)
		return name, err
	})
	if err != nil {
		return written{}, 0, err
	}
	if err := e.checked.check(path, sha); err != nil {
		return written{}, 0, err
	}
	return written{path, sha}, 0, nil
}

// file finds a shipped file by its digest: in the directory of large files, in
// the worker's own, in the cache, or on the bus. It has its own name in a
// directory named by the digest, since a command may go by the extension.
func (e *Exec) file(ctx context.Context, f run.CommandFile) (string, error) {
	if large := e.Engine.Spec.FilesDir; large != "" {
		for _, name := range []string{f.SHA256, f.Name} {
			if path := filepath.Join(large, name); e.checked.has(path, f) {
				return filepath.Abs(path)
			}
		}
	}
	if f.Bytes > execengine.MaxShipped {
		return "", fmt.Errorf("%s has %d bytes, more than travels (%d): a worker finds it under --files DIR by its SHA-256, %s", f.Name, f.Bytes, execengine.MaxShipped, f.SHA256)
	}
	dir, err := e.inner(layout.FilesDir, f.SHA256)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, f.Name)
	if e.checked.has(path, f) {
		touch(dir)
		return path, nil
	}
	content, err := e.Cache.Get(ctx, e.Objects, run.FileObject(f.SHA256), f.SHA256, execengine.MaxShipped)
	if err != nil {
		return "", err
	}
	if err := safefile.Replace(path, true, atomicfile.Parts(content)); err != nil {
		return "", fmt.Errorf("keeping %s: %w", f.Name, err)
	}
	return path, nil
}
