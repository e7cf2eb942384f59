package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gx1replay/internal/execengine"
	"gx1replay/internal/footer"
	"gx1replay/internal/policy"
	"gx1replay/internal/printable"
	"gx1replay/internal/run"
)

func (r *rerun) command(ctx context.Context, argv []string) (func(context.Context) (footer.Footer, error), error) {
	e, err := r.execution(ctx, argv, fmt.Sprintf("gx1-rerun-%s-%d-", r.found.m.RunID, r.chunk.Idx))
	if err != nil {
		return nil, err
	}
	e.engine.Stdout, e.engine.Stderr = raw(r.p.Stdout), raw(r.p.Stderr)
	return func(ctx context.Context) (footer.Footer, error) {
		defer e.engine.Close()
		res, err := e.engine.Replay(ctx, e.job(r.chunk, r.was, int(r.was.Slot), r.dir), nil)
		if res.Unkept != nil {
			r.note("%v", res.Unkept)
		}
		return res.Footer, err
	}, nil
}

type execution struct {
	r        *rerun
	engine   *execengine.Engine
	memory   execengine.Memory
	files    map[string]string
	written  []policy.File // the policy's files as they were written
	dataFile func(context.Context) (string, error)
}

func (e *execution) job(c run.Chunk, was footer.Footer, slot int, dir string) execengine.Job {
	return execengine.Job{
		Manifest: e.r.found.m, Chunk: c, Slot: slot, Attempt: max(int(was.Attempt), 1), Dir: dir,
		Policy: e.r.policy, PolicyContent: e.r.content, PolicyFiles: e.written, Source: e.memory, Files: e.files, DataFile: e.dataFile,
		Grace: func(error) time.Duration { return e.engine.Spec.Grace }, Kill: e.r.kill,
	}
}

// execution prepares the run's command, or the given one, in the directory of --dir
// or a new one with a name of that pattern.
func (r *rerun) execution(ctx context.Context, argv []string, pattern string) (*execution, error) {
	m := &r.found.m
	given := len(argv) > 0
	if !given {
		argv = m.Command.Argv
	}
	if !given && m.Command.ArgvSHA256 != "" {
		return nil, usagef(r.hint+" -- CMD", "the command of run %s is stored without its secrets: %q (want it after --, with them)", m.RunID, argv)
	}
	if len(argv) == 0 {
		return nil, usagef(r.hint+" -- CMD", "the command of run %s is not known", m.RunID)
	}
	flags, notes, err := r.f.exec.restored(m.Command.Flags, r.given, os.LookupEnv)
	for _, text := range notes {
		r.note("%s", printable.Line(text))
	}
	if err != nil {
		return nil, err
	}
	r.f.exec = flags
	spec, err := r.f.exec.spec(argv, false)
	if err != nil {
		return nil, err
	}
	engine, err := r.p.engineOf(spec, discard())
	if err != nil {
		return nil, err
	}
	r.sameFiles(&spec.Command, engine.Dir)
	c := m.Command
	if c.Emits == "" { // the run's command is not known: the defaults
		c.Emits, c.SliceFormat, c.TSFormat = spec.Command.Emits, spec.Command.SliceFormat, spec.Command.TSFormat
	}
	c.Argv, c.ArgvSHA256, c.Digests = spec.Command.Argv, "", spec.Command.Digests
	if !m.Command.IsZero() {
		for _, d := range m.Command.Differences(c) {
			r.note("differs from the run: it had %s", d)
		}
	}
	spec.Command, m.Command = c, c
	if err := spec.Check(); err != nil {
		return nil, err
	}
	if err := execengine.CheckEmits(c.Emits, r.policy, m.Data); err != nil {
		return nil, err
	}
	for name := range r.f.exec.shipped() {
		if _, known := c.Files[name]; !known {
			return nil, usagef("", "--exec-file %s: the run has no file of that name", name)
		}
	}
	if r.dir, err = freshDir(r.f.dir, pattern); err != nil {
		return nil, err
	}
	files, err := r.files(ctx, c.Files)
	if err != nil {
		return nil, err
	}
	written, err := r.writtenPolicy(ctx)
	if err != nil {
		r.note("the policy's files were not found; the command gets one file with its includes merged: %v", err)
	}
	engine.Spec = spec
	memory := execengine.Memory{Set: r.set}
	return &execution{r: r, engine: engine, memory: memory, files: files, written: written, dataFile: memory.DataFile(r.dir, c)}, nil
}

// writtenPolicy finds the policy's files, of --policy or of the run, as they were
// written.
func (r *rerun) writtenPolicy(ctx context.Context) ([]policy.File, error) {
	if r.f.policy != "" {
		return r.policy.Files, nil
	}
	var list []policy.File
	for _, f := range r.found.m.Policy.Files {
		if r.found.bus == nil {
			return nil, errors.New("the run's bus is not up")
		}
		content, err := r.found.object(ctx, run.FileObject(f.SHA256), f.SHA256, policy.MaxBytes)
		if err != nil {
			return nil, err
		}
		list = append(list, policy.File{Path: f.Path, Content: content})
	}
	return list, nil
}

// sameFiles digests the files that the run's --exec-digest named, so that changes
// show.
func (r *rerun) sameFiles(c *run.Command, dir string) {
	for name := range r.found.m.Command.Digests {
		if _, there := c.Digests[name]; there || slices.Contains(r.found.m.Command.Argv, name) {
			continue
		}
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if f, err := execengine.ShipFile(path); err == nil {
			c.Digests[name] = f.SHA256
		}
	}
}

// files finds the shipped files by --exec-file, by digest, or on the bus.
func (r *rerun) files(ctx context.Context, list map[string]run.CommandFile) (map[string]string, error) {
	given := r.f.exec.shipped()
	paths := map[string]string{}
	for name, f := range list {
		path := given[name]
		if path != "" {
			got, err := execengine.ShipFile(path)
			if err != nil {
				return nil, fmt.Errorf("--exec-file %s: %w", name, err)
			}
			if got.SHA256 != f.SHA256 {
				r.note("differs from the run: --exec-file %s: SHA-256 %.12s, not %.12s", name, got.SHA256, f.SHA256)
			}
		} else if path = r.fileByDigest(f); path == "" {
			var err error
			if path, err = r.found.fetchFile(ctx, f, filepath.Join(r.dir, "files")); err != nil {
				return nil, usagef("--exec-file "+name+"=PATH", "--exec-file %s (%s, SHA-256 %.12s): %v", name, f.Name, f.SHA256, err)
			}
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		paths[name] = abs
	}
	return paths, nil
}

// fileByDigest looks where workers find or keep shipped files; empty: not there.
func (r *rerun) fileByDigest(f run.CommandFile) string {
	list := []string{r.found.target.Work().File(f.SHA256, f.Name)}
	if dir := r.f.exec.files; dir != "" {
		list = append(list, filepath.Join(dir, f.SHA256), filepath.Join(dir, f.Name))
	}
	for _, path := range list {
		if got, err := execengine.ShipFile(path); err == nil && got.SHA256 == f.SHA256 {
			return path
		}
	}
	return ""
}
