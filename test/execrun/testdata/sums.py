"""A replay whose result says what it was given: the sum of its bars' closes,
from the whole data set, times the number in a file.

    sums.py DATA FACTOR [SPOIL]

With SPOIL it changes both files behind it, each time.
"""

import csv
import json
import os
import sys


def main():
    data, factor = sys.argv[1:3]
    with open(os.environ["GX1R_TASK_FILE"]) as f:
        task = json.load(f)
    with open(data, newline="") as f:
        rows = list(csv.DictReader(f))[task["first_bar"]:task["end_bar"]]
    with open(factor) as f:
        times = float(f.read())
    total = times * sum(float(row["bid_close"]) for row in rows)
    with open(os.path.join(task["out_dir"], "trades.csv"), "w") as f:
        f.write("id,pnl_bps\n%d,%r\n" % (task["chunk_idx"], total))
    if len(sys.argv) > 3:
        spoil(data)
        with open(factor, "w") as f:
            f.write("3.5")
    with open(task["footer_file"], "w") as f:
        json.dump({"status": "ok", "bars_processed": task["planned_bars"], "n_trades_closed": 1}, f)


def spoil(path):
    with open(path) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(text.replace(",1", ",7"))


main()
