"""A replay that crashes in one chunk, whatever is tried.

    chunky.py CHUNK_IDX
"""

import json
import os
import sys


def main():
    with open(os.environ["GX1R_TASK_FILE"]) as f:
        task = json.load(f)
    if task["chunk_idx"] == int(sys.argv[1]):
        say(task, 3)
        deeper_down(task)
    say(task, task["planned_bars"])
    with open(task["footer_file"], "w") as f:
        json.dump({"status": "ok", "bars_processed": task["planned_bars"]}, f)


def deeper_down(task):
    raise ValueError("no price in chunk %d" % task["chunk_idx"])


def say(task, bars):
    log = os.path.join(os.environ["GX1TEST_BARLOG"], "%d.log" % os.getpid())
    with open(log, "a") as f:
        for bar in range(task["first_bar"], task["first_bar"] + bars):
            f.write("%d %d %d\n" % (task["chunk_idx"], task["attempt"], bar))
    print("GX1 " + json.dumps({"bars_processed": bars}), flush=True)


main()
