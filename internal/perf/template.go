package perf

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"

	"gx1replay/internal/footer"
)

// template is a footer's JSON with the places of the values that an export
// decides. Wherever they stand, all else is copied.
type template struct {
	json  []byte
	holes []hole // in the order of the text
}

type hole struct {
	value    value
	from, to uint32
}

// value is one that an export decides.
type value uint8

const (
	valueStatus value = iota // of every chunk
	valueError
	valueTrace
	valueClosed // of one whose trades were selected over the run
	valuePnl
	valueOpen
	valueOpenPnl
	valueDrops
	valueChunkID // of one of which nothing was measured
	valueChunkIdx
	valuePlanned
	valueFirst
	valueEnd
	values
)

// valueFields are the names of their fields.
var valueFields = [values]string{
	"status", "error", "error_traceback",
	"n_trades_closed", "pnl_bps", "trades_open", "open_pnl_bps", "drop_reasons",
	"chunk_id", "chunk_idx", "planned_bars", "first_bar", "end_bar",
}

func (v value) ofTrades() bool { return v >= valueClosed && v <= valueDrops }

// newTemplate is f's JSON with holes for the values from the first to the last.
func newTemplate(f footer.Footer, last value) (template, error) {
	b, holes, err := f.JSON(valueFields[:last+1]...)
	t := template{json: bytes.Clone(b), holes: make([]hole, len(holes))}
	for i, h := range holes {
		t.holes[i] = hole{value(slices.Index(valueFields[:], h.Field)), uint32(h.From), uint32(h.To)}
	}
	return t, err
}

// append appends the object with the values of c, which begins at bar first,
// and of t, if its trades were selected over the run.
func (p *template) append(dst []byte, c *Chunk, first int64, t *ChunkTrades) ([]byte, error) {
	var err error
	at := uint32(0)
	for _, h := range p.holes {
		if t == nil && h.value.ofTrades() {
			continue
		}
		dst = append(dst, p.json[at:h.from]...)
		at = h.to
		switch h.value {
		case valueStatus:
			dst = appendText(dst, string(c.Status))
		case valueError:
			dst = appendText(dst, footer.LastRunes(c.Error, footer.MaxTraceLen))
		case valueTrace:
			dst = appendText(dst, footer.LastRunes(c.Trace, footer.MaxTraceLen))
		case valueClosed:
			dst = strconv.AppendInt(dst, t.Closed, 10)
		case valuePnl:
			dst, err = appendJSON(dst, finite(t.PnlBps))
		case valueOpen:
			dst = strconv.AppendInt(dst, t.Open, 10)
		case valueOpenPnl:
			dst, err = appendJSON(dst, finite(t.OpenPnlBps))
		case valueDrops:
			dst, err = appendJSON(dst, orNoCounts(t.DropReasons))
		case valueChunkID:
			dst = append(strconv.AppendInt(append(dst, '"'), int64(c.Idx), 10), '"')
		case valueChunkIdx:
			dst = strconv.AppendInt(dst, int64(c.Idx), 10)
		case valuePlanned:
			dst = strconv.AppendInt(dst, c.Planned, 10)
		case valueFirst:
			dst = strconv.AppendInt(dst, first, 10)
		case valueEnd:
			dst = strconv.AppendInt(dst, first+c.Planned, 10)
		}
		if err != nil {
			return dst, err
		}
	}
	return append(dst, p.json[at:]...), nil
}

func appendJSON(dst []byte, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(dst, b...), err
}

// appendText appends s as a JSON string; bytes that are not UTF-8 become
// U+FFFD.
func appendText(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			b, err := json.Marshal(s)
			if err != nil { // a string always has a JSON
				return append(dst, `""`...)
			}
			return append(dst, b...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
