"""A replay that uses the protocol of docs/exec.md, by way of gx1replay.py.

Its trades are the same for any number of chunks: a signal looks back over
fewer bars than the slice has before its chunk, no trade depends on another,
and each is followed to its end, past the chunk's if need be.

    coordinator run --policy examples/python/policy.yaml --data synthetic:20000 --chunks 8 \\
        --engine exec --slice-format csv --exec-tail-bars 48 --exec-digest examples/python/gx1replay.py \\
        -- python3 examples/python/replay_protocol.py

By hand: python3 examples/python/replay_protocol.py bars.csv
"""

import csv
import sys
import time
from collections import namedtuple

import gx1replay

LOOK_BACK = 20  # a breakout is a close above the highs of so many bars
SLOPE_BARS = 50  # the trend is the slope of so many closes
HOLD_BARS = 48  # a trade ends so many bars after its signal: --exec-tail-bars
STOP_BPS = 25

Bar = namedtuple("Bar", "time high close bid_open bid_low bid_close ask_open")


def main():
    gx1replay.install()
    task = gx1replay.task(slice={"path": sys.argv[-1], "first_own_row": 0, "tail_rows": 0}, out_dir=".", params={})
    status, counters = replay(task)
    gx1replay.finish(status, **counters)


def replay(task):
    """Replays the own bars of the slice. Returns the status and the counters."""
    started = time.perf_counter()
    bars = read(task.slice.path)
    first, end = task.slice.first_own_row, len(bars) - task.slice.tail_rows
    cost = float(task.params.get("bar_ms", 0)) / 1000  # --param bar_ms=2: as slow as a real one
    c = {"n_model_calls": 0, "n_trades_closed": 0, "pnl_bps": 0.0, "t_model_total_sec": 0.0}
    c["t_io_total_sec"] = time.perf_counter() - started

    # Line by line: what was reported as done is in the file, whatever happens.
    with open(task.out_dir + "/trades.csv", "w", newline="", buffering=1) as f:
        out = csv.writer(f)
        out.writerow(["entry_time", "exit_time", "side", "entry_price", "exit_price", "pnl_bps", "exit_reason"])
        for i in range(first, end):
            if gx1replay.stop_requested():
                return "stopped", c
            began = time.perf_counter()
            trend = slope([bar.close for bar in bars[max(i + 1 - SLOPE_BARS, 0) : i + 1]])
            if cost:
                time.sleep(cost)
            c["n_model_calls"] += 1
            c["t_model_total_sec"] += time.perf_counter() - began
            if trend > 0 and breaks_out(bars, i) and not breaks_out(bars, i - 1) and i + 1 < len(bars):
                trade = follow(bars, i)
                out.writerow(trade)
                c["n_trades_closed"] += 1
                c["pnl_bps"] += trade[5]
            gx1replay.progress(i + 1 - first, **c)
    return "ok", c


def read(path):
    with open(path, newline="") as f:
        return [
            Bar(r["time"], *(float(r[name]) for name in Bar._fields[1:]))
            for r in csv.DictReader(f)
        ]


def slope(closes):
    """The slope of a line through the closes, by least squares."""
    n = len(closes)
    middle = (n - 1) / 2
    above = sum((x - middle) * y for x, y in enumerate(closes))
    below = sum((x - middle) ** 2 for x in range(n))
    return above / below if below else 0.0


def breaks_out(bars, i):
    return i >= LOOK_BACK and bars[i].close > max(bar.high for bar in bars[i - LOOK_BACK : i])


def follow(bars, signal):
    """A long trade: in at the next open, out at the stop or after HOLD_BARS.
    Where the data end before that, it ends with them."""
    entry = bars[signal + 1].ask_open
    stop = entry * (1 - STOP_BPS / 10000)
    last = min(signal + HOLD_BARS, len(bars) - 1)
    reason, leave, price = "max_bars", last, bars[last].bid_close
    for i in range(signal + 1, last + 1):
        if bars[i].bid_low <= stop:
            reason, leave, price = "stop", i, min(stop, bars[i].bid_open)
            break
    pnl_bps = (price - entry) / entry * 10000
    return [bars[signal + 1].time, bars[leave].time, "long", entry, price, pnl_bps, reason]


if __name__ == "__main__":
    main()
