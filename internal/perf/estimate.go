package perf

import (
	"encoding/json"

	"gx1replay/internal/run"
)

// Estimate is what an unfinished run would give if it went on to its end.
type Estimate struct {
	Order run.Order `json:"order"` // only of run.OrderSample figures have bounds
	// Chunks is the number of chunks that did not fail.
	Chunks int `json:"chunks"`
	// BurnInBars at the start of each chunk only fill slots; at most a quarter of
	// the chunk.
	BurnInBars int64 `json:"burn_in_bars"`

	Trades   EstimateFigure `json:"trades"`
	PnlBps   EstimateFigure `json:"pnl_bps"`
	ChunkSec EstimateFigure `json:"chunk_sec"` // wall clock of all chunks, added up
	// TimeLeftSec is the time to the end at the present pace; 0: not known.
	TimeLeftSec float64 `json:"time_left_sec"`
	// PregateSkips are the bars of the whole data set that the pregate skips,
	// counted; -1: not known.
	PregateSkips int64  `json:"pregate_skips"`
	Note         string `json:"note"`
}

// EstimateFigure is one total with its bounds.
type EstimateFigure struct {
	Value float64 `json:"value"`
	// Low and High are the bounds of 95 %, valid at any moment. Without them Why
	// is not empty.
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	Why     string  `json:"why"`
	Members int     `json:"members"` // chunks that it was made of
}

// estimateJSON is an estimate in a file: an empty object where there is none.
type estimateJSON struct{ *Estimate }

// MarshalJSON writes the estimate or an empty object.
func (e estimateJSON) MarshalJSON() ([]byte, error) {
	if e.Estimate == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(e.Estimate)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (e *estimateJSON) UnmarshalJSON(b []byte) error {
	var there map[string]json.RawMessage
	if err := json.Unmarshal(b, &there); err != nil || len(there) == 0 {
		return err
	}
	e.Estimate = &Estimate{}
	return json.Unmarshal(b, e.Estimate)
}
