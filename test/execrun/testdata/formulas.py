"""A replay whose trades have cells that a spreadsheet takes for formulas."""

import csv
import json
import os

with open(os.environ["GX1R_TASK_FILE"]) as f:
    task = json.load(f)
log = os.path.join(os.environ["GX1TEST_BARLOG"], "%d.log" % os.getpid())
with open(log, "a") as f:
    for bar in range(task["first_bar"], task["end_bar"]):
        f.write("%d %d %d\n" % (task["chunk_idx"], task["attempt"], bar))
with open(os.path.join(task["out_dir"], "trades.csv"), "w", newline="") as f:
    out = csv.writer(f, lineterminator="\n")
    out.writerow(["time", "pnl_bps", "=note", "why"])
    out.writerow(["2026-01-05T07:05:00Z", "-1.5", "=cmd|' /C calc'!A0", "+1+1"])
    out.writerow(["2026-01-05T07:10:00Z", "+2.5", "plain, with a comma", "-0.25"])
    out.writerow(["2026-01-05T07:15:00Z", "-0.0", "\t=1", "@SUM(1)"])
with open(task["footer_file"], "w") as f:
    json.dump({"status": "ok", "bars_processed": task["planned_bars"], "n_trades_closed": 3}, f)
