//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	gx1run "gx1replay/internal/run"
)

const manifestSubjects = "$KV.GX1_RUNS."

// expectation begins the headers by which a write was made to depend on what was
// stored before.
const expectation = "Nats-Expected-"

// serverHeaders are those by which a server says where it has stored a message.
var serverHeaders = []string{jetstream.StreamHeader, jetstream.SubjectHeader, jetstream.SequenceHeader, jetstream.TimeStampHeaer, jetstream.LastSequenceHeader, "Nats-Num-Pending"}

// remains are the messages that the bus still has of a finished run.
func (b *fleetBus) remains(ctx context.Context, id string) ([]*nats.Msg, error) {
	var list []*nats.Msg
	names := b.js.StreamNames(ctx)
	for name := range names.Name() {
		s, err := b.js.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("what is left of run %s: stream %s: %w", id, name, err)
		}
		info, err := s.Info(ctx, jetstream.WithSubjectFilter(">"))
		if err != nil {
			return nil, fmt.Errorf("what is left of run %s: stream %s: %w", id, name, err)
		}
		for subject := range info.State.Subjects {
			if !slices.Contains(strings.Split(subject, "."), id) {
				continue
			}
			raw, err := s.GetLastMsgForSubject(ctx, subject)
			if err != nil {
				return nil, fmt.Errorf("what is left of run %s: %s: %w", id, subject, err)
			}
			m := nats.NewMsg(subject)
			m.Data = raw.Data
			for key, values := range raw.Header {
				if !slices.Contains(serverHeaders, key) && !strings.HasPrefix(key, expectation) {
					m.Header[key] = values
				}
			}
			list = append(list, m)
		}
	}
	if err := names.Err(); err != nil {
		return nil, fmt.Errorf("what is left of run %s: %w", id, err)
	}
	// A manifest comes before what removes its run's heartbeat.
	slices.SortFunc(list, func(x, y *nats.Msg) int { return strings.Compare(x.Subject, y.Subject) })
	return list, nil
}

// layDown stores so many finished runs: each has what is left of the run id, under
// a name and an incarnation of its own.
func (b *fleetBus) layDown(ctx context.Context, id string, left []*nats.Msg, runs int) error {
	var waiting []jetstream.PubAckFuture
	for n := range runs {
		name := fmt.Sprintf("finished_%05d", n)
		for _, m := range left {
			next, err := renamed(m, id, name)
			if err != nil {
				return err
			}
			f, err := b.js.PublishMsgAsync(next)
			if err != nil {
				return fmt.Errorf("laying down run %s: %w", name, err)
			}
			waiting = append(waiting, f)
		}
	}
	for _, f := range waiting {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return fmt.Errorf("laying down %s: %w", f.Msg().Subject, err)
		case <-ctx.Done():
			return fmt.Errorf("laying down finished runs: %w", context.Cause(ctx))
		}
	}
	return nil
}

// renamed is m, which is of run id, as another run has it.
func renamed(m *nats.Msg, id, name string) (*nats.Msg, error) {
	next := nats.NewMsg(strings.Replace(m.Subject, "."+id, "."+name, 1))
	next.Header, next.Data = m.Header, m.Data
	if m.Subject != manifestSubjects+id {
		if len(m.Data) > 0 {
			return nil, fmt.Errorf("a finished run leaves %s with %d bytes, which the campaign cannot rename", m.Subject, len(m.Data))
		}
		return next, nil
	}
	man, err := gx1run.DecodeManifest(m.Data)
	if err != nil {
		return nil, err
	}
	if man.State != gx1run.StateExported {
		return nil, fmt.Errorf("run %s is %s (want %s)", id, man.State, gx1run.StateExported)
	}
	digits, err := hex.DecodeString(string(man.Incarnation))
	if err != nil {
		return nil, fmt.Errorf("the incarnation of run %s: %w", id, err)
	}
	if _, err := rand.Read(digits); err != nil {
		return nil, fmt.Errorf("drawing an incarnation: %w", err)
	}
	man.RunID, man.Incarnation = gx1run.ID(name), gx1run.Incarnation(hex.EncodeToString(digits))
	man.ExportFile = strings.ReplaceAll(man.ExportFile, id, name)
	next.Data, err = man.Encode()
	return next, err
}
