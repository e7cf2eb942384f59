package bus

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// However the tasks of two runs lie in the stream, a purge takes those of one.
func TestPurgeTasksTakesNoOthers(t *testing.T) {
	type step struct {
		run    string // "ours", "theirs", or "done": their first task is taken
		chunks []int
	}
	for _, c := range []struct {
		name  string
		steps []step
		head  bool  // ours lie before all others
		left  []int // of theirs
	}{
		{"alone", []step{{"ours", []int{0, 1, 2}}}, true, nil},
		{"others after", []step{{"ours", []int{0, 1, 2}}, {"theirs", []int{0, 1}}}, true, []int{0, 1}},
		{"others before", []step{{"theirs", []int{0}}, {"ours", []int{0, 1, 2}}}, false, []int{0}},
		{"others between", []step{{"ours", []int{0}}, {"theirs", []int{1}}, {"ours", []int{2}}}, false, []int{1}},
		{"others before, gone by now", []step{{"theirs", []int{0}}, {"ours", []int{0, 1}}, {"theirs", []int{1}}, {"done", nil}}, true, []int{1}},
		{"asked for again", []step{{"ours", []int{0, 1}}, {"ours", []int{0, 1, 2}}, {"theirs", []int{0}}}, true, []int{0}},
		{"asked for again, others between", []step{{"ours", []int{0, 1}}, {"theirs", []int{0}}, {"ours", []int{0, 2}}}, false, []int{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, "")
			b, other := r.bus(), r.bus()
			ours, theirs := testManifest("r1", 3), testManifest("r2", 3)
			for _, s := range c.steps {
				switch s.run {
				case "ours":
					must(t, b.PublishTasks(t.Context(), tasksOf(ours, s.chunks...)))
				case "theirs":
					must(t, other.PublishTasks(t.Context(), tasksOf(theirs, s.chunks...)))
				default:
					must(t, next(t, queueOf(t, other, theirs)).Ack(t.Context()))
				}
			}
			stream, err := b.stream(t.Context(), StreamTasks)
			must(t, err)
			info, err := stream.Info(t.Context())
			must(t, err)
			if got := b.spans[ours.RunID].head(info); got != c.head {
				t.Errorf("head is %v (want %v)", got, c.head)
			}
			must(t, b.PurgeTasks(t.Context(), ours.RunID))
			must(t, b.PurgeTasks(t.Context(), ours.RunID)) // nothing is left: fine
			pending, err := b.PendingTasks(t.Context(), ours.RunID)
			if err != nil || len(pending) != 0 {
				t.Errorf("ours are %v, %v (want none)", pending, err)
			}
			pending, err = b.PendingTasks(t.Context(), theirs.RunID)
			if err != nil || !slices.Equal(slices.Sorted(maps.Keys(pending)), c.left) {
				t.Errorf("theirs are %v, %v (want %v)", pending, err, c.left)
			}
			// What they have is still handed out.
			for q := queueOf(t, other, theirs); len(c.left) > 0; c.left = c.left[1:] {
				if d := next(t, q); d.Task.ChunkIdx != c.left[0] {
					t.Errorf("handed out chunk %d (want %d)", d.Task.ChunkIdx, c.left[0])
				}
			}
		})
	}
}

// A stream that was made anew numbers its messages anew.
func TestPurgeTasksOfAStreamMadeAnew(t *testing.T) {
	b := newRig(t, "").bus()
	ours, theirs := testManifest("r1", 3), testManifest("r2", 3)
	must(t, b.PublishTasks(t.Context(), tasksOf(ours, 0, 1, 2)))
	must(t, b.js.DeleteStream(t.Context(), StreamTasks))
	for _, cfg := range streamConfigs(1) {
		if cfg.Name == StreamTasks {
			_, err := b.js.CreateStream(t.Context(), cfg)
			must(t, err)
		}
	}
	must(t, b.PublishTasks(t.Context(), tasksOf(theirs, 0, 1, 2)))
	must(t, b.PurgeTasks(t.Context(), ours.RunID))
	if n := messages(t, b, StreamTasks); n != 3 {
		t.Errorf("%d tasks (want theirs, 3)", n)
	}
}

func TestSpanHead(t *testing.T) {
	made := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	var s span
	if s.head(&jetstream.StreamInfo{}) {
		t.Error("an empty span is the head of a stream")
	}
	s.made = made
	for seq := uint64(10); seq < 20; seq++ {
		s.add(seq)
	}
	for _, c := range []struct {
		made        time.Time
		first, last uint64
		want        bool
	}{
		{made, 10, 19, true}, {made, 15, 30, true}, {made, 20, 19, true}, // all of ours are gone
		{made, 9, 19, false}, {made, 10, 18, false}, // an older copy of the stream
		{made.Add(1), 10, 19, false},
	} {
		got := s.head(&jetstream.StreamInfo{Created: c.made, State: jetstream.StreamState{FirstSeq: c.first, LastSeq: c.last}})
		if got != c.want {
			t.Errorf("of a stream with [%d, %d]: %v (want %v)", c.first, c.last, got, c.want)
		}
	}
}
