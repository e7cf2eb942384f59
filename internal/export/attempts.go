package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/ledger"
	"gx1replay/internal/perf"
	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
	"gx1replay/internal/selection"
)

// attemptNames are the files of an attempt that outlive the cleaning: its logs,
// what it was asked, how to ask it again, and what it reported of itself.
var attemptNames = []string{layout.StderrLog, layout.StdoutLog, layout.TaskFile, layout.AttemptPolicy, layout.ReproduceScript, layout.FooterFile}

// chunkNames are the artifacts that are kept of the authoritative attempt of a
// chunk.
var chunkNames = []string{layout.StderrLog, layout.StdoutLog, layout.OutArchive}

// maxAttemptBytes bounds what is kept of all attempts of a run.
const maxAttemptBytes = 1 << 30

// PublishedAttempts is what PublishAttempts has done.
type PublishedAttempts struct {
	Files  int   // that are there now
	Bytes  int64 // of them
	Missed int   // files that could not be kept
	// Full: there was more than is kept of a run.
	Full bool
}

// PublishAttempts keeps what attempts of commands have left for people in the
// run's directory: of each attempt of a local worker its logs, task and script
// of that incarnation in `chunk_<i>/attempt_<n>/`, and of the authoritative attempt of a chunk its
// output directory in `chunk_<i>/`, from this host's files or else, with its
// logs, from artifacts, which may be nil. Files of this host are linked where
// that can be. It ends with ctx; what was kept until then stays.
//
// An error holds what kept it from continuing; a file that is not there, or that
// cannot be kept, is counted and logged.
func PublishAttempts(ctx context.Context, t layout.Run, of run.Incarnation, chunks []perf.Chunk, artifacts selection.ArtifactReader, log *slog.Logger) (PublishedAttempts, error) {
	p := attemptKeeper{t: t, root: t.Work().Run(run.Ref{ID: t.RunID, Incarnation: of}), artifacts: artifacts, log: log, left: maxAttemptBytes}
	err := p.local(ctx)
	if err == nil {
		err = p.speaking(ctx, chunks)
	}
	if err != nil {
		err = fmt.Errorf("keeping the logs of run %s: %w", t.RunID, err)
	}
	return p.done, err
}

type attemptKeeper struct {
	t         layout.Run
	root      string // of the local workers' attempts
	artifacts selection.ArtifactReader
	log       *slog.Logger
	left      int64 // bytes
	done      PublishedAttempts
}

