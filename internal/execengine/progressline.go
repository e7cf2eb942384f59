package execengine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gx1replay/internal/footer"
)

// Bounds of what a command says of itself.
const (
	maxReportBytes = 1 << 20
	maxReportDepth = 64
	maxRawBytes    = 64 << 10 // a footer of at most 384 KiB carries it
	maxStatus      = 256
	maxChunkID     = 64
	maxCounter     = 1 << 53 // exact as a JSON number; the footer's own bound
)

// ParseReport reads one JSON object in the footer's names: a line of progress
// or a footer file. It reads what Python's json writes: NaN, Infinity and
// -Infinity (as C writes them, too), like null, mean that a number is not
// reported. A field that cannot be what its name says is left out; one that we do
// not know is only in Raw. Of a name that comes twice
// the last counts. The error is that data is no JSON object of at most 1 MiB
// and 64 levels.
func ParseReport(data []byte) (Report, error) {
	if len(data) > maxReportBytes {
		return Report{}, fmt.Errorf("a report of %d bytes (at most %d)", len(data), maxReportBytes)
	}
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	// JSON is UTF-8, and whoever keeps Raw relies on that.
	clean, nonfinite, err := nullNonfinite(bytes.ToValidUTF8(data, []byte("\uFFFD")))
	if err != nil {
		return Report{}, fmt.Errorf("report %.80q: %w", data, err)
	}
	r := Report{Given: map[string]bool{}}
	if err := r.read(clean, nonfinite); err != nil {
		return Report{}, fmt.Errorf("report %.80q is no JSON object: %w", data, err)
	}
	if len(clean) <= maxRawBytes {
		r.Raw = clean
	}
	slices.Sort(r.Nonfinite)
	return r, nil
}

// read takes the fields of a JSON object in which nulls at the offsets
// nonfinite stand for numbers that are none.
func (r *Report) read(object []byte, nonfinite []int) error {
	switch {
	case len(object) == 0:
		return errors.New("it is empty")
	case object[0] != '{':
		return errors.New("it begins with something else")
	case !json.Valid(object):
		var v json.RawMessage
		return json.Unmarshal(object, &v) // says where
	}
	dec := json.NewDecoder(bytes.NewReader(object))
	_, err := dec.Token() // {
	for err == nil && dec.More() {
		var name json.Token
		if name, err = dec.Token(); err != nil {
			break
		}
		var value json.RawMessage
		if err = dec.Decode(&value); err != nil {
			break
		}
		end := int(dec.InputOffset())
		k, _ := slices.BinarySearch(nonfinite, end-len(value))
		r.field(name.(string), value, k < len(nonfinite) && nonfinite[k] < end)
	}
	return err
}

// field takes one field, if its value can be its; bad says that a number in it
// was none.
func (r *Report) field(name string, value json.RawMessage, bad bool) {
	null := string(value) == "null"
	switch name {
	case "phase":
		var s string
		switch err := json.Unmarshal(value, &s); {
		case err == nil && s == "":
			r.Phase = ""
		case err == nil:
			r.enter(s)
		}
	case "status":
		takeText(&r.Status, value, maxStatus)
	case "chunk_id":
		// The original writes it as a number.
		if n, ok := parseCounter(string(value)); ok {
			r.ChunkID = strconv.FormatInt(n, 10)
		} else {
			takeText(&r.ChunkID, value, maxChunkID)
		}
	case "total":
		r.Total, _ = parseCounter(string(value))
	case "final":
		r.Final = string(value) == "true"
	default:
		d, known := fieldOf(name)
		if !known {
			return
		}
		r.forget(d)
		taken := !null && r.take(d, value)
		if _, counts := d.Of(&r.Footer).(*footer.Counts); bad && (null || counts && taken) {
			r.Nonfinite = append(r.Nonfinite, name)
		}
	}
}

// forget undoes an earlier report of the field.
func (r *Report) forget(d footer.Field) {
	r.Nonfinite = slices.DeleteFunc(r.Nonfinite, func(n string) bool { return n == d.Name })
	if r.Given[d.Name] {
		delete(r.Given, d.Name)
		d.Copy(&r.Footer, &footer.Footer{})
	}
}

// take reads a value that is not null into the field.
func (r *Report) take(d footer.Field, value json.RawMessage) (ok bool) {
	switch p := d.Of(&r.Footer).(type) {
	case *string:
		ok = json.Unmarshal(value, p) == nil
	case *footer.Counts:
		*p, ok = parseCounts(value)
	default:
		return r.number(d, string(value))
	}
	if ok {
		r.Given[d.Name] = true
	}
	return ok
}

// number takes the text of a number into the field.
func (r *Report) number(d footer.Field, text string) bool {
	switch p := d.Of(&r.Footer).(type) {
	case *int64:
		n, ok := parseCounter(text)
		if !ok {
			return false
		}
		*p = n
	case *float64:
		x, err := strconv.ParseFloat(text, 64)
		if math.IsInf(x, 0) || math.IsNaN(x) {
			r.Nonfinite = append(r.Nonfinite, d.Name) // 1e999 is as good as Infinity
			return true
		}
		if err != nil || x < 0 && !d.Signed || math.Abs(x) > maxCounter {
			return false
		}
		*p = x
	default:
		return false
	}
	r.Given[d.Name] = true
	return true
}

// parseCounter reads a whole number from 0 to 2^53, which Python may write as
// 12.0; 0 if it is none.
func parseCounter(text string) (n int64, ok bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n < 0 || n > maxCounter {
			return 0, false
		}
		return n, true
	}
	x, err := strconv.ParseFloat(text, 64)
	// Bounds first: the conversion of a larger number says nothing.
	if err != nil || x != math.Trunc(x) || x < 0 || x > maxCounter {
		return 0, false
	}
	return int64(x), true
}

// parseCounts reads numbers by reason. A null is a reason that is not reported.
// What breaks the footer's bounds is refused as a whole: a part of it would
// add up to something else.
func parseCounts(value json.RawMessage) (footer.Counts, bool) {
	var m map[string]json.RawMessage
	if json.Unmarshal(value, &m) != nil || len(m) > footer.MaxReasons {
		return nil, false
	}
	out := make(footer.Counts, len(m))
	for reason, v := range m {
		if len(reason) > footer.MaxReasonLen {
			return nil, false
		}
		if string(v) == "null" {
			continue
		}
		n, ok := parseCounter(string(v))
		if !ok {
			return nil, false
		}
		out[reason] = n
	}
	return out, true
}

// takeText reads a text of at most most bytes; what is longer is cut.
func takeText(to *string, value json.RawMessage, most int) {
	var s string
	if json.Unmarshal(value, &s) == nil {
		*to = cutText(s, most)
	}
}

// cutText is the beginning of s, at most most bytes of whole characters.
func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
