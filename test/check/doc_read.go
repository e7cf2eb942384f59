package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// parse reads one JSON object without nulls or repeated names.
func parse(b []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := value(d, "")
	if err != nil {
		return nil, fmt.Errorf("not a perf JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("not a perf JSON: something follows the object")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("not a perf JSON: no object")
	}
	return m, nil
}

// value reads one value. encoding/json would let a repeated name win in
// silence, so objects are put together here.
func value(d *json.Decoder, at string) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case nil:
		return nil, fmt.Errorf("%s is null", at)
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := value(d, fmt.Sprintf("%s[%d]", at, len(list)))
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	case json.Delim('{'):
		m := map[string]any{}
		for d.More() {
			t, err := d.Token()
			if err != nil {
				return nil, err
			}
			name := t.(string) // or the decoder had refused it
			path := at + "." + name
			if _, twice := m[name]; twice {
				return nil, fmt.Errorf("%s appears twice", path)
			}
			if m[name], err = value(d, path); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return m, err
	}
	return t, nil
}

// doc reads fields of one object and notes those that are missing or of
// another kind.
type doc struct {
	r  *Report
	at string // "", or "chunks[3]."
	m  map[string]any
}

// item is the i-th object of the list name.
func (d *doc) item(name string, i int, m map[string]any) *doc {
	return &doc{r: d.r, at: d.at + name + "[" + strconv.Itoa(i) + "].", m: m}
}

// time reads a time; the zero time for an empty text.
func (d *doc) time(name string) time.Time {
	s := d.text(name)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		d.r.fail("%s%s is no time: %q", d.at, name, s)
	}
	return t
}

func (d *doc) sub(name string) *doc {
	m, ok := d.m[name].(map[string]any)
	if !ok {
		d.r.fail("%s%s is no object", d.at, name)
	}
	return &doc{r: d.r, at: d.at + name + ".", m: m}
}

func (d *doc) text(name string) string {
	s, ok := d.m[name].(string)
	if !ok {
		d.r.fail("%s%s is no text: %v", d.at, name, d.m[name])
	}
	return s
}

func (d *doc) flag(name string) bool {
	b, ok := d.m[name].(bool)
	if !ok {
		d.r.fail("%s%s is neither true nor false: %v", d.at, name, d.m[name])
	}
	return b
}

// whole is a counter: never negative.
func (d *doc) whole(name string) int64 {
	n, ok := d.m[name].(json.Number)
	i, err := strconv.ParseInt(string(n), 10, 64)
	if !ok || err != nil || i < 0 {
		d.r.fail("%s%s is no count: %v", d.at, name, d.m[name])
		return 0
	}
	return i
}

func (d *doc) number(name string) float64 {
	n, ok := d.m[name].(json.Number)
	f, err := strconv.ParseFloat(string(n), 64)
	if !ok || err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		d.r.fail("%s%s is no finite number: %v", d.at, name, d.m[name])
		return 0
	}
	return f
}

// counts is an object of counters.
func (d *doc) counts(name string) map[string]int64 {
	s := d.sub(name)
	all := map[string]int64{}
	for k := range s.m {
		all[k] = s.whole(k)
	}
	return all
}
