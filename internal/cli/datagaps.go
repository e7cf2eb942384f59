package cli

import (
	"fmt"
	"io"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/policy"
	"gx1replay/internal/trade"
)

type describedData struct {
	bars.Info
	Expiry expiry `json:"expiry"`
}

// expiry counts the bars at which a signal would expire by a policy without
// entry.max_gap. The last bar, which has no next one, is not counted.
type expiry struct {
	MaxGapSec float64 `json:"default_max_gap_sec"`
	Bars      int64   `json:"bars"`
}

func expiryOf(list []bars.Bar) expiry {
	longest := trade.MaxGap(policy.Entry{}, bars.BarLength(list))
	x := expiry{MaxGapSec: longest.Seconds()}
	for i := 1; i < len(list); i++ {
		if time.Duration(list[i].TimeNS-list[i-1].TimeNS) > longest {
			x.Bars++
		}
	}
	return x
}

func (d describedData) WriteText(w io.Writer) error {
	if err := d.Info.WriteText(w); err != nil || d.Info.Bars < 2 {
		return err
	}
	_, err := fmt.Fprintf(w, "%-12sa signal would expire at %d of %d bars: the next bar opens more than %v later (without entry.max_gap)\n",
		"expiry", d.Expiry.Bars, d.Info.Bars, time.Duration(d.Expiry.MaxGapSec*float64(time.Second)))
	return err
}
