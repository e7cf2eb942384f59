package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"

	"gx1replay/internal/layout"
)

// A server that finds a stream damaged at most logs it, and goes on without the
// stream or what it could not read. So its files are examined first (checkStore,
// prepareStore), and the streams compared afterwards.

var streamsDir = filepath.Join("jetstream", server.DEFAULT_GLOBAL_ACCOUNT, "streams")

// prepareStore lists the streams of a store and what of their files is damaged. If
// nothing is, it removes the consumers: the next server does not need them, and a
// damaged one takes its stream with it.
func prepareStore(store string) (streams, damage []string, err error) {
	entries, err := os.ReadDir(filepath.Join(store, streamsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("looking at the bus's store: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue // being deleted
		}
		what, err := verifyStream(filepath.Join(store, streamsDir, e.Name()), e.Name())
		if err != nil {
			return nil, nil, fmt.Errorf("looking at the bus's store: %w", err)
		}
		if what != "" {
			damage = append(damage, what)
		}
		streams = append(streams, e.Name())
	}
	if len(damage) > 0 {
		return streams, damage, nil
	}
	for _, name := range streams {
		if err := os.RemoveAll(filepath.Join(store, streamsDir, name, "obs")); err != nil {
			return nil, nil, fmt.Errorf("looking at the bus's store: %w", err)
		}
	}
	return streams, nil, nil
}

// compare lists the streams that the server has not opened whole.
func (s *Server) compare(streams []string) ([]string, error) {
	if len(streams) == 0 {
		return nil, nil
	}
	info, err := s.srv.Jsz(&server.JSzOptions{Accounts: true, Streams: true})
	if err != nil {
		return nil, fmt.Errorf("looking at the bus's streams: %w", err)
	}
	open := map[string]bool{}
	for _, account := range info.AccountDetails {
		if account.Name != server.DEFAULT_GLOBAL_ACCOUNT {
			continue
		}
		for _, d := range account.Streams {
			open[d.Name] = true
		}
	}
	var list []string
	for _, name := range streams {
		if !open[name] {
			list = append(list, "stream "+name+" does not open")
		}
	}
	slices.Sort(list)
	return list, nil
}

// Damage lists what of the examined store was not whole.
func (s *Server) Damage() []string { return s.damage }

// SetAside renames the store in dir, unchanged, so that the next server begins with
// an empty one, and returns its new path. A store that another process serves is an
// error.
func SetAside(dir string, now time.Time) (path string, err error) {
	store := filepath.Join(dir, layout.BusDir)
	lock, err := lockStore(filepath.Join(store, layout.LockFile))
	if bad := (*Malformed)(nil); err != nil && (errors.Is(err, unix.EWOULDBLOCK) || !errors.As(checkStore(store), &bad)) {
		return "", err
	}
	if lock != nil { // else the store is no directory, or its lock no file
		defer func() { err = errors.Join(err, lock.Close()) }()
	}
	path, err = moveAside(store, filepath.Join(dir, layout.BusDir+".damaged-"+now.UTC().Format("20060102T150405Z")))
	if err != nil {
		return "", fmt.Errorf("setting the bus aside: %w", err)
	}
	return path, nil
}
