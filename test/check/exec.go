package check

import (
	"bytes"
	"encoding/csv"
)

// isExec reports whether the run's chunks were replayed by a command.
func isExec(root map[string]any) bool {
	env, _ := root["env_info"].(map[string]any)
	return env["engine"] == "exec"
}

// hasTrades reports whether the file names a trades file.
func hasTrades(root map[string]any) bool {
	trades, _ := root["trades"].(map[string]any)
	return trades["file"] != ""
}

// judgeSaid holds what a command says of itself: counters are as it gives
// them, and those that it does not give are 0 and named.
func judgeSaid(f *doc, c chunk) {
	list, ok := f.m["unreported"].([]any)
	if !ok {
		f.r.fail("%sunreported is no list", f.at)
	}
	silent := map[string]bool{}
	for _, v := range list {
		name, _ := v.(string)
		if silent[name] = true; f.number(name) != 0 {
			f.r.fail("%s%s is %v and named in unreported (expected 0)", f.at, name, f.m[name])
		}
	}
	warmup, skips, passes := f.whole("bars_skipped_warmup"), f.whole("pregate_skips"), f.whole("pregate_passes")
	all := !silent["bars_skipped_warmup"] && !silent["pregate_skips"] && !silent["pregate_passes"]
	if all && skips+passes > 0 && warmup+skips+passes != c.total {
		f.r.fail("%sbars_skipped_warmup %d + pregate_skips %d + pregate_passes %d is %d (total_bars is %d)",
			f.at, warmup, skips, passes, warmup+skips+passes, c.total)
	}
	if skips+passes > c.total {
		f.r.fail("%spregate_skips %d + pregate_passes %d (total_bars is %d)", f.at, skips, passes, c.total)
	}
}

// judgeLeft holds a trades file that was put together of what commands left:
// once all is done it has as many rows as the chunks that are in it counted
// trades. What one that was stopped had written is its own business.
func judgeLeft(d *doc, this *file, selected int, exact bool) {
	if !isExec(this.root) || selected > 0 || exact {
		d.r.fail("selection.scope is command with %d chunks selected over the run, borders_exact %v, by a command %v", selected, exact, isExec(this.root))
	}
	t := d.sub("trades")
	name, want := t.text("file"), -t.whole("without_rows")
	if name == "" {
		return
	}
	b := tradesFile(d, this, name)
	if b == nil {
		return
	}
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil || len(rows) == 0 {
		d.r.fail("%s has no rows: %v", name, err)
		return
	}
	done := true
	for _, c := range this.chunks {
		want += c.trades
		done = done && (c.status == "ok" || c.bars == 0)
	}
	if got := int64(len(rows) - 1); done && got != want {
		d.r.fail("%s has %d rows (the chunks have closed %d trades that should stand in it)", name, got, want)
	}
}
