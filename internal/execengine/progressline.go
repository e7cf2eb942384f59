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
// reported. A field that cannot be what its name says is left out and named in
// Ignored; one that we do not know is only in Raw. Of a name that comes twice
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
	} else {
		r.Ignored = append(r.Ignored, "child")
	}
	slices.Sort(r.Ignored)
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

// field takes one field; bad says that a number in it was none.
func (r *Report) field(name string, value json.RawMessage, bad bool) {
	var err error
	switch name {
	case "phase":
		err = r.phase(value)
	case "status":
		err = r.text(&r.Status, value, maxStatus)
	case "chunk_id":
		err = r.chunkID(value)
	case "total":
		r.Total = 0
		if string(value) != "null" {
			r.Total, err = parseCounter(string(value))
		}
	case "final":
		r.Final = false
		if string(value) != "null" {
			err = json.Unmarshal(value, &r.Final)
		}
	default:
		d, known := fieldOf(name)
		if !known {
			return
		}
		r.forget(d)
		switch {
		case string(value) != "null":
			err = r.take(d, value)
		case bad:
			r.Nonfinite = append(r.Nonfinite, name)
		}
		if _, counts := d.Of(&r.Footer).(*footer.Counts); counts && bad && err == nil && string(value) != "null" {
			r.Nonfinite = append(r.Nonfinite, name)
		}
	}
	if err != nil && !slices.Contains(r.Ignored, name) {
		r.Ignored = append(r.Ignored, name)
	}
}

// forget undoes an earlier report of the field.
func (r *Report) forget(d footer.Field) {
	same := func(n string) bool { return n == d.Name }
	r.Nonfinite = slices.DeleteFunc(r.Nonfinite, same)
	r.Ignored = slices.DeleteFunc(r.Ignored, same)
	if r.Given[d.Name] {
		delete(r.Given, d.Name)
		d.Copy(&r.Footer, &footer.Footer{})
	}
}

// take reads a value that is not null into the field.
func (r *Report) take(d footer.Field, value json.RawMessage) error {
	var err error
	switch p := d.Of(&r.Footer).(type) {
	case *string:
		err = json.Unmarshal(value, p)
	case *footer.Counts:
		*p, err = parseCounts(value)
	default:
		return r.number(d, string(value))
	}
	if err == nil {
		r.Given[d.Name] = true
	}
	return err
}

// number takes the text of a number into the field.
func (r *Report) number(d footer.Field, text string) error {
	switch p := d.Of(&r.Footer).(type) {
	case *int64:
		n, err := parseCounter(text)
		if err != nil {
			return err
		}
		*p = n
	case *float64:
		x, err := strconv.ParseFloat(text, 64)
		if math.IsInf(x, 0) || math.IsNaN(x) {
			r.Nonfinite = append(r.Nonfinite, d.Name) // 1e999 is as good as Infinity
			return nil
		}
		if err != nil {
			return err
		}
		if x < 0 && !d.Signed || math.Abs(x) > maxCounter {
			return fmt.Errorf("%v is out of bounds", x)
		}
		*p = x
	default:
		return fmt.Errorf("%s is no number", d.Name)
	}
	r.Given[d.Name] = true
	return nil
}

// parseCounter reads a whole number from 0 to 2^53, which Python may write as 12.0.
func parseCounter(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, err
		}
		// Bounds first: the conversion of a larger number says nothing.
		if x != math.Trunc(x) || x < 0 || x > maxCounter {
			return 0, fmt.Errorf("%v is no whole number from 0 to 2^53", x)
		}
		n = int64(x)
	}
	if n < 0 || n > maxCounter {
		return 0, fmt.Errorf("%d is no number from 0 to 2^53", n)
	}
	return n, nil
}

// parseCounts reads numbers by reason. A null is a reason that is not reported.
// What breaks the footer's bounds is refused as a whole: a part of it would
// add up to something else.
func parseCounts(value json.RawMessage) (footer.Counts, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(value, &m); err != nil {
		return nil, err
	}
	if len(m) > footer.MaxReasons {
		return nil, fmt.Errorf("%d reasons (at most %d)", len(m), footer.MaxReasons)
	}
	out := make(footer.Counts, len(m))
	for reason, v := range m {
		if len(reason) > footer.MaxReasonLen {
			return nil, fmt.Errorf("a reason of %d bytes (at most %d)", len(reason), footer.MaxReasonLen)
		}
		if string(v) == "null" {
			continue
		}
		n, err := parseCounter(string(v))
		if err != nil {
			return nil, err
		}
		out[reason] = n
	}
	return out, nil
}

// text reads a text of at most most bytes; what is longer is cut.
func (r *Report) text(to *string, value json.RawMessage, most int) error {
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return err
	}
	*to = cutText(s, most)
	return nil
}

// cutText is the beginning of s, at most most bytes of whole characters.
func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

func (r *Report) phase(value json.RawMessage) error {
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return err
	}
	if s == "" {
		r.Phase = ""
	} else if !r.enter(s) {
		return fmt.Errorf("phase %.40q is unknown", s)
	}
	return nil
}

// chunkID reads a chunk_id, which the original writes as a number.
func (r *Report) chunkID(value json.RawMessage) error {
	if n, err := parseCounter(string(value)); err == nil {
		r.ChunkID = strconv.FormatInt(n, 10)
		return nil
	}
	return r.text(&r.ChunkID, value, maxChunkID)
}
