package trade

import "fmt"

// State is what a follower knows of a signal beyond the Signal itself. It is
// kept with a signal that was left pending or open, so that it can be
// followed on elsewhere.
type State struct {
	ClosePrice float64 `parquet:"left_close_price"`      // of the signal bar, on the entering side
	Stop       float64 `parquet:"left_stop"`             // the tightest stop that acts from the next bar on
	StopReason string  `parquet:"left_stop_reason,dict"` // which rule set it; empty: there is none
	Best       float64 `parquet:"left_best"`             // best price seen on the leaving side
	TrailingOn bool    `parquet:"left_trailing_on"`      // the trailing rule was activated
	Exit       string  `parquet:"left_exit,dict"`        // judged at the last close: leaves at the next open
	RuleAOn    bool    `parquet:"left_rule_a_on"`        // RULE A's trailing is active
	RuleABest  float64 `parquet:"left_rule_a_best"`      // best pnl at a close since then, bps
}

// fields are the fields of l in the order in which they are encoded: flags from
// bit 0 on, numbers, and reasons. A flag is added at the end; a new number or
// reason makes a new version of signalsForm.
func (l *State) fields() (flags [2]*bool, numbers [4]*float64, reasons [2]*string) {
	return [...]*bool{&l.TrailingOn, &l.RuleAOn},
		[...]*float64{&l.ClosePrice, &l.Stop, &l.Best, &l.RuleABest},
		[...]*string{&l.StopReason, &l.Exit}
}

func (l *State) check() error {
	if !(finite(l.ClosePrice) && l.ClosePrice > 0) {
		return fmt.Errorf("left.close_price is %v (want a finite price above 0)", l.ClosePrice)
	}
	if !finite(l.Stop) || !finite(l.Best) || !finite(l.RuleABest) {
		return fmt.Errorf("left: stop %v, best %v, rule_a_best %v (want finite numbers)", l.Stop, l.Best, l.RuleABest)
	}
	if l.StopReason != "" {
		if err := checkReason("left.stop_reason", l.StopReason); err != nil {
			return err
		}
	}
	if l.Exit != "" {
		return checkReason("left.exit", l.Exit)
	}
	return nil
}
