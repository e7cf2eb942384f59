"""A replay that knows nothing of GX1 Replay, and is run as it is.

It gets its arguments by placeholders, its progress bar is recognised, and its
exit code and its trades say that it is done. A stop just ends it: what its
progress bar said counts.

    coordinator run --policy examples/python/policy.yaml --data synthetic:20000 --chunks 8 \\
        --engine exec --slice-format csv \\
        -- python3 examples/python/unaware.py --start {start_ts} --end {end_ts} --data {slice} --out {out_dir}
"""

import argparse
import csv
import os
import time
from datetime import datetime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--start", type=datetime.fromisoformat, required=True, help="opening time of the first bar")
    parser.add_argument("--end", type=datetime.fromisoformat, required=True, help="opening time of the last bar")
    parser.add_argument("--data", required=True, help="a CSV file of bars, earlier ones for warm-up included")
    parser.add_argument("--out", default=".", help="directory for trades.csv")
    parser.add_argument("--bar-ms", type=float, default=0, help="be as slow as a real replay")
    args = parser.parse_args()

    with open(args.data, newline="") as f:
        bars = [(datetime.fromisoformat(row["time"]), float(row["close"])) for row in csv.DictReader(f)]
    own = [i for i, (when, _) in enumerate(bars) if args.start <= when <= args.end]

    trades = []
    entry = None
    for n, i in enumerate(own, 1):
        when, close = bars[i]
        mean = sum(c for _, c in bars[max(i - 49, 0) : i + 1]) / min(i + 1, 50)
        if entry is None and close < mean * 0.999:
            entry = when, close
        elif entry is not None and close > mean:
            trades.append([*entry, when, close, "long", (close / entry[1] - 1) * 1e4])
            entry = None
        time.sleep(args.bar_ms / 1000)
        if n % 50 == 0 or n == len(own):
            print("\rreplayed %d/%d bars" % (n, len(own)), end="", flush=True)
    print()

    with open(os.path.join(args.out, "trades.csv"), "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["entry_time", "entry_price", "exit_time", "exit_price", "side", "pnl_bps"])
        out.writerows(trades)
    print("%d trades" % len(trades))


if __name__ == "__main__":
    main()
