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
	form   bars.Form
	spread optionalNumber
}

func (f *dataFlags) bind(fl *pflag.FlagSet) {
	fl.Var(&f.spread, "spread-bps", spreadHelp)
	fl.StringVar(&f.form.Columns, "columns", "", "columns of the data, by name or number: time=Date,open=Open,… (default: detected by name)")
	fl.StringVar(&f.form.TimeFormat, "time-format", "", "time format of the data: s, ms, us, ns, or a pattern such as %d/%m/%Y %H:%M (default: detected)")
	fl.StringVar(&f.form.TZ, "tz", "", "time zone of the data: EST, Europe/Helsinki, +02:00, America/New_York+7 (default: UTC)")
	fl.StringVar(&f.form.Sep, "sep", "", "column separator of the data: one character, or tab (default: detected)")
	fl.StringVar(&f.form.Decimal, "decimal", "", "decimal mark of the data: . or , (default: detected)")
	fl.StringVar(&f.form.Point, "point", "", "size of a point, such as 0.00001, to compute asks from the data's spread column (default: the column is ignored)")
	fl.StringVar(&f.form.Repair, "repair", "", "repair errors of the data: crossed, ulp, duplicates, sort, separated by commas (default: refuse the data)")
}

func (f *dataFlags) bindPeriod(fl *pflag.FlagSet) {
	fl.StringVar(&f.form.From, "from", "", "start of the period in UTC, such as 2024-01-02 or 2024-01-02T15:04:05Z (default: the first bar)")
	fl.StringVar(&f.form.To, "to", "", "end of the period in UTC, exclusive (default: after the last bar)")
}

func (f *dataFlags) check() error {
	if err := f.form.Check(); err != nil {
		return usagef("docs/data.md:  the flags for each source of bars", "%v", err)
	}
	return nil
}

// open reads the data set at path; extra: with the columns that only commands get.
func (f *dataFlags) open(path string, extra bool) (bars.Set, error) {
	if err := f.check(); err != nil {
		return bars.Set{}, err
	}
	return bars.Open(path, bars.ReadOptions{SpreadBps: f.spread.value, Form: f.form, Extra: extra})
}

// withWarmup is the form, extended by the bars before the period that a policy
// looks back at.
func (f *dataFlags) withWarmup(pol policy.Policy, exec *execFlags) (bars.Form, error) {
	form := f.form
	if form.From == "" {
		return form, nil
	}
	if exec.exec() {
		// A command looks back at the bars that its slices have before the chunk.
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

func logRead(log *slog.Logger, set bars.Set) {
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

func printRead(w io.Writer, set bars.Set) {
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

const dataArg = "bars: a CSV, parquet or JSON file (also .gz, .zst), a directory of files, or synthetic:BARS[,seed=S]"

var spreadHelp = fmt.Sprintf("assumed spread if the data has one price only, in bps, 0 or more (default %v)", bars.DefaultSpreadBps)
