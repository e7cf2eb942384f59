package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/bus"
	"gx1replay/internal/embedded"
	"gx1replay/internal/export"
	"gx1replay/internal/footer"
	"gx1replay/internal/lease"
	"gx1replay/internal/ledger"
	"gx1replay/internal/run"
)

// damaged is the error that an embedded bus does not open whole.
type damaged struct {
	what []string
	// found is what could still be read of the run; nil: nothing.
	found *ledger.Account
}

func (e *damaged) Error() string {
	return "the bus is damaged: " + strings.Join(e.what, "; ")
}

// asDamage is err, or the *damaged that it is: a bus on which no server can be
// started. Of such a one nothing is read; it stays as it is, set aside.
func asDamage(err error) error {
	if bad := (*embedded.Malformed)(nil); errors.As(err, &bad) {
		return &damaged{what: bad.What}
	}
	return err
}

const (
	// examinePatience bounds the look at a bus that may be damaged: reading a
	// run of 100,000 chunks takes a second or two.
	examinePatience = 20 * time.Second
	// salvagePatience bounds reading what is left of one that is.
	salvagePatience = 5 * time.Second
)

// examine sees whether the embedded bus that an earlier session left opened
// whole: by what its server found in the files, and by what its streams contain of
// each other. Where it did not, the error is a *damaged.
//
// A stream whose last messages are gone, as after a power cut, looks like one
// that never had them; if the others give no evidence, it passes. That blocks
// nothing: the files of the run hold what its workers have measured.
func examine(ctx context.Context, srv *embedded.Server, b *bus.Bus, cfg RecoverConfig) error {
	what := srv.Damage()
	if len(what) == 0 {
		look, cancel := context.WithTimeout(ctx, examinePatience)
		defer cancel()
		err := contradiction(look, b, cfg.Target.RunID)
		if err == nil || ctx.Err() != nil {
			return context.Cause(ctx)
		}
		what = []string{err.Error()}
	}
	look, cancel := context.WithTimeout(ctx, salvagePatience)
	defer cancel()
	e := &damaged{what: what}
	cfg.Logger = slog.New(slog.DiscardHandler)
	if found, err := readBus(look, b, cfg); err == nil {
		e.found = &found
	}
	return e
}

// contradiction returns in what the streams of a run contradict each other.
func contradiction(ctx context.Context, b *bus.Bus, id run.ID) error {
	missing, err := b.CheckStreams(ctx, 0)
	if err != nil {
		return err
	}
	for _, d := range missing {
		// Others may be those of a later version.
		if d.Field == "" && slices.Contains([]string{bus.StreamProgress, bus.StreamFooters, bus.StreamStop, "KV_" + bus.BucketRuns}, d.Stream) {
			return fmt.Errorf("stream %s is missing", d.Stream)
		}
	}
	m, _, err := b.Manifest(ctx, id)
	if errors.Is(err, bus.ErrNoRun) {
		// A heartbeat proves nothing, since it comes before the manifest.
		leases, footers, err := b.Fence(ctx, id)
		if err == nil && leases+footers > 0 {
			err = errors.New("the run has records but no manifest")
		}
		return err
	}
	if err != nil {
		return err
	}
	if _, err := b.LastStop(ctx, id); err != nil {
		return err
	}
	var seen sightings
	if err := b.Read(ctx, m, &seen); err != nil {
		return err
	}
	if seen.session > m.Session {
		return fmt.Errorf("a lease record is of epoch %d, but the manifest is of epoch %d", seen.session, m.Session)
	}
	return nil
}

// sightings is the highest session of lease records.
type sightings struct{ session int }

func (s *sightings) TakeLease(r *lease.Record, _ uint64)      { s.session = max(s.session, r.Session) }
func (s *sightings) TakeFooter(*footer.Footer, uint64)        {}
func (s *sightings) TakeRefused(int, bool, *bus.RefusedError) {}
func (s *sightings) Rewound(bool)                             {}

// setAside puts a damaged bus out of the way, and logs it.
func setAside(state string, e *damaged, log *slog.Logger) (string, error) {
	path, err := embedded.SetAside(state, time.Now())
	if err != nil {
		return "", fmt.Errorf("%w; %w", e, err)
	}
	log.Warn("damaged bus renamed; the run's other files are used", "as", path, "damage", strings.Join(e.what, "; "))
	return fmt.Sprintf("%v; it was renamed to %s, and the run's other files are used", e, path), nil
}

// openLeft opens the embedded bus that a run has left in its state directory.
// One that does not open whole is set aside: then the error is a *damaged.
func openLeft(ctx context.Context, state string, cfg RecoverConfig) (b *bus.Bus, end func(), err error) {
	// What the server has to say of files that were cut off in a write it says
	// each time.
	server, err := embedded.Start(ctx, embedded.Config{Dir: state, Examine: true})
	err = asDamage(err)
	if err == nil {
		end = func() {
			if b != nil {
				b.Close()
			}
			if err := server.Close(); err != nil {
				cfg.Logger.Warn("closing the bus failed", "error", err)
			}
		}
		if b, err = connect(ctx, server, cfg.Logger); err == nil {
			err = examine(ctx, server, b, cfg)
		}
		if err == nil {
			return b, end, nil
		}
		end()
	}
	bad := (*damaged)(nil)
	if !errors.As(err, &bad) {
		return nil, nil, err
	}
	if _, err := setAside(state, bad, cfg.Logger); err != nil {
		return nil, nil, err
	}
	return nil, nil, bad
}

// boundStop sees to it that the stops of this session count: none that is to
// come has a lower sequence than the stream has had. A bus that was made anew
// begins again at 1, whatever files contain.
func boundStop(ctx context.Context, b *bus.Bus, m *run.Manifest) error {
	last, err := b.LastStopSeq(ctx)
	if err != nil {
		return err
	}
	m.StopSeq = min(m.StopSeq, last)
	return nil
}

// fitsFooters refuses a run of which nothing but footers is left, if what it is
// told to replay cannot be what they have measured.
func (s *Session) fitsFooters(list []bars.Bar) error {
	at := func(bar int64) time.Time { return time.Unix(0, list[bar].TimeNS) }
	if err := s.ledger.FitsData(int64(len(list)), at); err != nil {
		return fmt.Errorf("run %s: %w (want the run's data set, or another --run-id)", s.cfg.RunID, err)
	}
	kept, err := export.KeptPolicies(s.target)
	if err != nil {
		return err
	}
	if mine := PolicyOf(s.cfg.Policy).Content; len(kept) > 0 && !slices.Contains(kept, mine) {
		return &Differs{RunID: s.cfg.RunID, Fields: []Difference{{"policy file", fmt.Sprintf("SHA-256 %.12s", kept[0]), fmt.Sprintf("SHA-256 %.12s", mine)}}}
	}
	return nil
}
