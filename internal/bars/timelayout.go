package bars

import (
	"fmt"
	"strings"
)

// timeLayout is a --time-format: a unit of time since 1970, or text with the
// directives of strptime.
type timeLayout struct {
	text   string
	unitNS int64 // of a number; 0: text
}

// directives are those of strptime that parse knows.
const directives = "YymdeHIMSfpzZbBTFR%"

// newTimeLayout reads a --time-format.
func newTimeLayout(text string) (*timeLayout, error) {
	for _, u := range epochUnits {
		if text == u.name {
			return &timeLayout{text: text, unitNS: u.ns}, nil
		}
	}
	l := &timeLayout{text: text}
	seen := ""
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			continue
		}
		if i++; i == len(text) || !strings.Contains(directives, text[i:i+1]) {
			return nil, fmt.Errorf("time format %s: %s is no directive (want s, ms, us, ns, or text with %%Y %%m %%d %%H %%M %%S %%f %%z, or %%y %%b %%I %%p)", shorten(text), shorten(text[i-1:min(i+1, len(text))]))
		}
		seen += text[i : i+1]
	}
	hasDate := strings.ContainsAny(seen, "F") || strings.ContainsAny(seen, "Yy") && strings.ContainsAny(seen, "mbB") && strings.ContainsAny(seen, "de")
	if !hasDate {
		return nil, fmt.Errorf("time format %s: it has no date (want %%Y, %%m and %%d, or s, ms, us, ns)", shorten(text))
	}
	return l, nil
}

// parts are what directives have read.
type parts struct {
	year, month, day, hour, minute, second int
	ns                                     int64
	hour12, pm, hasHalf                    bool
	zone                                   string
}

func (l *timeLayout) parse(s string) (moment, error) {
	if l.unitNS > 0 {
		ns, err := scaleEpoch(s, l.unitNS)
		return moment{wallNS: ns, zoned: true}, err
	}
	bad := fmt.Errorf("a time as --time-format %s", shorten(l.text))
	p := parts{}
	rest, ok := p.read(l.text, s)
	if !ok || rest != "" {
		return moment{}, bad
	}
	if p.hour12 {
		if p.hour < 1 || p.hour > 12 || !p.hasHalf {
			return moment{}, bad
		}
		p.hour %= 12
		if p.pm {
			p.hour += 12
		}
	}
	if p.hour > 23 || p.minute > 59 || p.second > 59 {
		return moment{}, bad
	}
	midnight, err := dateNS(p.year, p.month, p.day)
	if err == errTimeForm {
		return moment{}, bad
	}
	if err != nil {
		return moment{}, err
	}
	return parseZone(moment{wallNS: midnight + int64(3600*p.hour+60*p.minute+p.second)*1e9 + p.ns}, p.zone)
}

// read reads s by the directives of layout and returns what is left of s.
func (p *parts) read(layout, s string) (rest string, ok bool) {
	for i := 0; i < len(layout); i++ {
		if layout[i] != '%' {
			if s == "" || s[0] != layout[i] {
				return s, false
			}
			s = s[1:]
			continue
		}
		i++
		ok := true
		switch layout[i] {
		case 'Y':
			s, ok = number(&p.year, s, 4, 4)
		case 'y':
			if s, ok = number(&p.year, s, 2, 2); p.year < 69 { // as POSIX has it
				p.year += 100
			}
			p.year += 1900
		case 'm':
			s, ok = number(&p.month, s, 1, 2)
		case 'd', 'e':
			s, ok = number(&p.day, strings.TrimLeft(s, " "), 1, 2)
		case 'H':
			s, ok = number(&p.hour, s, 1, 2)
		case 'I':
			p.hour12 = true
			s, ok = number(&p.hour, s, 1, 2)
		case 'M':
			s, ok = number(&p.minute, s, 1, 2)
		case 'S':
			s, ok = number(&p.second, s, 1, 2)
		case 'f':
			p.ns, s, ok = fraction("." + s)
		case 'p':
			if ok = len(s) >= 2 && strings.EqualFold(s[1:2], "m") && strings.ContainsAny(s[:1], "aApP"); ok {
				p.hasHalf, p.pm = true, s[0] == 'P' || s[0] == 'p'
				s = s[2:]
			}
		case 'b', 'B':
			s, ok = p.readMonth(s)
		case 'T':
			s, ok = p.read("%H:%M:%S", s)
		case 'R':
			s, ok = p.read("%H:%M", s)
		case 'F':
			s, ok = p.read("%Y-%m-%d", s)
		case 'z', 'Z':
			end := strings.IndexByte(s, ' ')
			if end < 0 {
				end = len(s)
			}
			p.zone, s = s[:end], s[end:]
		case '%':
			if ok = strings.HasPrefix(s, "%"); ok {
				s = s[1:]
			}
		}
		if !ok {
			return s, false
		}
	}
	return s, true
}

// number reads a number of so many digits.
func number(v *int, s string, least, most int) (rest string, ok bool) {
	n := 0
	*v, n = leadingDigits(s, most)
	return s[n:], n >= least
}

var monthNames = [12]string{"January", "February", "March", "April", "May", "June",
	"July", "August", "September", "October", "November", "December"}

// readMonth reads the English name of a month, whole or its first three letters.
func (p *parts) readMonth(s string) (rest string, ok bool) {
	for _, whole := range []bool{true, false} {
		for i, name := range monthNames {
			if !whole {
				name = name[:3]
			}
			if len(s) >= len(name) && strings.EqualFold(s[:len(name)], name) {
				p.month = i + 1
				return s[len(name):], true
			}
		}
	}
	return s, false
}
