#!/bin/sh
# A replay in ten lines of shell and awk that obeys the protocol of docs/exec.md:
#
#   coordinator run --policy examples/python/policy.yaml --data synthetic:20000 --chunks 8 \
#       --engine exec --slice-format csv \
#       -- sh examples/shell/replay.sh {slice} {start_ts} {end_ts} {out_dir}
#
# A trade is a bar that gains more than 5 bps. SIGTERM is ignored: the stop
# file is looked for every 100 bars, and the footer says how far it came.
trap '' TERM
awk -F, -v from="$2" -v to="$3" -v out="$4/trades.csv" -v stop="$GX1R_STOP_FILE" -v footer="$GX1R_FOOTER_FILE.tmp" '
  NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; print "time,pnl_bps" > out; status = "ok"; next }
  { before = close_; close_ = $column["close"] }
  $1 < from || $1 > to { next }
  bars % 100 == 0 { print "GX1 {\"bars_processed\": " bars + 0 "}"; fflush() }
  bars % 100 == 0 && (getline line < stop) >= 0 { status = "stopped"; exit }
  { bars++; gain = before ? (close_ / before - 1) * 10000 : 0 }
  gain > 5 { print $1 "," gain > out; trades++ }
  END { printf "{\"status\": \"%s\", \"bars_processed\": %d, \"n_trades_closed\": %d}\n", status, bars, trades > footer }
' "$1" && mv "$GX1R_FOOTER_FILE.tmp" "$GX1R_FOOTER_FILE"
