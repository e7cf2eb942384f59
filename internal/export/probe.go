package export

import (
	"errors"
	"fmt"
	"os"
)

// probeBytes is more than a file system keeps beside a file's name, so that a
// full disk shows.
const probeBytes = 4096

// Probe reports whether the run could be exported now, as far as that can be
// known without doing it: the lock stands where it stood, and the disk under
// it takes bytes. It leaves nothing behind and hangs if the disk does.
func (l *Lock) Probe() error {
	path, err := l.probe()
	if path != "" {
		err = errors.Join(err, removeIfThere(path))
	}
	if err != nil {
		return fmt.Errorf("writing to the output directory of run %s: %w", l.target.RunID, err)
	}
	return nil
}

func (l *Lock) probe() (path string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil || !stands(l.f, l.target.Lock()) {
		return "", fmt.Errorf("%s was removed", l.target.Lock())
	}
	f, err := os.OpenFile(l.target.Probe(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.Write(make([]byte, probeBytes))
	return f.Name(), errors.Join(err, f.Close())
}
