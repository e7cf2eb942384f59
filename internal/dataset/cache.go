package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/bars"
	"gx1replay/internal/memo"
	"gx1replay/internal/safefile"
)

// Cache keeps what was fetched from the bus in a directory, at most so many
// bytes of it. What it gives is verified by its digest each time, and is a plain
// file: it does not matter who else can write there. Any number
// of processes may share one: a file is written aside and renamed, and one that
// another has removed is fetched again. A directory that cannot be written is
// no error: there is no cache then.
//
// All that read through it also share what was decoded last, in memory and by
// digest.
type Cache struct {
	dir string
	max int64
	log *slog.Logger

	decoded decoded

	mu    sync.Mutex
	room  int64 // bytes that may be written before the directory is looked at again
	quiet bool  // it was said that nothing can be kept
}

// decoded are slices in memory, by their digests: a chunk most often begins in
// the slice in which the one before it ended.
type decoded struct {
	bars  *memo.Memo[[]bars.Bar]
	extra *memo.Memo[[]bars.Column]
}

// Bounds of what a process keeps decoded, whatever number of runs it serves.
// A slice of bars has about 5 MB, one of extra columns 0.5 MB per column.
const (
	decodedBars  = 64 << 20
	decodedExtra = 64 << 20
)

func newDecoded() decoded {
	return decoded{memo.New[[]bars.Bar](decodedBars), memo.New[[]bars.Column](decodedExtra)}
}

// memory is where what was decoded is kept; a nil Cache has none, and each of
// its users one of its own.
func (c *Cache) memory() decoded {
	if c == nil {
		return newDecoded()
	}
	return c.decoded
}

const (
	// aside is how files begin that are being written.
	aside = ".aside"
	// asideFor is how long such a file may be under way.
	asideFor = time.Hour
	// touchEvery is how exactly it is known when a file was used last.
	touchEvery = time.Minute
	// A part of the cache, one in freed, is free when room was made, so that it
	// is not made at each file.
	freed = 10
)

// NewCache is a cache in dir, of at most max bytes. dir is made when it is
// needed, in a directory that is there. With an empty dir, or 0 bytes, nothing is kept.
func NewCache(dir string, max int64, log *slog.Logger) *Cache {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Cache{dir: dir, max: max, log: log, decoded: newDecoded()}
}

// Get returns the object name, whose content has the SHA-256 sha (hex) and at
// most limit bytes, from the directory or from store. A nil Cache keeps
// nothing.
func (c *Cache) Get(ctx context.Context, store Store, name, sha string, limit int64) ([]byte, error) {
	if data := c.read(sha, limit); data != nil {
		return data, nil
	}
	data, err := store.GetObject(ctx, name, limit)
	if err != nil {
		return nil, err
	}
	if got := digest(data); got != sha {
		return nil, fmt.Errorf("object %s has content with SHA-256 %s (want %s)", name, got, sha)
	}
	c.keep(sha, data)
	return data, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (c *Cache) off() bool { return c == nil || c.dir == "" || c.max <= 0 }

// read returns what the directory has, nil if that is nothing, or damaged.
func (c *Cache) read(sha string, limit int64) []byte {
	if c.off() {
		return nil
	}
	path := filepath.Join(c.dir, sha)
	data, err := safefile.Read(path, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && digest(data) != sha {
		err = errors.New("its content has another digest")
	}
	if err != nil {
		c.log.Warn("damaged cache file, fetching it again", "path", path, "error", err)
		return nil
	}
	if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > touchEvery {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // it may have been removed meanwhile
	}
	return data
}

// keep puts a file into the directory and sees to it that there is room.
func (c *Cache) keep(sha string, data []byte) {
	if c.off() || int64(len(data)) > c.max {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.write(sha, data)
	if err == nil {
		if c.room -= int64(len(data)); c.room < 0 {
			err = c.makeRoom(sha)
		}
	}
	if err != nil && !c.quiet {
		c.quiet = true
		c.log.Warn("caching failed", "error", err)
	}
}

func (c *Cache) write(sha string, data []byte) error {
	// What it stands in is not made: that may be a run's output directory, which
	// must not come back when it was deleted.
	if err := os.Mkdir(c.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making the cache: %w", err)
	}
	// A file that a crash cut short would be fetched again.
	o := atomicfile.Options{Sync: true, Aside: filepath.Join(c.dir, aside)}
	if err := atomicfile.Write(filepath.Join(c.dir, sha), o, atomicfile.Parts(data)); err != nil {
		return fmt.Errorf("writing into the cache: %w", err)
	}
	return nil
}

// cached is one file of the directory.
type cached struct {
	name string
	size int64
	used time.Time
}

// makeRoom removes what was not used for longest until a part of the room is
// free, but not the file newest, and what processes that died were writing.
func (c *Cache) makeRoom(newest string) error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("reading the cache: %w", err)
	}
	var list []cached
	var total int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue // another process was faster, or it is none of ours
		}
		if strings.HasPrefix(e.Name(), aside) {
			if time.Since(info.ModTime()) > asideFor {
				c.remove(e.Name())
			}
			continue
		}
		if _, err := hex.DecodeString(e.Name()); err != nil || len(e.Name()) != 2*sha256.Size {
			continue // not ours
		}
		list = append(list, cached{e.Name(), info.Size(), info.ModTime()})
		total += info.Size()
	}
	slices.SortFunc(list, func(a, b cached) int { return a.used.Compare(b.used) })
	if total > c.max {
		for _, f := range list {
			if total <= c.max-c.max/freed {
				break
			}
			if f.name != newest && c.remove(f.name) {
				total -= f.size
			}
		}
	}
	// Other processes write, too: the directory is looked at again well before
	// this one alone could fill it.
	c.room = (c.max - total) / 4
	return nil
}

func (c *Cache) remove(name string) bool {
	err := os.Remove(filepath.Join(c.dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Warn("making room in the cache failed", "error", err)
		return false
	}
	return true
}
