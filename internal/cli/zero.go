package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/pflag"
)

// optionalNumber is a number flag for which 0 is a value; nil: not given.
type optionalNumber struct{ value *float64 }

func (n *optionalNumber) String() string {
	if n.value == nil {
		return ""
	}
	return strconv.FormatFloat(*n.value, 'g', -1, 64)
}

func (n *optionalNumber) Type() string { return "float64" }

func (n *optionalNumber) Set(text string) error {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("%q is not a number", text)
	}
	n.value = &v
	return nil
}

// aboveZeroMark annotates a flag whose zero value means that it was not given.
const aboveZeroMark = "gx1r_above_zero"

// aboveZero refuses a given 0, which would count as not given. want is what the
// flag takes.
func aboveZero(fl *pflag.FlagSet, name, want string) {
	fl.Lookup(name).Annotations = map[string][]string{aboveZeroMark: {want}}
}

func refuseZeros(fl *pflag.FlagSet) (err error) {
	fl.Visit(func(f *pflag.Flag) {
		if want := f.Annotations[aboveZeroMark]; err == nil && len(want) > 0 && isZero(f.Value.String()) {
			err = usagef("", "--%s 0 (want %s)", f.Name, want[0])
		}
	})
	return err
}

func isZero(text string) bool {
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		return v == 0
	}
	d, err := time.ParseDuration(text)
	return text == "" || err == nil && d == 0
}
