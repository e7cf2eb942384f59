package worker

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"syscall"
	"time"

	"gx1replay/internal/run"
	"gx1replay/internal/safefile"
)

// fileCheck reports whether files are still those of their digests. A large file
// is not read for every chunk: one whose device, inode, size and times are
// those of the last reading was not changed since.
type fileCheck struct {
	mu   sync.Mutex
	read map[string]fileRead // by path
}

// fileRead is what a file was when it was read, and its digest.
type fileRead struct {
	stamp fileStamp
	sha   string
}

type fileStamp struct {
	dev, ino, size int64
	mod, change    time.Time
}

// settled is how long a file must have been left alone when it is read, so that
// a later change has another time, however coarse the file system's clock.
const settled = 2 * time.Second

// is reports whether the plain file at path, or the one that a link there leads
// to, has the SHA-256 sha (hex).
func (c *fileCheck) is(path, sha string) bool {
	got, err := c.sum(path)
	return err == nil && got == sha
}

// sum is the SHA-256 (hex) of the plain file at path, or of the one that a link
// there leads to.
func (c *fileCheck) sum(path string) (string, error) {
	f, info, err := safefile.OpenLinked(path)
	if err != nil {
		return "", err
	}
	defer f.Close() // it was read only
	began := time.Now()
	stamp, known := stampOf(info)
	c.mu.Lock()
	last, was := c.read[path]
	c.mu.Unlock()
	if known && was && last.stamp == stamp {
		return last.sha, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	got := hex.EncodeToString(h.Sum(nil))
	if known && began.Sub(stamp.change) > settled && began.Sub(stamp.mod) > settled {
		c.mu.Lock()
		if c.read == nil {
			c.read = map[string]fileRead{}
		}
		c.read[path] = fileRead{stamp, got}
		c.mu.Unlock()
	}
	return got, nil
}

// has is is, for a file that a run ships. One of another size is not read.
func (c *fileCheck) has(path string, f run.CommandFile) bool {
	file, info, err := safefile.OpenLinked(path)
	if err != nil {
		return false
	}
	_ = file.Close() // it was not read
	return info.Size() == f.Bytes && c.is(path, f.SHA256)
}

// check is is, with an error that contains what is wrong.
func (c *fileCheck) check(path, sha string) error {
	if c.is(path, sha) {
		return nil
	}
	return fmt.Errorf("%s has been changed (expected the file with SHA-256 %s)", path, sha)
}

func stampOf(info fs.FileInfo) (s fileStamp, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return s, false
	}
	return fileStamp{int64(st.Dev), int64(st.Ino), info.Size(), info.ModTime(), changeTime(st)}, true
}
