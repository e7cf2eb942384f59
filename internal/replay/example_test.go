package replay_test

import (
	"context"
	"fmt"
	"time"

	"gx1replay/internal/bars"
	"gx1replay/internal/policy"
	"gx1replay/internal/replay"
	"gx1replay/internal/run"
)

// A chunk is replayed from bars in memory. Every bar of it is counted once: in
// the warm-up, as skipped by the gate, or as passed to the model.
func ExampleRun() {
	p, err := policy.Parse("p.yaml", []byte("replay_config: {replay_pregate: {enabled: true, max_spread_bps: 2}}\nwarmup_bars: 50\nmodel: {kind: logistic, long: {weights: {roc20: 300}}, short: {bias: -50}}\nexit: {max_bars: 20}\n"), policy.Options{NeedModel: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	list := bars.Generate(1000, 1)
	res, err := replay.Run(context.Background(), replay.Job{
		Bars: run.BarRange{First: 0, End: 300}, DataBars: 1000, BarLength: 5 * time.Minute, Policy: p,
	}, replay.InMemory(list), nil)
	f := res.Footer
	fmt.Println(f.TotalBars, "bars:", f.BarsSkippedWarmup, "warm-up,", f.PregateSkips, "skipped by the gate,", f.NModelCalls, "model calls, error", err)
	// Output: 300 bars: 50 warm-up, 110 skipped by the gate, 140 model calls, error <nil>
}
