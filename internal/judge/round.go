package judge

import (
	"math"
	"strconv"
)

// digits is how many significant digits of a value are judged and printed.
const digits = 6

// Round rounds x to six significant digits, as they are printed. A value is judged
// as it is printed: 2.9999996 is 3.
func Round(x float64) float64 {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return x
	}
	r, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'e', digits-1, 64), 64) // of a number that was just printed
	return r
}
