package execengine

import (
	"fmt"
	"strings"
)

// nullNonfinite replaces numbers that JSON does not have by null, outside of
// texts. at are the offsets of these nulls in out. It returns an error for
// what is nested too deep for a reader that recurses.
func nullNonfinite(data []byte) (out []byte, at []int, err error) {
	out = make([]byte, 0, len(data))
	depth := 0
	for i := 0; i < len(data); {
		c := data[i]
		n := 1
		switch {
		case c == '"':
			n = textLen(data[i:])
		case c == '{' || c == '[':
			if depth++; depth > maxReportDepth {
				return nil, nil, fmt.Errorf("nested deeper than %d levels", maxReportDepth)
			}
		case c == '}' || c == ']':
			depth--
		default:
			if k := nonfiniteLen(data[i:]); k > 0 {
				at = append(at, len(out))
				out = append(out, "null"...)
				i += k
				continue
			}
		}
		out = append(out, data[i:i+n]...)
		i += n
	}
	return out, at, nil
}

// textLen is how many bytes the text at the beginning of data takes, quotes
// included.
func textLen(data []byte) int {
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

// nonfiniteLen is how many bytes at the beginning of data are a number that is
// none; 0: there is no such thing.
func nonfiniteLen(data []byte) int {
	sign := 0
	if len(data) > 0 && (data[0] == '-' || data[0] == '+') {
		sign = 1
	}
	for _, word := range []string{"infinity", "inf", "nan"} {
		if end := sign + len(word); len(data) >= end && strings.EqualFold(string(data[sign:end]), word) {
			return end
		}
	}
	return 0
}
