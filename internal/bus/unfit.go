package bus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gx1replay/internal/run"
)

// Unfit is a worker's note that it does not serve a run, for people who wonder
// why it idles. It decides nothing.
type Unfit struct {
	WorkerID string `json:"worker_id"`
	Host     string `json:"host"`
	Identity string `json:"identity"` // of what it would run
	Why      string `json:"why"`
	// At is when the bus stored it: the worker says it again as long as it
	// holds.
	At time.Time `json:"at"`
}

// Bounds of notes.
const (
	maxUnfitBytes = 16 << 10
	maxUnfitText  = 8 << 10
	maxUnfits     = 256 // that are read
)

// unfitSubject holds one note a host and command, so that workers which start
// again and again leave no heap of them. It lies among the run's artifacts,
// and goes with them.
func unfitSubject(id run.ID, u Unfit) string {
	sum := sha256.Sum256([]byte(u.Host + "\x00" + u.Identity))
	return fmt.Sprintf("gx1.artifact.%s.unfit.%s.0", id, hex.EncodeToString(sum[:8]))
}

// unfitSubjects matches the notes on run id.
func unfitSubjects(id run.ID) string { return "gx1.artifact." + string(id) + ".unfit.*.0" }

// StoreUnfit stores a note on run id; it takes the place of an older one of the
// same host and command.
func (b *Bus) StoreUnfit(ctx context.Context, id run.ID, u Unfit) error {
	if len(u.Why) > maxUnfitText {
		u.Why = strings.ToValidUTF8(u.Why[:maxUnfitText], "") + "…"
	}
	u.At = time.Time{} // the bus says when
	data, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("encoding a note on run %s: %w", id, err)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	if _, err := b.js.PublishMsg(ctx, b.message(unfitSubject(id, u), data), jetstream.WithExpectStream(StreamArtifacts)); err != nil {
		return fmt.Errorf("storing a note on run %s: %w", id, plain(err))
	}
	return nil
}

// Unfits reads the notes on run id, in the order of workers. One that cannot
// be used is passed over.
func (b *Bus) Unfits(ctx context.Context, id run.ID) ([]Unfit, error) {
	s, err := b.stream(ctx, StreamArtifacts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(unfitSubjects(id)))
	if err != nil {
		return nil, fmt.Errorf("listing the notes on run %s: %w", id, plain(err))
	}
	var list []Unfit
	for subject := range info.State.Subjects {
		if len(list) >= maxUnfits {
			break
		}
		msg, err := b.last(ctx, StreamArtifacts, subject)
		if err != nil {
			return list, err
		}
		if msg == nil || len(msg.Data) > maxUnfitBytes || checkSchema(msg.Header) != nil {
			continue
		}
		var u Unfit
		if json.Unmarshal(msg.Data, &u) != nil || u.WorkerID == "" || u.Why == "" {
			continue
		}
		u.At = msg.Time
		list = append(list, u)
	}
	slices.SortFunc(list, func(x, y Unfit) int { return strings.Compare(x.WorkerID, y.WorkerID) })
	return list, nil
}
