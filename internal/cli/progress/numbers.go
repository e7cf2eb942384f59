package progress

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Count writes n with thousands separators: 70,000.
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Count(n) + " " + noun + "s"
}

// percent is done/total in whole percent, rounded down: 100% means all.
func percent(done, total int64) string {
	switch {
	case total <= 0 || done <= 0:
		return "0%"
	case done >= total:
		return "100%"
	}
	hi, lo := bits.Mul64(uint64(done), 100) // floats make 28 of 29/100
	share, _ := bits.Div64(hi, lo, uint64(total))
	return strconv.FormatUint(share, 10) + "%"
}

func known(rate float64) bool { return rate > 0 && !math.IsInf(rate, 0) }

// rate has one decimal below 10, as of slow commands.
func rate(barsPerSec float64) string {
	switch {
	case !known(barsPerSec):
		return "– bars/s"
	case barsPerSec < 9.95:
		return strconv.FormatFloat(barsPerSec, 'f', 1, 64) + " bars/s"
	}
	return Count(int64(math.Round(min(barsPerSec, 1e15)))) + " bars/s"
}

func left(d time.Duration) string {
	if d < 0 {
		return "– left"
	}
	return Duration(d) + " left"
}

// Duration writes d with at most two units, for people: 0.4s, 7s, 3m 20s,
// 2h 05m, 1d 04h. Below ten seconds it has one decimal unless that is 0.
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(max(-d, 0))
	}
	if d < 9950*time.Millisecond {
		sec := strconv.FormatFloat(d.Round(100*time.Millisecond).Seconds(), 'f', 1, 64)
		return strings.TrimSuffix(sec, ".0") + "s"
	}
	sec := int64(d.Round(time.Second) / time.Second)
	switch {
	case sec < 60:
		return strconv.FormatInt(sec, 10) + "s"
	case sec < 3600:
		return strconv.FormatInt(sec/60, 10) + "m " + two(sec%60) + "s"
	case sec < 86400:
		return strconv.FormatInt(sec/3600, 10) + "h " + two(sec/60%60) + "m"
	}
	return Count(sec/86400) + "d " + two(sec/3600%24) + "h"
}

func two(n int64) string {
	if n < 10 {
		return "0" + strconv.FormatInt(n, 10)
	}
	return strconv.FormatInt(n, 10)
}
