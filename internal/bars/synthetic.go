package bars

import (
	"fmt"
	"strconv"
	"strings"
)

const syntheticPrefix = "synthetic:"

// MaxSynthetic is the most bars that Generate makes: 139 years of M5. What
// is longer leaves the times that an int64 of nanoseconds can hold.
const MaxSynthetic = 10_000_000

// defaultSeed is the seed where a specification names none.
const defaultSeed = 1

// ParseSynthetic reads synthetic:BARS[,seed=S], 1 ≤ BARS ≤ MaxSynthetic,
// S an unsigned 64-bit number, 1 if it is not given.
func ParseSynthetic(spec string) (n int64, seed uint64, err error) {
	bad := func(what, value, want string) (int64, uint64, error) {
		return 0, 0, fmt.Errorf("data %s: %s %s (want %s)", shorten(spec), what, shorten(value), want)
	}
	rest, ok := strings.CutPrefix(spec, syntheticPrefix)
	if !ok {
		return bad("specification", spec, "synthetic:BARS[,seed=S]")
	}
	count, option, hasOption := strings.Cut(rest, ",")
	n, err = strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 || n > MaxSynthetic {
		return bad("number of bars", count, fmt.Sprintf("a number from 1 to %d", MaxSynthetic))
	}
	if !hasOption {
		return n, defaultSeed, nil
	}
	value, ok := strings.CutPrefix(option, "seed=")
	if !ok {
		return bad("option", option, "seed=S")
	}
	seed, err = strconv.ParseUint(value, 10, 64)
	if err != nil {
		return bad("seed", value, "a number from 0 to 18446744073709551615")
	}
	return n, seed, nil
}
