package worker

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nkeys"

	"gx1replay/internal/run"
)

// maxOpened bounds the runs of which a worker remembers the first manifest. The
// oldest is forgotten first; by then its run is long over.
const maxOpened = 1024

// accepted holds this worker's record of the runs that it opened, so that
// no later manifest changes what a run is.
type accepted struct {
	keys  []string // whose runs are served; empty: everybody's
	first map[run.Ref]run.Manifest
	order []run.Ref
	count int // manifests refused so far
}

// check returns why m is not a manifest to follow; nil: it is. What m's run replays
// is what its first manifest contains, whatever its session.
func (a *accepted) check(m run.Manifest) error {
	err := a.signed(m)
	if first, opened := a.first[m.Ref()]; opened && err == nil {
		err = first.KeepsInputs(m)
	}
	if err != nil {
		a.count++
		return fmt.Errorf("the manifest of session %d is refused: %w", m.Session, err)
	}
	return nil
}

// open remembers m, which check has passed, as its run's first manifest. The
// command's identity may be learned later, once.
func (a *accepted) open(m run.Manifest) {
	if first, opened := a.first[m.Ref()]; opened {
		if first.Identity == "" {
			a.first[m.Ref()] = m
		}
		return
	}
	if len(a.order) == maxOpened {
		delete(a.first, a.order[0])
		a.order = a.order[1:]
	}
	if a.first == nil {
		a.first = map[run.Ref]run.Manifest{}
	}
	a.first[m.Ref()], a.order = m, append(a.order, m.Ref())
}

// signed checks the coordinator's signature where this worker serves only some
// coordinators.
func (a *accepted) signed(m run.Manifest) error {
	if len(a.keys) == 0 {
		return nil
	}
	s := m.Signature
	if s.Key == "" {
		return errors.New("it is not signed (want a signature by a --coordinator-key)")
	}
	if !slices.Contains(a.keys, s.Key) {
		return fmt.Errorf("it is signed by %s (want one of --coordinator-key)", s.Key)
	}
	key, err := nkeys.FromPublicKey(s.Key)
	if err != nil {
		return fmt.Errorf("reading the signer's key %.80q: %w", s.Key, err)
	}
	if err := key.Verify(m.SignedText(), s.Bytes); err != nil {
		return fmt.Errorf("its signature by %s does not match its content: %w", s.Key, err)
	}
	return nil
}
