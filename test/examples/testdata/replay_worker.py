"""A stand-in for the original's replay_worker.py: its arguments, its files and
its quirks, none of its code.

- chunk_id is a number, and what it does not know is null.
- The footer is at <output-dir>/chunk_<id>/chunk_footer.json. STANDIN_VERSION
  later (the default): only when all went well. early: always.
- SIGTERM sets GX1_STOP_REQUESTED, which the loop looks at, as it looks at one
  that it inherited. A stopped one exits with 1, and its footer, if it leaves
  one, claims the whole chunk.
- It logs each GX1_CHECKPOINT_EVERY_BARS bars.

STANDIN_BAR_MS makes it as slow as the original.
"""

import argparse
import csv
import hashlib
import json
import logging
import os
import signal
import sys
import time
from datetime import datetime

log = logging.getLogger("replay_worker")


def read_bundle(args):
    with open(os.path.join(args.bundle_dir, "model.json"), "rb") as f:
        if hashlib.sha256(f.read()).hexdigest() != args.bundle_sha256:
            sys.exit("the bundle is not that of --bundle-sha256")
    if not os.path.isfile(args.prebuilt_parquet):
        sys.exit("there is no file of --prebuilt-parquet")


def read_policy(path):
    """As the original: includes are paths from the policy, and are no maps."""
    with open(path, "rb") as f:
        text = f.read()
    with open(os.environ["STANDIN_POLICY"], "rb") as f:
        if f.read() != text:
            sys.exit("--policy-yaml is not the file that was given to the run")
    for key in ("entry_config", "exit_config"):
        values = [line[len(key) + 1 :].split("#")[0].strip() for line in text.decode().splitlines() if line.startswith(key + ":")]
        if len(values) != 1 or not values[0]:
            sys.exit("%s is no path: %r" % (key, values))
        with open(os.path.join(os.path.dirname(path), values[0])) as f:
            f.read()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunk-id", type=int, required=True)
    parser.add_argument("--chunk-start", type=datetime.fromisoformat, required=True)
    parser.add_argument("--chunk-end", type=datetime.fromisoformat, required=True)
    for name in ("--data-path", "--policy-yaml", "--output-dir", "--run-id", "--bundle-dir", "--bundle-sha256", "--prebuilt-parquet"):
        parser.add_argument(name, required=True)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="[%(levelname)s] %(message)s")
    signal.signal(signal.SIGTERM, lambda number, frame: os.environ.update(GX1_STOP_REQUESTED="1"))

    chunk_dir = os.path.join(args.output_dir, "chunk_%d" % args.chunk_id)
    os.makedirs(chunk_dir, exist_ok=True)
    read_bundle(args)
    read_policy(args.policy_yaml)
    with open(args.data_path, newline="") as f:
        rows = [(datetime.fromisoformat(r["time"]), float(r["close"])) for r in csv.DictReader(f)]
    own = [(when, close) for when, close in rows if args.chunk_start <= when <= args.chunk_end]

    every = int(os.environ.get("GX1_CHECKPOINT_EVERY_BARS", "1000"))
    pause = float(os.environ.get("STANDIN_BAR_MS", "0")) / 1000
    began = time.time()
    trades, before = [], None
    stopped = False
    for n, (when, close) in enumerate(own, 1):
        if os.environ.get("GX1_STOP_REQUESTED") == "1":
            stopped = True
            break
        if before and close > before * 1.0005:
            trades.append([when.isoformat(), (close / before - 1) * 10000])
        before = close
        time.sleep(pause)
        if n % every == 0:
            log.info("[CHUNK %d] bars %d/%d", args.chunk_id, n, len(own))

    if not stopped or os.environ.get("STANDIN_VERSION") == "early":
        with open(os.path.join(args.output_dir, "trade_outcomes_%s.csv" % args.run_id), "w", newline="") as f:
            out = csv.writer(f)
            out.writerow(["entry_time", "pnl_bps"])
            out.writerows(trades)
        wall = time.time() - began
        footer = {
            "run_id": args.run_id,
            "chunk_id": args.chunk_id,
            "status": "stopped" if stopped else "ok",
            "error": None,
            "error_traceback": None,
            "n_model_calls": len(own),
            "n_trades_closed": len(trades),
            "wall_clock_sec": wall,
            "total_bars": len(own),
            "bars_processed": len(own),
            "bars_per_sec": len(own) / wall if wall else None,
            "feature_time_mean_ms": float("nan"),
            "feature_timeout_count": None,
            "start_ts": args.chunk_start.isoformat(),
            "end_ts": args.chunk_end.isoformat(),
            "worker_time_sec": wall,
            "pid": os.getpid(),
            "timestamp": datetime.now().isoformat(),
        }
        with open(os.path.join(chunk_dir, "chunk_footer.json"), "w") as f:
            json.dump(footer, f, indent=2)
    if stopped:
        log.warning("[CHUNK %d] stopped", args.chunk_id)
        sys.exit(1)


if __name__ == "__main__":
    main()
