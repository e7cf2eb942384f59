package policy

import (
	"slices"
	"strings"
)

// Why a policy's key is refused: what it asks for depends on other trades, so
// a chunk could not be replayed without all that came before it.
const (
	becauseOpposite = "an exit would depend on another trade's signal, which this engine cannot replay in parallel"
	becauseNetting  = "a trade would be merged with others, which this engine cannot replay in parallel"
	becauseSizing   = "a size would depend on the result of earlier trades, which this engine cannot replay in parallel"
	becauseStacking = "an entry would depend on which trades are open, which this engine cannot replay in parallel"
	becauseRandom   = "a decision would depend on random numbers drawn in sequence, which this engine cannot replay in parallel"
	becauseFeature  = "a feature would depend on trades, which this engine cannot replay in parallel"
)

// refusedKeys, by reason, are refused at the top level and in entry, exit,
// exit_config, risk, execution and replay, unless their value switches them off
// (false, null, 0, none, off, or empty).
var refusedKeys = map[string][]string{
	becauseOpposite: {"close_on_opposite", "close_on_opposite_signal", "exit_on_opposite_signal", "reverse_on_opposite", "stop_and_reverse"},
	becauseNetting:  {"netting", "net_positions"},
	becauseSizing: {
		"compounding", "size_by_equity", "equity_fraction", "risk_per_trade_pct", "kelly_fraction",
		"martingale", "anti_martingale", "size_after_loss", "size_after_win",
	},
	becauseStacking: {"scale_in", "pyramiding", "average_down", "add_to_winners"},
	becauseRandom:   {"random_entry", "random_exit", "random_seed", "entry_probability", "epsilon_greedy"},
}

// refusedFeatures, by reason, are names of features that see trades.
var refusedFeatures = map[string][]string{
	becauseFeature: {
		"balance", "equity", "drawdown", "open_trades", "n_open_trades", "position", "bars_in_trade", "bars_since_entry",
		"bars_since_exit", "last_trade_pnl", "realized_pnl", "unrealized_pnl", "win_streak", "loss_streak",
	},
	becauseRandom: {"random"},
}

// refused is the reason for which a table has name; no name has two.
func refused(table map[string][]string, name string) (reason string, ok bool) {
	for reason, names := range table {
		if slices.Contains(names, name) {
			return reason, true
		}
	}
	return "", false
}

// refusesIn reports whether refused keys are looked for in the section at
// path. Deeper sections are none of the engine's.
func refusesIn(path string) bool {
	switch path {
	case "", "entry", "exit", "exit_config", "exit_config.exit", "risk", "execution", "replay":
		return true
	}
	return false
}

// off reports whether a value switches its key off.
func off(n *node) bool {
	switch {
	case n.absent():
		return true
	case n.kind != scalar:
		return len(n.items)+len(n.pairs) == 0
	}
	if f, ok := n.number(); ok {
		return f == 0
	}
	switch strings.ToLower(n.text) {
	case "", "false", "no", "off", "none":
		return true
	}
	return false
}
