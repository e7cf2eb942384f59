"""A replay that adds earlier bars to its chunk by itself, and counts them, too.

    padded.py FORM BAR_MS

FORM is how its progress looks: plain, tqdm or json. It knows nothing of a stop.
"""

import json
import os
import sys
import time

form, pace = sys.argv[1], float(sys.argv[2]) / 1000
with open(os.environ["GX1R_TASK_FILE"]) as f:
    task = json.load(f)
padding = min(150, task["first_bar"])
total = padding + task["planned_bars"]
log = open(os.path.join(os.environ["GX1TEST_BARLOG"], "%d.log" % os.getpid()), "a", buffering=1)
for n in range(1, total + 1):
    time.sleep(pace)
    if n > padding:
        log.write("%d %d %d\n" % (task["chunk_idx"], task["attempt"], task["first_bar"] + n - padding - 1))
    if form == "plain":
        print("replayed %d/%d bars" % (n, total))
    elif form == "tqdm":
        print("\r%3d%%|####      | %d/%d [00:01<00:02, 200.00it/s]" % (100 * n // total, n, total), end="", flush=True)
    else:
        print("GX1 " + json.dumps({"bars_processed": n, "total": total}))
