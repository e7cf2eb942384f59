package worker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gx1replay/internal/atomicfile"
	"gx1replay/internal/bus"
	"gx1replay/internal/footer"
	"gx1replay/internal/layout"
	"gx1replay/internal/lease"
	"gx1replay/internal/safefile"
)

// Artifact is a file that an attempt leaves beside its footer.
type Artifact struct {
	// Artifact is as the footer lists it. The name is a plain file name.
	footer.Artifact
	// Content is the file in Parts pieces of at most bus.MaxArtifactPart
	// bytes, as they travel.
	Content [][]byte
}

// maxArtifacts bounds what one attempt leaves: a footer has to list it.
const maxArtifacts = 64

// checkArtifacts finds out, before a footer lists them, that artifacts could
// never be stored.
func checkArtifacts(list []Artifact) error {
	if len(list) > maxArtifacts {
		return fmt.Errorf("%d artifacts (at most %d)", len(list), maxArtifacts)
	}
	for i, art := range list {
		if art.Name == "" || art.Name != filepath.Base(art.Name) || !filepath.IsLocal(art.Name) ||
			strings.HasPrefix(art.Name, ".") || strings.HasPrefix(art.Name, layout.FooterFile) {
			return fmt.Errorf("artifact %.80q: its name (want a plain file name)", art.Name)
		}
		if slices.ContainsFunc(list[:i], func(other Artifact) bool { return other.Name == art.Name }) {
			return fmt.Errorf("artifact %s appears twice", art.Name)
		}
		if len(art.Content) != art.Parts || art.Parts > bus.MaxArtifactParts {
			return fmt.Errorf("artifact %s: %d parts, %d are listed (want as many, at most %d)", art.Name, len(art.Content), art.Parts, bus.MaxArtifactParts)
		}
		for k, part := range art.Content {
			if len(part) > bus.MaxArtifactPart {
				return fmt.Errorf("artifact %s: part %d has %d bytes (at most %d)", art.Name, k, len(part), bus.MaxArtifactPart)
			}
		}
	}
	return nil
}

// listed is how a footer names artifacts.
func listed(list []Artifact) []footer.Artifact {
	var names []footer.Artifact
	for _, art := range list {
		names = append(names, art.Artifact)
	}
	return names
}

// bare is f without its artifacts, for where they are not. It ranks below f:
// a footer that lists artifacts has taken two numbers of the attempt.
func bare(f footer.Footer) *footer.Footer { return first(f, 0) }

// first is f with the first n of its artifacts; if that is not all, it ranks
// below f.
func first(f footer.Footer, n int) *footer.Footer {
	if n < len(f.Artifacts) {
		if f.Artifacts = f.Artifacts[:n:n]; n == 0 {
			f.Artifacts = nil
		}
		f.Seq--
	}
	return &f
}

// upload is what is still to be stored on the bus of an attempt's artifacts.
// Their parts are counted through, in the order in which the footer lists
// them.
type upload struct {
	a     *attempt
	parts [][]byte
	next  int
}

func (a *attempt) upload(list []Artifact) *upload {
	u := &upload{a: a}
	for _, art := range list {
		u.parts = append(u.parts, art.Content...)
	}
	return u
}

// whole is the number of artifacts, from the first on, that are stored.
func (u *upload) whole(list []Artifact) int {
	parts := 0
	for i, art := range list {
		if parts += art.Parts; parts > u.next {
			return i
		}
	}
	return len(list)
}

// step stores the next part and reports whether all are stored.
func (u *upload) step(ctx context.Context) (bool, error) {
	if u.next == len(u.parts) {
		return true, nil
	}
	err := u.a.w.cfg.Bus.StoreArtifact(ctx, u.a.s.m.Ref(), u.a.chunk.Idx, u.a.rec.Claim, u.next, u.parts[u.next])
	if err != nil {
		return false, err
	}
	u.next++
	return u.next == len(u.parts), nil
}

// partsShare is the share, one of so many, that artifacts have of the time
// for an attempt's final report: the record has to get out.
const partsShare = 3

// leave writes what an attempt that has to end leaves behind: to files, then,
// as far as there is time, to the bus. It returns the footer for the last
// record, which lists the artifacts that are on the bus.
func (a *attempt) leave(ctx context.Context, f *footer.Footer, list []Artifact) *footer.Footer {
	a.keep(f, list)
	if len(f.Artifacts) == 0 {
		return f
	}
	limit := lastWords
	if end, ok := ctx.Deadline(); ok {
		limit = time.Until(end)
	}
	// Nor may the lease run out meanwhile.
	limit = min(limit/partsShare, lease.TimingOf(a.s.m).Record())
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	u := a.upload(list)
	for {
		all, err := u.step(within)
		if err == nil && all {
			return f
		}
		if within.Err() != nil || errors.Is(err, bus.ErrArtifactKept) || err != nil && !pause(within, retryEvery) {
			kept := u.whole(list)
			a.log.Warn("final report sent without artifacts", "parts", len(u.parts), "stored", u.next, "artifacts_kept", kept, "error", err)
			return first(*f, kept)
		}
	}
}

// keep writes artifacts and the footer that lists them to the attempt's
// directory, whatever happens to the bus.
func (a *attempt) keep(f *footer.Footer, list []Artifact) {
	if len(f.Artifacts) > 0 {
		if err := a.keepArtifacts(list); err != nil {
			a.log.Warn("writing the attempt's artifacts failed", "error", err)
			f = bare(*f)
		}
	}
	a.keepFooter(f)
}

func (a *attempt) keepArtifacts(list []Artifact) error {
	dir, err := a.makeDir()
	if err != nil {
		return err
	}
	d, err := safefile.OpenDir(dir)
	if err != nil {
		return err
	}
	defer d.Close() // nothing is lost by it
	for _, art := range list {
		if err := d.Replace(art.Name, false, atomicfile.Parts(art.Content...)); err != nil {
			return fmt.Errorf("writing artifact %s: %w", art.Name, err)
		}
	}
	return nil
}
