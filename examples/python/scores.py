"""A model in Python for the gate, the entries and the exits of GX1 Replay.

It leaves a row for each own bar in scores.csv: time, p_long, p_short. The rest
of the replay is the built-in engine's, with its exact borders and its metrics.
The model is that of examples/policies/scores.yaml, so both of these give the
same trades file, byte for byte:

    coordinator run --policy examples/policies/scores.yaml --data synthetic:20000 --chunks 8 \\
        --engine exec --exec-emits scores --slice-format csv --exec-digest examples/python/gx1replay.py \\
        -- python3 examples/python/scores.py
    coordinator run --policy examples/policies/scores.yaml --data synthetic:20000

By hand: python3 examples/python/scores.py bars.csv
"""

import csv
import math
import sys
import time

import gx1replay

# A feature at a bar needs so many bars before it: the policy's warmup_bars.
WARMUP_BARS = 49
BIAS = -1.5
LONG = [350.0, 1.2, -0.02]  # weights of roc20, body_pct, std50
SHORT = [-350.0, -1.2, -0.02]


def main():
    gx1replay.install()
    task = gx1replay.task(slice={"path": sys.argv[-1], "first_own_row": 0, "tail_rows": 0}, out_dir=".", params={})
    bars = read(task.slice.path)
    closes = [bar["close"] for bar in bars]
    first, end = task.slice.first_own_row, len(bars) - task.slice.tail_rows
    cost = float(task.params.get("bar_ms", 0)) / 1000  # --param bar_ms=2: as slow as a real model
    status = "ok"
    calls = 0

    # Line by line: what was reported as done is in the file, whatever happens.
    with open(task.out_dir + "/scores.csv", "w", buffering=1) as f:
        f.write("time,p_long,p_short\n")
        for i in range(first, end):
            if gx1replay.stop_requested():
                status = "stopped"
                break
            p_long = p_short = math.nan  # no signal, where there is no score
            if i >= WARMUP_BARS:
                x = features(bars[i], closes[i - WARMUP_BARS : i + 1])
                p_long, p_short = sigmoid(score(LONG, x)), sigmoid(score(SHORT, x))
                calls += 1
                if cost:
                    time.sleep(cost)
            # repr has all digits that a float has.
            f.write("%s,%r,%r\n" % (bars[i]["time"], p_long, p_short))
            gx1replay.progress(i + 1 - first, n_model_calls=calls)
    gx1replay.finish(status, n_model_calls=calls)


def read(path):
    """The bars of a slice: mid prices, as the engine has them."""
    with open(path, newline="") as f:
        return [
            {"time": row["time"], **{name: mid(row, name) for name in ("open", "high", "low", "close")}}
            for row in csv.DictReader(f)
        ]


def mid(row, name):
    return (float(row["bid_" + name]) + float(row["ask_" + name])) / 2


# Below, each sum is a loop. That is how the engine adds up, and sum() is not:
# since Python 3.12 it makes up for what is lost in rounding.


def features(bar, closes):
    """roc20, body_pct and std50 as in docs/engine.md; closes are the last 50."""
    roc20 = closes[-1] / closes[-21] - 1
    body_pct = (bar["close"] - bar["open"]) / (bar["high"] - bar["low"] + 1e-8)
    total = 0.0
    for close in closes:
        total += close
    mean = total / len(closes)
    squares = 0.0
    for close in closes:
        squares += (close - mean) * (close - mean)
    std50 = math.sqrt(squares / (len(closes) - 1))
    return [roc20, body_pct, std50]


def score(weights, x):
    total = BIAS
    for weight, value in zip(weights, x):
        total += weight * value
    return total


def sigmoid(x):
    """1 / (1 + exp(-x)), to the engine's last bit. With math.exp the trades
    are the same, and some of their scores differ in the last digit."""
    e = exp(-abs(x))
    return 1 / (1 + e) if x >= 0 else e / (1 + e)


def exp(x):
    """exp of x <= 0, as the engine computes it: 2**k times a Taylor series."""
    if x < -708:
        return 0.0
    k = math.floor(x * 1.4426950408889634 + 0.5)
    r = x - k * 6.93147180369123816490e-01 - k * 1.90821492927058770002e-10
    total = 1.0
    for n in range(13, 0, -1):
        total = 1 + total * r / n
    return math.ldexp(total, k)


if __name__ == "__main__":
    main()
