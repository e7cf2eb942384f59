"""A replay with an error on purpose: its trades depend on where chunks begin.

An EMA depends on every bar since the first. This one starts at the first bar
of its slice, which is another bar for each cut. `coordinator exec check` finds
it:

    coordinator exec check --policy examples/python/policy.yaml --data synthetic:5000 \\
        --slice-format csv --exec-tail-bars 48 --exec-digest examples/python/gx1replay.py \\
        -- python3 examples/python/border_error.py

The remedy: means over a fixed number of bars, or {data}, the whole data set,
in place of the slice. A longer warm-up makes the error small, and does not end
it: after 10 spans an EMA's start still weighs 1e-9.
"""

import csv

import gx1replay

SPAN = 200
HOLD_BARS = 48


def main():
    task = gx1replay.task()
    with open(task.slice.path, newline="") as f:
        rows = list(csv.DictReader(f))
    first, end = task.slice.first_own_row, len(rows) - task.slice.tail_rows

    ema = before = close = float(rows[0]["close"])  # the error
    trades = []
    for i, row in enumerate(rows[:end]):
        was_above, before = before > ema, close
        close = float(row["close"])
        ema += (close - ema) * 2 / (SPAN + 1)
        leave = min(i + HOLD_BARS, len(rows) - 1)
        if i >= first and close > ema and not was_above and i + 1 < len(rows):
            entry, price = float(rows[i + 1]["ask_open"]), float(rows[leave]["bid_close"])
            trades.append([rows[i + 1]["time"], rows[leave]["time"], entry, price])

    with open(task.out_dir + "/trades.csv", "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["entry_time", "exit_time", "entry_price", "exit_price"])
        out.writerows(trades)
    gx1replay.finish("ok", bars_processed=end - first, n_trades_closed=len(trades))


if __name__ == "__main__":
    main()
