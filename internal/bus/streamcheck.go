package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The oldest server whose work queues and block compaction keep what they have
// acknowledged (docs/protocol.md).
const (
	leastMajor = 2
	leastMinor = 15
)

// LeastServer is the oldest version of a server that is used.
const LeastServer = "2.15"

// ErrServerTooOld: the server's version is below LeastServer.
var ErrServerTooOld = errors.New("the NATS server is too old")

// CheckServer refuses a server that is older than LeastServer.
func (b *Bus) CheckServer() error { return checkVersion(b.ServerVersion()) }

func checkVersion(version string) error {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) == 3 {
		major, err := strconv.Atoi(parts[0])
		minor, err2 := strconv.Atoi(parts[1])
		if err == nil && err2 == nil && (major > leastMajor || major == leastMajor && minor >= leastMinor) {
			return nil
		}
	}
	return fmt.Errorf("%w: it is %q (want %s or later)", ErrServerTooOld, version, LeastServer)
}

// Difference is a setting of a stream that is not as this program makes it.
type Difference struct {
	Stream string
	Field  string // as the server names it
	Found  string
	Wanted string
	// Harmless: nothing that is promised depends on it.
	Harmless bool
	// Why is what the difference allows, and Do is the command that takes it away;
	// empty: nothing has to be done, or more than a command.
	Why, Do string
}

func (d Difference) String() string {
	if d.Field == "" {
		return fmt.Sprintf("stream %s: %s (want %s)", d.Stream, d.Found, d.Wanted)
	}
	text := fmt.Sprintf("stream %s: %s is %s (want %s)", d.Stream, d.Field, d.Found, d.Wanted)
	if d.Why != "" {
		text += ": " + d.Why
	}
	return text
}

// CheckStreams compares the streams of the bus with those that MakeStreams
// makes, and changes nothing. A stream that is not there is a difference
// without a field. replicas 0: any number will do.
func (b *Bus) CheckStreams(ctx context.Context, replicas int) ([]Difference, error) {
	var list []Difference
	for _, want := range wantedStreams(replicas) {
		if want.Name == StreamNotes && !b.allowed(ctx, "$JS.API.STREAM.INFO."+want.Name) {
			list = append(list, Difference{Stream: want.Name, Found: "this user may not see it", Wanted: "rights as `coordinator auth init` writes them", Harmless: true})
			continue
		}
		once, cancel := bounded(ctx)
		s, err := b.js.Stream(once, want.Name)
		cancel()
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			list = append(list, Difference{Stream: want.Name, Found: "it does not exist", Wanted: "it to be made by a coordinator"})
			continue
		}
		if err != nil {
			return list, fmt.Errorf("asking for stream %s: %w", want.Name, err)
		}
		list = append(list, differences(s.CachedInfo().Config, want)...)
	}
	return list, nil
}

// wantedStreams are the streams with those of the bucket of runs and the
// object store, which the client's library makes.
func wantedStreams(replicas int) []jetstream.StreamConfig {
	return append(streamConfigs(replicas),
		jetstream.StreamConfig{
			Name: "KV_" + BucketRuns, Subjects: []string{"$KV." + BucketRuns + ".>"}, Storage: jetstream.FileStorage, Replicas: replicas,
			MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, AllowDirect: true, AllowRollup: true, DenyDelete: true,
		},
		jetstream.StreamConfig{
			Name: "OBJ_" + StoreData, Subjects: []string{"$O." + StoreData + ".C.>", "$O." + StoreData + ".M.>"}, Storage: jetstream.FileStorage, Replicas: replicas,
			Discard: jetstream.DiscardNew, AllowDirect: true, AllowRollup: true,
		})
}

