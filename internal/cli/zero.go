package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/pflag"
)

// optionalNumber is a flag of a number for which 0 is a value: nil says that it
// was not given.
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

// aboveZeroMark is the annotation of a flag whose zero value says that it was
// not given.
const aboveZeroMark = "gx1r_above_zero"

// aboveZero has the flag name refuse a 0 that was given, which would count as
// not given. want says what it takes.
func aboveZero(fl *pflag.FlagSet, name, want string) {
	fl.Lookup(name).Annotations = map[string][]string{aboveZeroMark: {want}}
}

// refuseZeros looks for flags of aboveZero that were given as 0, on the command
// line or by a variable.
func refuseZeros(fl *pflag.FlagSet) (err error) {
	fl.Visit(func(f *pflag.Flag) {
		if want := f.Annotations[aboveZeroMark]; err == nil && len(want) > 0 && isZero(f.Value.String()) {
			err = usagef("", "--%s 0 (want %s)", f.Name, want[0])
		}
	})
	return err
}

// isZero says that a flag's value is no more than its type's zero.
func isZero(text string) bool {
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		return v == 0
	}
	d, err := time.ParseDuration(text)
	return text == "" || err == nil && d == 0
}
