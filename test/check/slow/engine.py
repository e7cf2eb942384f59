"""A second replay engine: slow, short, and written from docs/engine.md and
docs/policy.md alone. It shares nothing with the product, so that a mistake in
the product is not made twice. Standard library only, Python 3.8.

    python3 engine.py POLICY.json BARS.csv [SPREAD_BPS]

It reads a policy in JSON (which is YAML too) and bars in CSV, and prints one
JSON object: the rows of the trades file, and the counts of the perf JSON.
"""
import bisect
import csv
import json
import math
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


# ---- The bars

class Bar:
    def __init__(self, row, spread):
        at = datetime.fromisoformat(row["time"].replace("Z", "+00:00"))
        self.time = (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
        names = ("open", "high", "low", "close")
        if "bid_open" in row:
            self.bid = {k: float(row["bid_" + k]) for k in names}
            self.ask = {k: float(row["ask_" + k]) for k in names}
        else:
            self.bid = {k: float(row[k]) for k in names}
            self.ask = {k: self.bid[k] * (1 + spread / 10**4) for k in names}
        self.mid = {k: (self.bid[k] + self.ask[k]) / 2 for k in names}


def read_bars(path, spread):
    with open(path, newline="") as f:
        return [Bar(row, spread) for row in csv.DictReader(f)]


def bar_length(bars):
    if len(bars) < 2:
        return timedelta(0)
    count = Counter(b.time - a.time for a, b in zip(bars, bars[1:]))
    most = max(count.values())
    return min(d for d, n in count.items() if n == most)


class Sessions:
    def __init__(self, policy):
        given = policy.get("sessions") or {"ASIA": "22-07", "EU": "07-12", "OVERLAP": "12-16", "US": "16-22"}
        hours = {}
        for name, x in given.items():
            start, end = (int(h) for h in (x.split("-") if isinstance(x, str) else x))
            hours[name] = (start, [h % 24 for h in range(start, end if end > start else end + 24)])
        self.order = sorted(hours, key=lambda name: hours[name][0])
        self.by_hour = {h: name for name, (_, list_) in hours.items() for h in list_}

    def of(self, bar):
        return self.by_hour[bar.time.hour]


# ---- Features: each a column over all bars, None where it has no value

def columns(bars, sessions, names):
    n = len(bars)
    open_, high, low, close = ([b.mid[k] for b in bars] for k in ("open", "high", "low", "close"))
    ranges = [None] + [max(high[i], close[i - 1]) - min(low[i], close[i - 1]) for i in range(1, n)]

    def from_bar(first, formula):
        return [formula(i) if i >= first else None for i in range(n)]

    def plain_mean(values):
        total = 0.0
        for v in values:
            total += v
        return total / len(values)

    def atr14(i):
        return plain_mean(ranges[i - 13:i + 1])

    doubled = {}

    def r(size, i):  # the sum of the newest `size` true ranges at bar i
        if size == 1:
            return ranges[i]
        if (size, i) not in doubled:
            doubled[size, i] = r(size // 2, i - size // 2) + r(size // 2, i)
        return doubled[size, i]

    def atr(count, i):  # from the oldest end, the least binary digit first
        total, left, size = 0.0, count, 1
        while left:
            if left & size:
                left -= size
                total += r(size, i - left)
            size *= 2
        return total / count

    def ema(values, span):
        a, out = 2 / (span + 1), []
        for v in values:
            out.append(v if not out else (1 - a) * out[-1] + a * v)
        return out

    def std50(i):
        last = close[i - 49:i + 1]
        mean, squares = plain_mean(last), 0.0
        for v in last:
            squares += (v - mean) * (v - mean)
        return math.sqrt(squares / 49)

    def range_pos(i):
        h, l = max(high[i - 19:i + 1]), min(low[i - 19:i + 1])
        return 0.5 if h == l else (close[i] - l) / (h - l)

    def wick(i):
        upper, lower = high[i] - max(open_[i], close[i]), min(open_[i], close[i]) - low[i]
        return (upper - lower) / (high[i] - low[i] + 1e-8)

    def quantile(values, q):
        h = q * (len(values) - 1)
        k = int(h)
        return values[k] if k + 1 == len(values) else values[k] + (values[k + 1] - values[k]) * (h - k)

    def regimes():
        out, window, values = [], [], []
        for i in range(n):
            if i < 14:
                out.append(None)
                continue
            values.append(atr14(i))
            bisect.insort(window, values[-1])
            if len(values) > 5760:
                del window[bisect.bisect_left(window, values[-5761])]
            if len(window) < 2880:
                out.append(None)
                continue
            a = values[-1]
            out.append(0.0 if a < quantile(window, 0.33) else 2.0 if a >= quantile(window, 0.67) else 1.0)
        return out

    def trend(hours):
        out, closes, current = [], [], None
        for i, b in enumerate(bars):
            start = b.time.replace(minute=0, second=0, microsecond=0) - HOUR * (b.time.hour % hours)
            if current is not None and start != current:
                closes.append(close[i - 1])
            current = start
            out.append(len(closes))
        fast, slow = ema(closes, 12), ema(closes, 26)
        return [fast[k - 1] - slow[k - 1] if k >= 78 else None for k in out]

    def make(name):
        if name in ("ema20_slope", "ema100_slope"):
            span = int(name[3:-6])
            e = ema(close, span)
            return from_bar(10 * span, lambda i: e[i] - e[i - 1])
        if name == "pos_vs_ema200":
            e = ema(close, 200)
            return from_bar(2000, lambda i: close[i] / e[i] - 1)
        if name == "trend_regime_tf24h":
            e = ema(close, 100)
            return from_bar(1288, lambda i: (e[i] - e[i - 288]) / (atr(100, i) + 1e-8))
        return {
            "atr14": lambda: from_bar(14, atr14),
            "atr50": lambda: from_bar(50, lambda i: atr(50, i)),
            "atr_bps": lambda: from_bar(14, lambda i: atr14(i) / close[i] * 10**4),
            "atr_regime_id": regimes,
            "atr_z": lambda: from_bar(200, lambda i: atr(50, i) / (atr(200, i) + 1e-8) - 1),
            "body_pct": lambda: from_bar(0, lambda i: (close[i] - open_[i]) / (high[i] - low[i] + 1e-8)),
            "h1_trend": lambda: trend(1),
            "h4_trend": lambda: trend(4),
            "range_pos": lambda: from_bar(19, range_pos),
            "roc20": lambda: from_bar(20, lambda i: close[i] / close[i - 20] - 1),
            "roc100": lambda: from_bar(100, lambda i: close[i] / close[i - 100] - 1),
            "session_id": lambda: [float(sessions.order.index(sessions.of(b))) for b in bars],
            "spread_bps": lambda: from_bar(0, lambda i: spread_bps(bars[i])),
            "std50": lambda: from_bar(49, std50),
            "wick_asym": lambda: from_bar(0, wick),
        }[name]()

    return [make(name) for name in names]


def spread_bps(bar):
    return (bar.ask["close"] - bar.bid["close"]) / bar.bid["close"] * 10**4


# ---- Signals: gate, model, entry rule

def skipped(gate, bar, session, atr):
    if gate.get("allow_sessions") and session not in gate["allow_sessions"]:
        return "session_not_allowed"
    if gate.get("max_spread_bps") is not None and spread_bps(bar) > gate["max_spread_bps"]:
        return "spread_too_high"
    if atr is not None and gate.get("min_atr_bps") is not None and atr < gate["min_atr_bps"]:
        return "atr_too_low"
    if atr is not None and gate.get("max_atr_bps") is not None and atr > gate["max_atr_bps"]:
        return "atr_too_high"
    return None


def per_side(value, default):
    if isinstance(value, dict):
        return {side: value.get(side, default) for side in ("long", "short")}
    return dict.fromkeys(("long", "short"), default if value is None else value)


def log_odds(p):
    return -math.inf if p == 0 else math.inf if p == 1 else math.log(p / (1 - p))


def signals(policy, bars, sessions, counts):
    model, entry = policy["model"], policy.get("entry") or {}
    weights = {side: model[side].get("weights", {}) for side in ("long", "short")}
    names = policy.get("features") or sorted({*weights["long"], *weights["short"]})
    table = columns(bars, sessions, names)
    atrs = columns(bars, sessions, ["atr_bps"])[0]
    gate = (policy.get("replay_config") or {}).get("replay_pregate") or {}
    least, lead = per_side(entry.get("p_side_min"), 0.5), per_side(entry.get("margin_min"), 0)
    for i, bar in enumerate(bars):
        values = [column[i] for column in table]
        if None in values or i < policy.get("warmup_bars", 0):
            counts["bars_skipped_warmup"] += 1
            continue
        session = sessions.of(bar)
        if gate.get("enabled"):
            reason = skipped(gate, bar, session, atrs[i])
            if reason:
                counts["skip:" + reason] += 1
                continue
        counts["n_model_calls"] += 1
        score = {}
        for side in ("long", "short"):
            score[side] = float(model[side].get("bias", 0))
            for name, value in zip(names, values):
                score[side] += weights[side].get(name, 0) * value
        if score["long"] == score["short"]:
            continue
        side, other = ("long", "short") if score["long"] > score["short"] else ("short", "long")
        p = {s: 1 / (1 + math.exp(-score[s])) for s in score}
        if score[side] < log_odds(least[side]) or p[side] - p[other] < lead[side]:
            continue
        if entry.get("sessions") and session not in entry["sessions"]:
            continue
        yield i, side, p[side]


# ---- One signal to its exit

class Trade:
    def __init__(self, policy, bars, signal, side, score):
        self.bars, self.signal, self.side, self.score = bars, signal, side, score
        self.long = side == "long"
        self.sign = 1 if self.long else -1
        self.rules = policy.get("exit") or {}
        self.replay = policy.get("replay") or {}
        self.at_close = self.replay.get("fill") == "signal_close"
        self.entry_bar = self.exit_bar = self.reason = None
        self.mae = self.mfe = 0.0
        self.mae_n = self.mfe_n = 0

    def pnl(self, price):
        return self.sign * ((price - self.entry) / self.entry) * 10**4

    def level(self, bps):
        return self.entry * (1 + self.sign * bps / 10**4)

    def leaving(self, bar):
        return bar.bid if self.long else bar.ask

    def better(self, a, b):
        return a > b if self.long else a < b

    def look(self, price, n):
        bps = self.pnl(price)
        if bps > self.mfe:
            self.mfe, self.mfe_n = bps, n
        if bps < self.mae:
            self.mae, self.mae_n = bps, n

    def close(self, bar, n, price, reason):
        self.look(price, n)
        self.exit_bar, self.exit, self.reason = bar, price, reason

    def follow(self, max_gap):
        bars, x = self.bars, self.rules
        following = self.signal + 1
        if following == len(bars) or bars[following].time - bars[self.signal].time > max_gap:
            return
        self.entry_bar = self.signal if self.at_close else following
        entering = (bars[self.entry_bar].ask if self.long else bars[self.entry_bar].bid)
        self.entry = entering["close" if self.at_close else "open"]
        stop = target = None
        if x.get("stop_bps") is not None:
            stop = (self.level(-x["stop_bps"]), "stop")
        if x.get("target_bps") is not None:
            target = self.level(x["target_bps"])
        best, trailing, judged = self.entry, False, None
        rule_a, rule_a_best = False, None
        n = 0
        for i in range(following, len(bars)):
            n += 1
            q = self.leaving(bars[i])
            worst, favour = (q["low"], q["high"]) if self.long else (q["high"], q["low"])
            if judged:
                return self.close(i, n, q["open"], judged)
            if stop and not self.better(worst, stop[0]):
                price = q["open"] if self.better(stop[0], q["open"]) else stop[0]
                return self.close(i, n, price, stop[1])
            if target is not None and not self.better(target, favour):
                return self.close(i, n, q["open"] if self.better(q["open"], target) else target, "target")
            self.look(q["low"], n)
            self.look(q["high"], n)
            # The stop for the next bar.
            if self.better(favour, best):
                best = favour
            candidates = []
            b, t = x.get("break_even"), x.get("trailing")
            if b and self.mfe >= b["activate_bps"]:
                candidates.append((self.level(b.get("offset_bps", 0)), "break_even"))
            if t:
                within = t.get("within_bars", 0)
                if (within == 0 or n <= within) and self.mfe >= t.get("activate_bps", 0):
                    trailing = True
                if trailing:
                    candidates.append((best - self.sign * self.entry * (t["distance_bps"] / 10**4), "trailing"))
            for c in candidates:
                if stop is None or self.better(c[0], stop[0]):
                    stop = c
            # Judged at the close.
            pnl = self.pnl(q["close"])
            if x.get("rule_a"):
                a = {"profit_min_bps": 6, "profit_max_bps": 9, "adaptive_threshold_bps": 4, "adaptive_bars": 3, "trailing_stop_bps": 2}
                a.update({} if x["rule_a"] is True else x["rule_a"])
                if rule_a:
                    rule_a_best = max(rule_a_best, pnl)
                elif n <= a["adaptive_bars"] and pnl >= a["adaptive_threshold_bps"]:
                    rule_a, rule_a_best = True, pnl
                if rule_a and pnl <= rule_a_best - a["trailing_stop_bps"]:
                    judged = "RULE_A_TRAILING"
                elif not rule_a and a["profit_min_bps"] <= pnl <= a["profit_max_bps"]:
                    judged = "RULE_A_PROFIT"
            if not judged and x.get("max_bars") and n >= x["max_bars"]:
                judged = "max_bars"
            if judged and self.at_close:
                return self.close(i, n, q["close"], judged)
        last = len(bars) - 1
        if self.replay.get("close_open_trades_at_end", True):
            source = self.replay.get("eof_price_source", "side")
            bar = bars[last]
            price = self.leaving(bar)["close"] if source == "side" else getattr(bar, source)["close"]
            self.close(last, n, price, self.replay.get("eof_close_reason", "REPLAY_EOF"))
        else:
            self.open_pnl = self.pnl(self.leaving(bars[last])["close"])


# ---- Selection

def select(policy, trades, last_bar, counts):
    risk = policy.get("risk") or {}
    most = risk.get("max_open_trades") or (policy.get("execution") or {}).get("max_open_trades") or 1
    per = risk.get("max_open_trades_per_side") or 0
    after_entry, after_exit = risk.get("cooldown_bars_after_entry", -1), risk.get("cooldown_bars_after_exit", -1)
    taken, open_, last_exit = [], [], None
    for t in trades:
        e = t.entry_bar
        if e is None:
            counts["drop:entry_expired"] += 1
            continue
        for o in open_:
            if o.exit_bar is not None and o.exit_bar < e:
                last_exit = o.exit_bar if last_exit is None else max(last_exit, o.exit_bar)
        open_ = [o for o in open_ if (last_bar if o.exit_bar is None else o.exit_bar) >= e]
        if len(open_) >= most:
            counts["drop:max_open_trades"] += 1
        elif per > 0 and sum(o.side == t.side for o in open_) >= per:
            counts["drop:max_open_trades_per_side"] += 1
        elif after_entry >= 0 and taken and e - taken[-1].entry_bar <= after_entry:
            counts["drop:cooldown_bars_after_entry"] += 1
        elif after_exit >= 0 and last_exit is not None and e - last_exit <= after_exit:
            counts["drop:cooldown_bars_after_exit"] += 1
        else:
            taken.append(t)
            open_.append(t)
    return taken


# ---- Costs, and the rows

def charges(costs, t, entered, left):
    hour, nights = costs.get("rollover_hour_utc", 22), 0
    at = entered.replace(hour=0, minute=0, second=0, microsecond=0) + hour * HOUR
    while at <= left:
        if at > entered:
            day = at.strftime("%A").lower()
            triple = costs.get("triple_swap_weekday")
            nights += 1 if not triple else 3 if day == triple else 0 if day in ("saturday", "sunday") else 1
        at += DAY
    v = 1 + t.exit / t.entry
    commission = costs.get("commission_bps", 0) * v + costs.get("commission_per_trade_bps", 0)
    swap = nights * costs.get("swap_%s_bps_per_night" % t.side, 0)
    slippage = costs.get("slippage_bps", 0) * v
    return {"nights": nights, "commission_bps": commission, "swap_bps": swap, "slippage_bps": slippage,
            "net_pnl_bps": t.pnl(t.exit) - commission - swap - slippage}


def row(policy, sessions, t):
    bars = t.bars
    entered, left = bars[t.entry_bar].time, bars[t.exit_bar].time
    pnl = t.pnl(t.exit)

    def distance(n):
        return n - 1 if n > 0 and not t.at_close else n

    out = {
        "trade_id": "T%09d" % t.signal, "entry_time": stamp(entered), "exit_time": stamp(left), "pnl_bps": pnl,
        "mae_bps": -t.mae, "mfe_bps": t.mfe, "time_to_mae_bars": distance(t.mae_n), "time_to_mfe_bars": distance(t.mfe_n),
        "close_to_mfe_bps": t.mfe - pnl if t.mfe > 0 else 0.0, "exit_efficiency": pnl / t.mfe if t.mfe > 0 else 1.0,
        "duration_bars": t.exit_bar - t.entry_bar, "side": t.side, "session": sessions.of(bars[t.signal]),
        "exit_reason": t.reason, "entry_price": t.entry, "exit_price": t.exit, "score": t.score,
        "signal_bar": t.signal, "entry_bar": t.entry_bar, "exit_bar": t.exit_bar,
    }
    if policy.get("costs") is not None:
        out.update(charges(policy["costs"], t, entered, left))
    return out


def stamp(at):
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


DURATION = {"h": HOUR, "m": HOUR / 60, "s": HOUR / 3600}


def main(policy_path, bars_path, spread="2"):
    with open(policy_path) as f:
        policy = json.load(f)
    bars = read_bars(bars_path, float(spread))
    sessions, counts, length = Sessions(policy), Counter(), bar_length(bars)
    given = (policy.get("entry") or {}).get("max_gap", "0s")  # one number and one unit
    max_gap = float(given[:-1]) * DURATION[given[-1]]
    if not max_gap:
        max_gap = max(2 * length, 5 * DAY) if length >= DAY else 2 * length
    trades = []
    for i, side, score in signals(policy, bars, sessions, counts):
        t = Trade(policy, bars, i, side, score)
        t.follow(max_gap)
        trades.append(t)
    taken = select(policy, trades, len(bars) - 1, counts)
    closed = [t for t in taken if t.exit_bar is not None]
    counts["n_signals"], counts["trades_open"] = len(trades), len(taken) - len(closed)
    json.dump({"rows": [row(policy, sessions, t) for t in closed], "counts": counts,
               "open_pnl_bps": sum(t.open_pnl for t in taken if t.exit_bar is None)}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
