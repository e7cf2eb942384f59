package cli

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"

	"github.com/spf13/pflag"

	"gx1replay/internal/bars"
	"gx1replay/internal/policy"
	"gx1replay/internal/replay"
)

// dataFlags say how a data set is to be read where its content does not.
type dataFlags struct {
	form bars.Form
}

// bind adds the flags that every command with a data set has.
func (f *dataFlags) bind(fl *pflag.FlagSet) {
	fl.StringVar(&f.form.Columns, "columns", "", "the data's columns, by name or number: time=Date,open=Open,… (default: found by their names)")
	fl.StringVar(&f.form.TimeFormat, "time-format", "", "how the data writes times: s, ms, us, ns, or as %d/%m/%Y %H:%M (default: found in the data)")
	fl.StringVar(&f.form.TZ, "tz", "", "clock of the data's times, with its daylight saving time: EST, Europe/Helsinki, +02:00, America/New_York+7 (default: UTC)")
	fl.StringVar(&f.form.Sep, "sep", "", "what separates the data's columns: one character, or tab (default: found in the data)")
	fl.StringVar(&f.form.Decimal, "decimal", "", "decimal mark of the data's numbers: . or , (default: found in the data)")
	fl.StringVar(&f.form.Point, "point", "", "size of a point, as 0.00001: the data's column of spreads in points makes the asks (default: it is not used)")
	fl.StringVar(&f.form.Repair, "repair", "", "put right what is wrong with the data: crossed, ulp, duplicates, sort, with commas between (default: refuse it)")
}

// bindPeriod adds --from and --to.
func (f *dataFlags) bindPeriod(fl *pflag.FlagSet) {
	fl.StringVar(&f.form.From, "from", "", "begin with the bar of this time, in UTC, as 2024-01-02 or 2024-01-02T15:04:05Z (default: the first)")
	fl.StringVar(&f.form.To, "to", "", "end before the bar of this time (default: after the last)")
}

// check says what is wrong with the flags themselves.
func (f *dataFlags) check() error {
	if err := f.form.Check(); err != nil {
		return &usageError{msg: err.Error(), hint: "docs/data.md:  the flags for each source of bars"}
	}
	return nil
}

// withWarmup is the form with the bars before the period that a policy looks
// back at.
func (f *dataFlags) withWarmup(pol policy.Policy, exec *execFlags) (bars.Form, error) {
	form := f.form
	if form.From == "" {
		return form, nil
	}
	if exec.exec() {
		// What a command looks back at is what its slices have before a chunk.
		if pol.WarmupBars > 0 {
			form.Warmup = strconv.FormatInt(pol.WarmupBars, 10)
		}
		return form, nil
	}
	needs, _, err := replay.Inspect(pol)
	if err != nil {
		return form, err
	}
	if n := max(needs.WarmupBars, needs.LookbackBars); n > 0 {
		form.Warmup = strconv.FormatInt(n, 10)
	}
	return form, nil
}

// sayRead logs how a data set was read.
func sayRead(log *slog.Logger, set bars.Set) {
	r := set.Read
	if r.Format == "" {
		return
	}
	log.Info("data read", "data", set.Source, "format", r.Format, "columns", r.Columns, "times", r.Time, "bars", len(set.Bars), "before_bars", set.Before)
	for _, n := range r.Notes {
		log.Info("data read", "note", n)
	}
	for _, c := range r.Repairs {
		log.Warn("data repaired", "change", c.String())
	}
}

// writeRead writes for people what a user should know of how a set was read.
func writeRead(w io.Writer, set bars.Set) {
	for _, n := range set.Read.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	for _, c := range set.Read.Repairs {
		fmt.Fprintf(w, "repaired: %s\n", c)
	}
	if set.Before > 0 {
		fmt.Fprintf(w, "note: %d bars before the period are its warm-up\n", set.Before)
	}
}

// dataArg describes --data.
const dataArg = "the bars: a file (CSV, parquet or JSON, as programs export them; also .gz, .zst), a directory of files, or synthetic:BARS[,seed=S]"