// differences returns what found has otherwise than want.
func differences(found, want jetstream.StreamConfig) []Difference {
	var list []Difference
	add := func(harmless bool, field string, f, w any) {
		list = append(list, Difference{Stream: want.Name, Field: field, Found: fmt.Sprint(f), Wanted: fmt.Sprint(w), Harmless: harmless})
	}
	unless := func(same, harmless bool, field string, f, w any) {
		if !same {
			add(harmless, field, f, w)
		}
	}
	subjects := slices.Sorted(slices.Values(found.Subjects))
	unless(slices.Equal(subjects, slices.Sorted(slices.Values(want.Subjects))), false, "subjects", strings.Join(subjects, " "), strings.Join(want.Subjects, " "))
	unless(found.Retention == want.Retention, false, "retention", found.Retention, want.Retention)
	unless(found.Storage == want.Storage, false, "storage", found.Storage, want.Storage)
	overwrites := found.Discard != want.Discard || found.DiscardNewPerSubject != want.DiscardNewPerSubject
	if want.Name == StreamArtifacts && overwrites {
		// Footers hold the digests of artifacts, so the lie is found out.
		list = append(list, Difference{
			Stream: want.Name, Field: "discard", Found: fmt.Sprint(found.Discard), Wanted: fmt.Sprint(want.Discard) + ", per subject", Harmless: true,
			Why: "a worker can overwrite what another worker stored; an earlier version made the stream so", Do: "nats stream edit " + want.Name + " --discard new --discard-per-subject",
		})
	} else {
		unless(found.Discard == want.Discard, false, "discard", found.Discard, want.Discard)
		unless(found.DiscardNewPerSubject == want.DiscardNewPerSubject, false, "discard_new_per_subject", found.DiscardNewPerSubject, want.DiscardNewPerSubject)
	}
	unless(unlimited(found.MaxMsgsPerSubject) == unlimited(want.MaxMsgsPerSubject), false, "max_msgs_per_subject", found.MaxMsgsPerSubject, want.MaxMsgsPerSubject)
	unless(found.AllowDirect || !want.AllowDirect, false, "allow_direct", found.AllowDirect, want.AllowDirect)
	unless(found.AllowRollup || !want.AllowRollup, false, "allow_rollup_hdrs", found.AllowRollup, want.AllowRollup)
	unless(!found.DenyDelete || want.DenyDelete, false, "deny_delete", found.DenyDelete, false)
	unless(!found.DenyPurge, false, "deny_purge", found.DenyPurge, false)
	unless(!found.Sealed, false, "sealed", found.Sealed, false)
	unless(found.Mirror == nil, false, "mirror", "set", "none")
	unless(len(found.Sources) == 0, false, "sources", len(found.Sources), "none")
	unless(found.SubjectTransform == nil, false, "subject_transform", "set", "none")
	unless(found.MaxAge == want.MaxAge, want.MaxAge > 0, "max_age", found.MaxAge, age(want.MaxAge))
	// A stream that refuses what is too much loses nothing; one that makes
	// room does.
	loses := want.Discard == jetstream.DiscardOld
	unless(atLeast(found.MaxMsgs, want.MaxMsgs), !loses, "max_msgs", found.MaxMsgs, limit(want.MaxMsgs))
	unless(atLeast(found.MaxBytes, want.MaxBytes), !loses, "max_bytes", found.MaxBytes, limit(want.MaxBytes))
	unless(atLeast(int64(found.MaxMsgSize), int64(leastMsgSize(want))), false, "max_msg_size", found.MaxMsgSize, limit(int64(leastMsgSize(want))))
	unless(want.Duplicates == 0 || found.Duplicates >= want.Duplicates, true, "duplicate_window", found.Duplicates, want.Duplicates)
	unless(want.MaxConsumers == 0 || found.MaxConsumers >= want.MaxConsumers, true, "max_consumers", found.MaxConsumers, want.MaxConsumers)
	unless(want.Replicas == 0 || found.Replicas == want.Replicas, true, "num_replicas", found.Replicas, want.Replicas)
	return list
}

// leastMsgSize is what a stream has to take: stops are short, and all else
// fits into the server's own payload.
func leastMsgSize(want jetstream.StreamConfig) int32 {
	if want.MaxMsgSize > 0 {
		return want.MaxMsgSize
	}
	return leastPayload
}

// leastPayload is the default max_payload of a server, which everything that
// is published fits into.
const leastPayload = 1 << 20

// unlimited gives what means no limit one value.
func unlimited(n int64) int64 {
	if n <= 0 {
		return -1
	}
	return n
}

func age(d time.Duration) string {
	if d == 0 {
		return "none"
	}
	return d.String()
}

func atLeast(found, want int64) bool {
	return found <= 0 || want > 0 && found >= want
}

func limit(n int64) string {
	if n <= 0 {
		return "no limit"
	}
	return "at least " + strconv.FormatInt(n, 10)
}
