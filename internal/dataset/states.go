package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"

	"gx1replay/internal/bars"
	"gx1replay/internal/feature"
	"gx1replay/internal/run"
)

// States is what a policy's recursive features know at each border between
// two slices of a data set, so that a worker need not read all bars before its
// chunk. It is stored beside the slices.
type States struct {
	Schema int `msgpack:"schema"`
	// Data is the SHA-256 (hex) of the data set.
	Data      string `msgpack:"data"`
	Bars      int64  `msgpack:"bars"`
	SliceBars int64  `msgpack:"slice_bars"`
	// States[i] is feature.Set.AppendState after (i+1)·SliceBars bars.
	States [][]byte `msgpack:"states"`
}

// ErrStates marks an object that cannot be the states that a run needs.
var ErrStates = errors.New("feature states")

// StatesName names the object with the states of data set d for a set of
// features, which has seen no bar yet. It is empty where none is needed: the
// features look back a bounded number of bars, or the data set is one slice.
// The name holds the data set's digest and that of the fresh set's state,
// which says the format and which recursive features there are.
func StatesName(d run.Data, fresh *feature.Set) string {
	if !fresh.NeedsState() || borders(d.Bars, d.SliceBars) == 0 {
		return ""
	}
	sum := sha256.Sum256(fresh.AppendState(nil))
	return "state." + d.SHA256 + "." + hex.EncodeToString(sum[:])
}

// borders is how many borders lie between slices. Where the data set ends no
// chunk begins.
func borders(n, sliceBars int64) int64 { return (n - 1) / sliceBars }

// ComputeStates makes the object that StatesName names, in one pass over all,
// the bars of d, by a set of features that has seen no bar yet.
func ComputeStates(d run.Data, all []bars.Bar, fresh *feature.Set) ([]byte, error) {
	s, err := NewStates(d, all, fresh)
	if err != nil {
		return nil, err
	}
	data, err := msgpack.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encoding the states of data set %s: %w", d.SHA256, err)
	}
	return data, nil
}

// NewStates computes what is in the object that StatesName names, as
// ComputeStates does.
func NewStates(d run.Data, all []bars.Bar, fresh *feature.Set) (States, error) {
	if n := int64(len(all)); n != d.Bars || d.SliceBars < 1 || fresh.Seen() != 0 {
		return States{}, fmt.Errorf("states of %d bars in slices of %d by a set that has seen %d (want %d bars, 1 or more per slice, 0 seen)",
			n, d.SliceBars, fresh.Seen(), d.Bars)
	}
	s := States{Schema: run.Schema, Data: d.SHA256, Bars: d.Bars, SliceBars: d.SliceBars}
	last := borders(d.Bars, d.SliceBars) * d.SliceBars
	for i := range last {
		fresh.Skip(all[i])
		if (i+1)%d.SliceBars == 0 {
			s.States = append(s.States, fresh.AppendState(nil))
		}
	}
	return s, nil
}

// LoadStates reads the object name for data set d and checks that a set of
// features can go on from each of its states; probe is such a set, and is left
// as it is after the last. What is there and cannot be used matches ErrStates.
func LoadStates(ctx context.Context, store Store, name string, d run.Data, probe *feature.Set) (States, error) {
	data, err := store.GetObject(ctx, name, maxObject)
	if err != nil {
		return States{}, fmt.Errorf("fetching the features' states: %w", err)
	}
	s, err := decodeStates(data, d, probe)
	if err != nil {
		return States{}, fmt.Errorf("%w: object %s: %w", ErrStates, name, err)
	}
	return s, nil
}

func decodeStates(data []byte, d run.Data, probe *feature.Set) (States, error) {
	var s States
	if err := run.Unmarshal(data, &s); err != nil {
		return States{}, err
	}
	if s.Schema != run.Schema {
		return States{}, fmt.Errorf("schema %d is unknown (want %d)", s.Schema, run.Schema)
	}
	if s.Data != d.SHA256 || s.Bars != d.Bars || s.SliceBars != d.SliceBars || d.SliceBars < 1 {
		return States{}, fmt.Errorf("it is of data set %.80q with %d bars in slices of %d (want %s, %d, %d)",
			s.Data, s.Bars, s.SliceBars, d.SHA256, d.Bars, d.SliceBars)
	}
	if n, want := int64(len(s.States)), borders(d.Bars, d.SliceBars); n != want {
		return States{}, fmt.Errorf("it has %d states (want %d)", n, want)
	}
	for i, state := range s.States {
		border := int64(i+1) * s.SliceBars
		if err := probe.LoadState(state); err != nil {
			return States{}, fmt.Errorf("the state at bar %d: %w", border, err)
		}
		if n := probe.Seen(); n != border {
			return States{}, fmt.Errorf("the state at bar %d is one after %d bars", border, n)
		}
	}
	return s, nil
}
