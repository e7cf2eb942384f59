package execengine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gx1replay/internal/footer"
	"gx1replay/internal/trade"
)

// OutArchive is the artifact that holds the command's output directory, as
// far as the cap allows; cutList in it names what is not there.
const (
	OutArchive = "out_dir.tar.gz"
	cutList    = "NOT_HERE.txt"
)

// keptLog bounds a log that goes with the footer.
const keptLog = 256 << 10

// keepOut adds what the command left to the result: its output directory, and
// its logs.
func (a *attempt) keepOut(out *Result) {
	for _, log := range []*Log{a.stdout, a.stderr} {
		if err := log.Close(); err != nil {
			a.log.Warn("the command's log is not whole", "error", err)
		}
	}
	limit := a.e.Spec.CapBytes
	if limit == 0 {
		limit = DefaultCap
	}
	archive, err := archiveDir(a.paths.out, limit)
	switch {
	case err != nil:
		out.Unkept = errors.Join(out.Unkept, fmt.Errorf("keeping the command's output: %w", err))
	case archive != nil:
		out.Artifacts = append(out.Artifacts, newArtifact(OutArchive, archive))
	}
	for _, path := range []string{a.paths.stdout, a.paths.stderr} {
		text, err := readEnds(path, keptLog)
		switch {
		case err != nil:
			out.Unkept = errors.Join(out.Unkept, fmt.Errorf("keeping the command's log: %w", err))
		case len(text) > 0:
			out.Artifacts = append(out.Artifacts, newArtifact(filepath.Base(path), text))
		}
	}
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

// readEnds reads a file of which at most limit bytes are wanted: its
// beginning and, more of it, its end.
func readEnds(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() <= limit {
		return io.ReadAll(io.LimitReader(f, limit))
	}
	head := limit / 4
	text := make([]byte, limit)
	if _, err := io.ReadFull(f, text[:head]); err != nil {
		return nil, err
	}
	if _, err := f.ReadAt(text[head:], info.Size()-(limit-head)); err != nil {
		return nil, err
	}
	between := fmt.Sprintf("\n… %d bytes are left out here …\n", info.Size()-limit)
	return slices.Concat(text[:head], []byte(between), text[head:]), nil
}

// archiveDir packs the plain files below dir, smallest first up to limit
// bytes of content, so that one large file does not keep out what is small.
// Nil: there is nothing.
func archiveDir(dir string, limit int64) ([]byte, error) {
	type entry struct {
		name string
		size int64
	}
	var all []entry
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		size := info.Size()
		if !info.Mode().IsRegular() {
			size = limit + 1 // links and pipes stay
		}
		if all = append(all, entry{filepath.ToSlash(name), size}); len(all) > maxOutFiles {
			return fmt.Errorf("%s has more than %d files", dir, maxOutFiles)
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b entry) int {
		if a.size != b.size {
			if a.size < b.size {
				return -1
			}
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
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
		content, err := readOut(filepath.Join(dir, filepath.FromSlash(e.name)), e.size)
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

// readOut reads a plain file that had size bytes.
func readOut(path string, size int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, size))
}
