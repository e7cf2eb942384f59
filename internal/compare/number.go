package compare

import (
	"math"
	"strconv"
	"strings"
)

// most digits behind the point that a number is written with.
const mostDigits = 17

// shown writes the value that was judged, with as many digits as it takes to
// stand on its side of the threshold: 0.3004 is not shown as 0.30 beside a
// threshold of 0.3.
func (f Figure) shown() string {
	if !f.Value.Known {
		return "–"
	}
	side := f.beside(f.Value.Value)
	for digits := 2; digits <= mostDigits; digits++ {
		text := strconv.FormatFloat(f.Value.Value, 'f', digits, 64)
		if v, err := strconv.ParseFloat(text, 64); err == nil && f.beside(v) == side {
			return grouped(text) + space(f.sign)
		}
	}
	return strconv.FormatFloat(f.Value.Value, 'g', -1, 64) + space(f.sign)
}

// threshold writes the bound.
func (f Figure) threshold() string {
	sign := "≥ "
	if f.Bound == AtMost {
		sign = "≤ "
	}
	return sign + strconv.FormatFloat(f.Threshold, 'g', -1, 64) + space(f.sign)
}

// space puts a unit behind a number.
func space(unit string) string {
	if unit == "" {
		return ""
	}
	return " " + unit
}

// String is n for people: whole numbers whole, others with four significant
// digits or more, an unknown one as a dash.
func (n Number) String() string {
	switch v := n.Value; {
	case !n.Known:
		return "–"
	case v == math.Trunc(v) && math.Abs(v) < maxSum:
		return grouped(strconv.FormatFloat(v, 'f', 0, 64))
	case math.Abs(v) >= 1000 && math.Abs(v) < maxSum:
		return grouped(strconv.FormatFloat(v, 'f', 1, 64))
	default:
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
}

// grouped puts commas between thousands.
func grouped(text string) string {
	sign, rest := "", text
	if strings.HasPrefix(rest, "-") {
		sign, rest = "-", rest[1:]
	}
	whole, fraction, point := strings.Cut(rest, ".")
	var b strings.Builder
	for i, c := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	if point {
		b.WriteString("." + fraction)
	}
	return sign + b.String()
}
