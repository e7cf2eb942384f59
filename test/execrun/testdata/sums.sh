#!/bin/sh
# As sums.py, for users who have no Python: what it sums is the whole data set.
#
#   sums.sh DATA FACTOR OUT_DIR
data=$1 out=$3
read -r factor < "$2"
sleep 0.2
awk -F, -v factor="$factor" 'NR > 1 { sum += $2 } END { print "id,pnl_bps"; printf "1,%.6f\n", factor * sum }' "$data" > "$out/trades.csv"
echo '{"status": "ok", "n_trades_closed": 1}' > "$out/chunk_footer.json"
