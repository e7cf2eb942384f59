package execengine

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/safefile"
	"gx1replay/internal/trade"
)

// cutList names, in the archive of the command's output directory, what the cap
// left out.
const cutList = "NOT_HERE.txt"

// keptLog bounds a log that goes with the footer.
const keptLog = 256 << 10

// keepOut adds what the command left to the result: its output directory, and
// its logs.
func (a *attempt) keepOut(out *Result) {
	limit := a.e.Spec.CapBytes
	if limit == 0 {
		limit = DefaultCap
	}
	var archive []byte
	dir, err := a.dir.Dir(layout.OutDir)
	if err == nil {
		archive, err = archiveDir(dir, limit)
		err = errors.Join(err, dir.Close())
	}
	switch {
	case err != nil:
		out.Unkept = errors.Join(out.Unkept, fmt.Errorf("keeping the command's output: %w", err))
	case archive != nil:
		out.Artifacts = append(out.Artifacts, newArtifact(layout.OutArchive, archive))
	}
	for _, l := range []struct {
		name string
		log  *Log
	}{{layout.StdoutLog, a.stdout}, {layout.StderrLog, a.stderr}} {
		text, info, err := l.log.Finish(keptLog)
		if err != nil {
			a.log.Warn("log of the command incomplete", "log", l.name, "error", err)
		}
		if len(text) > 0 {
			out.Artifacts = append(out.Artifacts, newArtifact(l.name, text))
		}
		if err := a.putBack(l.name, info, text); err != nil {
			a.log.Warn("restoring a log that the command replaced failed", "log", l.name, "error", err)
		}
	}
}

// putBack has a log be at its place what was written to it, and not what the
// command has put there.
func (a *attempt) putBack(name string, was os.FileInfo, text []byte) error {
	is, err := a.dir.Lstat(name)
	if was == nil || err == nil && os.SameFile(was, is) {
		return nil
	}
	if err := a.dir.RemoveAll(name); err != nil {
		return err
	}
	return a.dir.WriteNew(name, text)
}

// newArtifact cuts content into parts as they travel.
func newArtifact(name string, content []byte) Artifact {
	sum := sha256.Sum256(content)
	a := Artifact{Artifact: footer.Artifact{Name: name, Bytes: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}}
	for part := range slices.Chunk(content, trade.MaxPartBytes) {
		a.Content = append(a.Content, part)
	}
	a.Parts = len(a.Content)
	return a
}

// archiveDir packs the plain files below dir, smallest first up to limit
// bytes of content, so that one large file does not keep out what is small.
// Nil: there is nothing.
func archiveDir(dir *safefile.Dir, limit int64) ([]byte, error) {
	type entry struct {
		name string
		size int64
	}
	var all []entry
	seen := 0
	err := fs.WalkDir(dir.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if seen++; seen > maxOutFiles {
			return fmt.Errorf("%s has more than %d files and directories", dir.Path(""), maxOutFiles)
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := dir.Lstat(name)
		if err != nil {
			return err
		}
		size := info.Size()
		if !info.Mode().IsRegular() {
			size = limit + 1 // links and pipes stay
		}
		all = append(all, entry{name, size})
		return nil
	})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.name, b.name)) })
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	pack := tar.NewWriter(zip)
	var cut []string
	left := limit
	for _, e := range all {
		if e.size > left {
			cut = append(cut, fmt.Sprintf("%s (%d bytes)", e.name, e.size))
			continue
		}
		left -= e.size
		content, err := dir.Read(e.name, e.size) // one that grows is not whole
		if err != nil {
			cut = append(cut, fmt.Sprintf("%s (%v)", e.name, err))
			continue
		}
		if err := addFile(pack, e.name, content); err != nil {
			return nil, err
		}
	}
	if len(cut) > 0 {
		text := fmt.Sprintf("More than %d bytes were left here; these files stayed where they were written:\n%s\n", limit, strings.Join(cut, "\n"))
		if err := addFile(pack, cutList, []byte(text)); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(pack.Close(), zip.Close()); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// maxOutFiles bounds what is listed of an output directory.
const maxOutFiles = 10_000

func addFile(pack *tar.Writer, name string, content []byte) error {
	// No times: the same files make the same archive.
	h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if err := pack.WriteHeader(h); err != nil {
		return err
	}
	_, err := pack.Write(content)
	return err
}
