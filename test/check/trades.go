package check

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
)

// local is what a chunk's own signals came to, before trades were selected
// over the run; nil: the chunk's fields say it.
func local(m map[string]any) map[string]any {
	l, _ := m["chunk_local"].(map[string]any)
	return l
}

// judgeSelection holds what the file says of trades against its chunks, and
// against the trades file that it names.
func judgeSelection(r *Report, this *file) {
	d := &doc{r: r, m: this.root}
	scope := d.sub("selection").text("scope")
	lines, _ := this.root["chunks"].([]any)
	t := d.sub("trades")
	name, lost := t.text("file"), t.whole("without_rows")
	exact := d.flag("borders_exact")
	selected, unknown := 0, int64(0)
	for i, c := range this.chunks {
		m, _ := lines[i].(map[string]any)
		switch {
		case local(m) != nil:
			selected++
			own := (&doc{r: r, at: fmt.Sprintf("chunks[%d].chunk_local.", i), m: local(m)})
			for _, n := range []int64{own.whole("n_trades_closed"), own.whole("trades_open")} {
				if n < 0 {
					r.fail("%sn_trades_closed or trades_open is %d", own.at, n)
				}
			}
		case c.bars > 0:
			unknown += c.trades
			if exact {
				r.fail("borders_exact is true, and chunks[%d] with %d bars has no chunk_local", i, c.bars)
			}
		}
	}
	switch scope {
	case "command":
		judgeLeft(d, this, selected, exact)
		return
	case "chunks":
		if selected > 0 || name != "" || exact || lost != 0 {
			r.fail("selection.scope is chunks with %d chunks selected over the run, trades.file %q, without_rows %d, borders_exact %v", selected, name, lost, exact)
		}
		return
	case "run":
		if r.Outcome != "complete" || lost != 0 {
			r.fail("selection.scope is run with outcome %s, trades.without_rows %d", r.Outcome, lost)
		}
	case "stretches":
		if lost != unknown {
			r.fail("trades.without_rows is %d (expected %d, the trades of chunks without chunk_local)", lost, unknown)
		}
	default:
		r.fail("selection.scope is %q (expected run, stretches, chunks or command)", scope)
	}
	if name == "" {
		return
	}
	if b := tradesFile(d, this, name); b != nil {
		judgeRows(d, this.chunks, lines, name, b)
	}
}

// tradesFile reads the trades file, which has the digest that the file says.
func tradesFile(d *doc, this *file, name string) []byte {
	b, err := os.ReadFile(filepath.Join(filepath.Dir(this.path), filepath.FromSlash(name)))
	if err != nil {
		d.r.fail("the trades file: %v", err)
		return nil
	}
	if sum, want := sha256.Sum256(b), d.sub("trades").text("sha256"); hex.EncodeToString(sum[:]) != want {
		d.r.fail("%s has SHA-256 %x (trades.sha256 is %s)", name, sum, want)
	}
	return b
}

// judgeRows holds the rows of a trades file, each against itself and all
// against the chunks that their signals lie in.
func judgeRows(d *doc, chunks []chunk, lines []any, name string, b []byte) {
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil || len(rows) == 0 {
		d.r.fail("%s has no rows: %v", name, err)
		return
	}
	at := map[string]int{}
	for i, column := range rows[0] {
		at[column] = i
	}
	n, pnl := make([]int64, len(chunks)), make([]float64, len(chunks))
	total, net, k, last := 0.0, 0.0, 0, int64(-1)
	_, charged := at["net_pnl_bps"]
	for line, row := range rows[1:] {
		where := fmt.Sprintf("%s, line %d: ", name, line+2)
		number := func(column string) float64 {
			i, ok := at[column]
			if !ok {
				d.r.fail("%s has no column %s", name, column)
				return 0
			}
			x, err := strconv.ParseFloat(row[i], 64)
			if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
				d.r.fail("%s%s is %q", where, column, row[i])
			}
			return x
		}
		signal, entry, exit := int64(number("signal_bar")), int64(number("entry_bar")), int64(number("exit_bar"))
		if signal <= last || entry < signal || entry > signal+1 || exit < entry {
			d.r.fail("%ssignal, entry and exit at bars %d, %d, %d behind a signal at %d", where, signal, entry, exit, last)
		}
		last = signal
		side := 1.0
		if row[at["side"]] == "short" {
			side = -1
		}
		got, in, out := number("pnl_bps"), number("entry_price"), number("exit_price")
		if want := side * (out - in) / in * 1e4; math.Abs(got-want) > 1e-9*(1+math.Abs(want)) {
			d.r.fail("%spnl_bps is %v (expected %v of %v to %v)", where, got, want, in, out)
		}
		total += got
		if charged {
			left, want := number("net_pnl_bps"), got-number("commission_bps")-number("swap_bps")-number("slippage_bps")
			if math.Abs(left-want) > 1e-9*(1+math.Abs(want)) {
				d.r.fail("%snet_pnl_bps is %v (expected %v of pnl_bps %v)", where, left, want, got)
			}
			net += left
		}
		for k < len(chunks) && signal >= chunks[k].end {
			k++
		}
		if k == len(chunks) || signal >= chunks[k].first+chunks[k].bars {
			d.r.fail("%sits signal lies at bar %d, which was not replayed", where, signal)
			return
		}
		n[k]++
		pnl[k] += got
	}
	lost := 0.0
	for i, c := range chunks {
		m, _ := lines[i].(map[string]any)
		if local(m) == nil {
			lost += c.pnl
			if n[i] > 0 {
				d.r.fail("chunks[%d] has no chunk_local, and %d rows", i, n[i])
			}
			continue
		}
		if n[i] != c.trades || math.Abs(pnl[i]-c.pnl) > 1e-9*(1+math.Abs(c.pnl)) {
			d.r.fail("chunks[%d] has %d trades, %v bps (%s has %d, %v)", i, c.trades, c.pnl, name, n[i], pnl[i])
		}
	}
	_, said := d.m["total_net_pnl_bps"]
	if whole := charged && d.sub("trades").whole("without_rows") == 0; said != whole {
		d.r.fail("total_net_pnl_bps is there %t (expected %t: the rows of %s are charged %t)", said, whole, name, charged)
	} else if said && d.number("total_net_pnl_bps") != net {
		d.r.fail("total_net_pnl_bps is %v (%s adds up to %v)", d.number("total_net_pnl_bps"), name, net)
	}
	if got := d.number("total_pnl_bps"); got != total+lost {
		d.r.fail("total_pnl_bps is %v (%s adds up to %v)", got, name, total+lost)
	}
}
