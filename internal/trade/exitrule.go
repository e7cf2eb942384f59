package trade

// What each rule of policy.Exit does. Follower.Step has the order within a bar:
// an exit that the last close decided, the stop, the target; then moveStop sets
// the stop for the next bar, and judge decides at the close. What a rule
// remembers from bar to bar is in State.

// Exit reasons. The reason at the data's end is the policy's
// eof_close_reason. RULE A's two have the original's names.
const (
	ExitStop          = "stop"
	ExitTarget        = "target"
	ExitBreakEven     = "break_even"
	ExitTrailing      = "trailing"
	ExitRuleAProfit   = "RULE_A_PROFIT"
	ExitRuleATrailing = "RULE_A_TRAILING"
	ExitMaxBars       = "max_bars"
)

// reasonCodes are the texts that travel as one byte. New ones are added at
// the end: the place is the format.
var reasonCodes = [...]string{
	"", ExitStop, ExitTarget, ExitBreakEven, ExitTrailing, ExitRuleAProfit, ExitRuleATrailing, ExitMaxBars,
}

// setStop sets the stop of a trade that has just entered.
func (f *Follower) setStop() {
	s := &f.Signal
	if x := f.rules.exit.StopBps; x != nil {
		f.state.Stop, f.state.StopReason = level(s.Side, s.EntryPrice, -*x), ExitStop
	}
}

func (f *Follower) setTarget() {
	if x := f.rules.exit.TargetBps; x != nil {
		f.target = level(f.Signal.Side, f.Signal.EntryPrice, *x)
	}
}

// moveStop sets the stop for the next bar; a stop only ever tightens.
func (f *Follower) moveStop(best float64, n int64) {
	s, x := &f.Signal, &f.rules.exit
	if f.better(best, f.state.Best) {
		f.state.Best = best
	}
	if x.BreakEven != nil && s.MFEBps >= x.BreakEven.ActivateBps {
		f.tighten(level(s.Side, s.EntryPrice, x.BreakEven.OffsetBps), ExitBreakEven)
	}
	if t := x.Trailing; t != nil {
		if (t.WithinBars <= 0 || n <= t.WithinBars) && s.MFEBps >= t.ActivateBps {
			f.state.TrailingOn = true
		}
		if f.state.TrailingOn {
			f.tighten(f.state.Best-float64(float64(s.Side)*s.EntryPrice*(t.DistanceBps/1e4)), ExitTrailing)
		}
	}
}

func (f *Follower) tighten(stop float64, reason string) {
	if f.state.StopReason == "" || f.better(stop, f.state.Stop) {
		f.state.Stop, f.state.StopReason = stop, reason
	}
}

// judge applies the rules of a close: RULE A, then the most bars held.
func (f *Follower) judge(price float64, n int64) string {
	s, x := &f.Signal, &f.rules.exit
	if a := x.RuleA; a != nil {
		pnl := pnlBps(s.Side, s.EntryPrice, price)
		if f.state.RuleAOn {
			f.state.RuleABest = max(f.state.RuleABest, pnl)
		} else if n <= a.AdaptiveBars && pnl >= a.AdaptiveThresholdBps {
			f.state.RuleAOn, f.state.RuleABest = true, pnl
		}
		switch {
		case f.state.RuleAOn && pnl <= f.state.RuleABest-a.TrailingStopBps:
			return ExitRuleATrailing
		case !f.state.RuleAOn && a.ProfitMinBps <= pnl && pnl <= a.ProfitMaxBps:
			return ExitRuleAProfit
		}
	}
	if x.MaxBars > 0 && n >= x.MaxBars {
		return ExitMaxBars
	}
	return ""
}
