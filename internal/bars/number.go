package bars

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// numberReader reads the numbers of a text. Where columns are not separated by
// commas the first mark within a number tells what the whole file's is.
type numberReader struct {
	mark    byte // '.' or ','; 0: not known yet
	told    bool // by --decimal
	commas  bool // a mark may be a comma
	decided bool // some comma is no separator of thousands
	example string
}

var (
	errNumber      = errors.New("a number")
	errFinite      = errors.New("a finite number")
	errNumberComma = errors.New("a number with a decimal comma, as those before; --decimal . reads points")
	errNumberPoint = errors.New("a number with a decimal point, as those before; --decimal , reads commas")
)

func newNumberReader(f *form, separator rune) numberReader {
	n := numberReader{mark: f.decimal, told: f.decimal != 0, commas: separator != ',' || f.decimal == ','}
	if !n.commas && n.mark == 0 {
		n.mark = '.'
	}
	return n
}

// parse reads a number. The error says what was expected.
func (n *numberReader) parse(cell string) (float64, error) {
	if n.commas {
		var err error
		if cell, err = n.pointed(cell); err != nil {
			return 0, err
		}
	}
	if v, ok := shortDecimal(cell); ok {
		return v, nil
	}
	v, err := strconv.ParseFloat(cell, 64)
	switch {
	case err == nil && isPlain(cell):
		return v, nil
	case errors.Is(err, strconv.ErrRange):
		return 0, errFinite
	}
	return 0, errNumber
}

// shortDecimal reads what most numbers of bars are, at most 15 digits and a
// point: both parts of the quotient are exact, so it is rounded once.
// strconv is for all that a number may be.
func shortDecimal(s string) (float64, bool) {
	if len(s) > 16 {
		return 0, false
	}
	v, places, point := int64(0), 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			v = 10*v + int64(c-'0')
			places += point
		case c == '.' && point == 0:
			point = 1
		default:
			return 0, false
		}
	}
	if digits := len(s) - point; digits == 0 || digits > 15 {
		return 0, false
	}
	return float64(v) / exactPowers[places], true
}

// isPlain is false for what Go takes as a number and nobody else: 0x1p1, 1_0.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c == '_' || c == 'x' || c == 'X' {
			return false
		}
	}
	return true
}

// pointed is a number with a point for a mark.
func (n *numberReader) pointed(cell string) (string, error) {
	at := strings.IndexAny(cell, ".,")
	if at < 0 {
		return cell, nil
	}
	if n.mark == 0 {
		n.mark = cell[at]
	}
	switch {
	case cell[at] == n.mark && n.mark == '.':
		return cell, nil
	case cell[at] == n.mark:
	case n.mark == ',':
		return "", errNumberComma
	default:
		return "", errNumberPoint
	}
	whole, frac := cell[:at], cell[at+1:]
	if _, threeDigits := digits(frac); !threeDigits || len(frac) != 3 || len(whole) > 3 || whole == "0" || whole == "" {
		n.decided = true
	} else if n.example == "" {
		n.example = strings.Clone(cell)
	}
	return whole + "." + frac, nil
}

// settle says whether commas can only be decimal ones: in 1,234 it may separate
// thousands.
func (n *numberReader) settle() error {
	if n.mark != ',' || n.told || n.decided {
		return nil
	}
	return fmt.Errorf("numbers as %s: the comma may separate thousands (want --decimal , or --decimal .)", shorten(n.example))
}
