package coordinator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// probeEvery is how often the output directory is tried. One small file
	// a second is nothing beside what the bus writes there.
	probeEvery = time.Second
	// probePatience is how long it may refuse before the run is given up: the
	// bus stands on the same disk, so nothing goes on meanwhile, and a moment
	// of a full disk is no reason to end a run of hours.
	probePatience = 5 * time.Second
)

// watchDisk returns an error once the directory dir has not taken a small
// file for a while, and at once when it is gone; nil when ctx ends.
func watchDisk(ctx context.Context, dir string) error {
	t := time.NewTicker(probeEvery)
	defer t.Stop()
	var since time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		err := probe(dir)
		switch {
		case err == nil:
			since = time.Time{}
			continue
		case errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("the output directory is gone: %w", err)
		case since.IsZero():
			since = time.Now()
		}
		if time.Since(since) >= probePatience {
			return fmt.Errorf("the output directory cannot be written for %v: %w", probePatience, err)
		}
	}
}

// probe writes a small file and removes it.
func probe(dir string) error {
	path := filepath.Join(dir, "probe")
	var block [4096]byte // a file without a block fits on a full disk
	err := os.WriteFile(path, block[:], 0o600)
	if rmErr := os.Remove(path); err == nil {
		err = rmErr
	}
	return err
}
