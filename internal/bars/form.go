package bars

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Form says how a file is to be read where its content does not say it, or is
// to be overruled. Each field is the text of a flag of the same name; an empty
// one leaves it to what is found in the file. A Form is comparable.
type Form struct {
	Columns    string // time=Date,open=Open,…: the file's columns by name or number
	TimeFormat string // s, ms, us, ns, or directives as strptime has them
	TZ         string // the zone of times without an offset
	Sep        string // between columns: one character, or tab
	Decimal    string // of numbers: . or ,
	Point      string // size of a point, to read a column of spreads in points
	Repair     string // crossed,ulp,duplicates,sort: what is put right, as Repairs has it
	From, To   string // the period: bars that open in [From, To)
	Warmup     string // how many bars before From belong to the data, too
}

// formField is a field of Form with the name of its flag.
type formField struct {
	name string
	of   func(*Form) *string
}

// formFields lists the fields of Form.
func formFields() []formField {
	return []formField{
		{"columns", func(f *Form) *string { return &f.Columns }},
		{"time-format", func(f *Form) *string { return &f.TimeFormat }},
		{"tz", func(f *Form) *string { return &f.TZ }},
		{"sep", func(f *Form) *string { return &f.Sep }},
		{"decimal", func(f *Form) *string { return &f.Decimal }},
		{"point", func(f *Form) *string { return &f.Point }},
		{"repair", func(f *Form) *string { return &f.Repair }},
		{"from", func(f *Form) *string { return &f.From }},
		{"to", func(f *Form) *string { return &f.To }},
		{"warmup", func(f *Form) *string { return &f.Warmup }},
	}
}

// Flags are the fields that are not empty, by the names of their flags; nil:
// none is.
func (f Form) Flags() map[string]string {
	var m map[string]string
	for _, field := range formFields() {
		if v := *field.of(&f); v != "" {
			if m == nil {
				m = map[string]string{}
			}
			m[field.name] = v
		}
	}
	return m
}

// FormOf is the Form of which Flags gave m.
func FormOf(m map[string]string) (Form, error) {
	var f Form
	unknown := maps.Clone(m)
	for _, field := range formFields() {
		*field.of(&f) = m[field.name]
		delete(unknown, field.name)
	}
	for name := range unknown {
		return Form{}, fmt.Errorf("how the data was read: %s is unknown to this version", shorten(name))
	}
	return f, f.Check()
}

// Check says whether the fields can be understood.
func (f Form) Check() error {
	_, err := f.compile()
	return err
}

// form is a Form that was understood.
type form struct {
	columns   []mapped
	layout    *timeLayout
	zone      *zone
	separator rune // 0: as the file has it
	decimal   byte
	point     float64
	repairs   Repairs
	period    period
}

// mapped says which column of the file is one of ours.
type mapped struct {
	name string // of ours: as Column.String, or open, high, low, close, spread
	file []string
}

func (f Form) compile() (form, error) {
	var c form
	for _, flag := range []struct {
		name, text string
		parse      func(string) error
	}{
		{"columns", f.Columns, func(s string) (err error) { c.columns, err = parseMapping(s); return err }},
		{"time-format", f.TimeFormat, func(s string) (err error) { c.layout, err = newTimeLayout(s); return err }},
		{"tz", f.TZ, func(s string) (err error) { c.zone, err = parseZoneName(s); return err }},
		{"sep", f.Sep, func(s string) (err error) { c.separator, err = parseSeparator(s); return err }},
		{"decimal", f.Decimal, c.takeDecimal},
		{"point", f.Point, c.takePoint},
		{"repair", f.Repair, func(s string) (err error) { c.repairs, err = ParseRepairs(s); return err }},
	} {
		if flag.text == "" {
			continue
		}
		if err := flag.parse(flag.text); err != nil {
			return form{}, fmt.Errorf("--%s: %w", flag.name, err)
		}
	}
	var err error
	c.period, err = f.period()
	return c, err
}

func (c *form) takeDecimal(s string) error {
	switch {
	case s != "." && s != ",":
		return fmt.Errorf("%s (want . or ,)", shorten(s))
	case s == "," && c.separator == ',':
		return errors.New("a comma, which separates columns, too")
	}
	c.decimal = s[0]
	return nil
}

func (c *form) takePoint(s string) (err error) {
	if c.point, err = strconv.ParseFloat(s, 64); err != nil || !(c.point > 0 && c.point <= math.MaxFloat64) {
		return fmt.Errorf("%s (want the size of a point in prices, as 0.00001)", shorten(s))
	}
	return nil
}

func parseSeparator(s string) (rune, error) {
	switch s {
	case "tab", `\t`:
		return '\t', nil
	case "comma":
		return ',', nil
	case "semicolon":
		return ';', nil
	}
	r := []rune(s)
	if len(r) != 1 || strings.ContainsRune("\"\r\n\uFFFD", r[0]) {
		return 0, fmt.Errorf("%s (want one character, or tab)", shorten(s))
	}
	return r[0], nil
}

// mappable are the names on the left of a mapping beside a bar's own.
var mappable = []string{"open", "high", "low", "close", "spread"}

// parseMapping reads time=Date,open=Open. Two columns of the file that make the
// time together are joined by a plus.
func parseMapping(s string) ([]mapped, error) {
	var list []mapped
	seen := map[string]bool{}
	for item := range strings.SplitSeq(s, ",") {
		name, file, ok := strings.Cut(item, "=")
		name, file = strings.TrimSpace(name), strings.TrimSpace(file)
		if !ok || file == "" {
			return nil, fmt.Errorf("%s (want OURS=THEIRS, as time=Date,open=Open)", shorten(item))
		}
		if columnOf(name) == columnCount && !slices.Contains(mappable, name) {
			return nil, fmt.Errorf("%s is no column of a bar (want time, open, high, low, close, volume, spread, or bid_open to ask_close)", shorten(name))
		}
		if seen[name] {
			return nil, fmt.Errorf("%s appears twice", name)
		}
		seen[name] = true
		m := mapped{name: name, file: []string{file}}
		if date, clock, two := strings.Cut(file, "+"); two && name == "time" {
			m.file = []string{strings.TrimSpace(date), strings.TrimSpace(clock)}
		}
		list = append(list, m)
	}
	return list, nil
}