// local keeps the files of local workers' attempts.
func (p *attemptKeeper) local(ctx context.Context) error {
	for _, idx := range numbered(p.root, layout.ParseChunkDir) {
		for _, n := range numbered(layout.ChunkDir(p.root, idx), layout.ParseAttemptDir) {
			for _, name := range attemptNames {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if err := p.file(idx, n, name, p.t.KeptAttempt(idx, n)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// speaking keeps the artifacts of the authoritative attempts.
func (p *attemptKeeper) speaking(ctx context.Context, chunks []perf.Chunk) error {
	for i, c := range chunks {
		f := c.Line.Footer()
		here := layout.AttemptDir(p.root, i, int(f.Attempt))
		for at, a := range f.Artifacts {
			if !slices.Contains(chunkNames, a.Name) {
				continue
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			dir := filepath.Dir(p.t.ChunkFooter(i))
			if footerIs(filepath.Join(here, layout.FooterFile), f) {
				// Its logs are kept with the attempt; what stands here is an
				// earlier one's.
				keep := func() error { return removeIfThere(filepath.Join(dir, a.Name)) }
				if a.Name == layout.OutArchive {
					keep = func() error { return p.file(i, int(f.Attempt), a.Name, dir) }
				}
				if err := keep(); err != nil {
					return err
				}
				continue
			}
			if err := p.artifact(ctx, f, at, filepath.Join(dir, a.Name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// footerIs reports whether the file at path is of the attempt of f: another host
// may have an attempt of the same number.
func footerIs(path string, f footer.Footer) bool {
	got, err := ledger.ReadFooter(path)
	return err == nil && got.WorkerID == f.WorkerID && got.Claim == f.Claim && got.Attempt == f.Attempt
}

// file keeps one file of attempt n of chunk idx, of this host, in the directory
// to. It must be a plain one, and none that a link leads to: a command may have
// put anything there, and anywhere on the way.
func (p *attemptKeeper) file(idx, n int, name, to string) error {
	src, dst := filepath.Join(layout.AttemptDir(p.root, idx, n), name), filepath.Join(to, name)
	in, info, err := p.open(src)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		p.miss(src, err)
		return nil
	}
	defer in.Close() // it is read only
	if !p.room(src, info.Size()) {
		return nil
	}
	if there, err := os.Lstat(dst); err == nil && os.SameFile(info, there) {
		p.kept(info.Size())
		return nil
	}
	if err := p.mkdirs(to); err != nil {
		return err
	}
	if !p.link(src, dst, info) { // another file system, or one without links
		// Its owner alone may read what a command left: it may hold secrets.
		o := atomicfile.Options{Mode: info.Mode().Perm() & 0o700, Aside: aside(p.t.RunDir(), p.t.RunID)}
		err := atomicfile.Write(dst, o, func(w io.Writer) error {
			_, err := io.Copy(w, io.LimitReader(in, info.Size()))
			return err
		})
		if err != nil {
			return err
		}
	}
	p.kept(info.Size())
	return nil
}

// artifact keeps an artifact that f lists.
func (p *attemptKeeper) artifact(ctx context.Context, f footer.Footer, at int, dst string) error {
	a := f.Artifacts[at]
	if p.artifacts == nil {
		p.miss(dst, errors.New("it is on another host, and the run has no bus"))
		return nil
	}
	if !p.room(dst, a.Bytes) {
		return nil
	}
	parts, err := p.artifacts.ReadArtifact(ctx, f, at)
	if err == nil {
		err = checkArtifact(a, parts)
	}
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p.miss(dst, err)
		return nil
	}
	if err := p.mkdirs(filepath.Dir(dst)); err != nil {
		return err
	}
	if err := safefile.Replace(dst, false, atomicfile.Parts(parts...)); err != nil {
		return err
	}
	p.kept(a.Bytes)
	return nil
}

// checkArtifact reports whether parts are the artifact that a footer lists.
func checkArtifact(a footer.Artifact, parts [][]byte) error {
	h, size := sha256.New(), int64(0)
	for _, part := range parts {
		h.Write(part)
		size += int64(len(part))
	}
	if sum := hex.EncodeToString(h.Sum(nil)); size != a.Bytes || sum != a.SHA256 {
		return fmt.Errorf("artifact %.80q has %d bytes with SHA-256 %s (want %d with %.70s)", a.Name, size, sum, a.Bytes, a.SHA256)
	}
	return nil
}

// room reports whether so many bytes may be kept, too.
func (p *attemptKeeper) room(what string, size int64) bool {
	if size <= p.left {
		return true
	}
	if !p.done.Full {
		p.log.Warn("attempts exceed the limit of stored files; the rest stays where it is", "kept_bytes", p.done.Bytes, "first", what)
	}
	p.done.Full = true
	p.done.Missed++
	return false
}

func (p *attemptKeeper) kept(size int64) {
	p.left -= size
	p.done.Files++
	p.done.Bytes += size
}

func (p *attemptKeeper) miss(what string, err error) {
	p.done.Missed++
	p.log.Warn("file of an attempt not stored", "path", what, "error", err)
}

// mkdirs makes a directory within the run's, one after the other: an output
// directory that was deleted is not made again.
func (p *attemptKeeper) mkdirs(dir string) error {
	rel, err := filepath.Rel(p.t.RunDir(), dir)
	if err != nil {
		return err
	}
	at := p.t.RunDir()
	if err := mkdir(at); err != nil {
		return err
	}
	for _, name := range strings.Split(rel, string(filepath.Separator)) {
		at = filepath.Join(at, name)
		if err := mkdir(at); err != nil {
			return err
		}
	}
	return nil
}

// open opens the file at src, in the directory of an attempt.
func (p *attemptKeeper) open(src string) (*os.File, fs.FileInfo, error) {
	root, err := safefile.OpenDir(p.root)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close() // it was read only
	name, ok := root.Name(src)
	if !ok {
		return nil, nil, fmt.Errorf("%s is not in %s", src, p.root)
	}
	return root.Open(name)
}

// link makes dst a further name of the file of info, which was at src.
func (p *attemptKeeper) link(src, dst string, info fs.FileInfo) bool {
	name := aside(p.t.RunDir(), p.t.RunID) + ".link.tmp" // where the next export sweeps
	_ = os.Remove(name)
	if os.Link(src, name) != nil {
		return false
	}
	defer os.Remove(name) // it is gone once it is renamed
	is, err := os.Lstat(name)
	return err == nil && os.SameFile(is, info) && os.Rename(name, dst) == nil
}

// numbered are the numbers by which parse knows directories in dir, in order.
func numbered(dir string, parse func(name string) (int, bool)) []int {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var list []int
	for _, e := range entries {
		if n, ok := parse(e.Name()); ok && e.IsDir() {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list
}
