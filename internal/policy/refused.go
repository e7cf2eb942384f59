package policy

import "strings"

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

// refusal is one refused key or feature name.
type refusal struct{ name, reason string }

// refusedKeys are refused at the top level and in entry, exit, exit_config,
// risk, execution and replay, unless their value switches them off (false,
// null, 0, none, off, or empty).
var refusedKeys = [...]refusal{
	{"close_on_opposite", becauseOpposite},
	{"close_on_opposite_signal", becauseOpposite},
	{"exit_on_opposite_signal", becauseOpposite},
	{"reverse_on_opposite", becauseOpposite},
	{"stop_and_reverse", becauseOpposite},
	{"netting", becauseNetting},
	{"net_positions", becauseNetting},
	{"compounding", becauseSizing},
	{"size_by_equity", becauseSizing},
	{"equity_fraction", becauseSizing},
	{"risk_per_trade_pct", becauseSizing},
	{"kelly_fraction", becauseSizing},
	{"martingale", becauseSizing},
	{"anti_martingale", becauseSizing},
	{"size_after_loss", becauseSizing},
	{"size_after_win", becauseSizing},
	{"scale_in", becauseStacking},
	{"pyramiding", becauseStacking},
	{"average_down", becauseStacking},
	{"add_to_winners", becauseStacking},
	{"random_entry", becauseRandom},
	{"random_exit", becauseRandom},
	{"random_seed", becauseRandom},
	{"entry_probability", becauseRandom},
	{"epsilon_greedy", becauseRandom},
}

// refusedFeatures are names of features that see trades.
var refusedFeatures = [...]refusal{
	{"balance", becauseFeature},
	{"equity", becauseFeature},
	{"drawdown", becauseFeature},
	{"open_trades", becauseFeature},
	{"n_open_trades", becauseFeature},
	{"position", becauseFeature},
	{"bars_in_trade", becauseFeature},
	{"bars_since_entry", becauseFeature},
	{"bars_since_exit", becauseFeature},
	{"last_trade_pnl", becauseFeature},
	{"realized_pnl", becauseFeature},
	{"unrealized_pnl", becauseFeature},
	{"win_streak", becauseFeature},
	{"loss_streak", becauseFeature},
	{"random", becauseRandom},
}

func refused(key string) (reason string, ok bool)         { return find(refusedKeys[:], key) }
func refusedFeature(name string) (reason string, ok bool) { return find(refusedFeatures[:], name) }

func find(table []refusal, name string) (string, bool) {
	for _, r := range table {
		if r.name == name {
			return r.reason, true
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
