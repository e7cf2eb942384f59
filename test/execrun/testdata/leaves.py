"""A replay that leaves something else at a path than it was asked to.

    leaves.py WHAT SECRETS

SECRETS is a directory that the run's user can read and that is none of the
run's. It has a file secret.json, and trades.csv.
"""

import json
import os
import shutil
import sys
import time


def main():
    what, secrets = sys.argv[1:]
    with open(os.environ["GX1R_TASK_FILE"]) as f:
        task = json.load(f)
    out, attempt = task["out_dir"], os.path.dirname(os.environ["GX1R_TASK_FILE"])
    secret = os.path.join(secrets, "secret.json")
    log = os.path.join(os.environ["GX1TEST_BARLOG"], "%d.log" % os.getpid())
    with open(log, "a") as f:
        for bar in range(task["first_bar"], task["end_bar"]):
            f.write("%d %d %d\n" % (task["chunk_idx"], task["attempt"], bar))
    print("this is what it printed", file=sys.stderr, flush=True)
    say(task, {"bars_processed": task["planned_bars"]})
    footer = {"status": "ok", "chunk_id": task["chunk_id"], "bars_processed": task["planned_bars"]}
    kind, _, name = what.partition(" ")
    path = {
        "footer": task["footer_file"], "progress": task["progress_file"], "stop": task["stop_file"],
        "out": out, "attempt": attempt, "trades": os.path.join(out, "trades.csv"),
    }.get(name) or os.path.join(attempt, name)
    if name != "footer":
        with open(task["footer_file"], "w") as f:
            json.dump(footer, f)
    if name == "attempt":
        os.rename(path, path + ".moved")
    elif os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)
    if kind == "pipe":
        os.mkfifo(path)
    elif name in ("out", "attempt"):
        os.symlink(secrets, path)
    elif name == "trades":
        os.symlink(os.path.join(secrets, "trades.csv"), path)
    else:
        os.symlink(secret, path)
    if name == "stop":
        with open(os.path.join(os.environ["GX1TEST_BARLOG"], "ready"), "w"):
            pass
        time.sleep(600)
    if what == "pipe footer" or name == "out":
        say(task, dict(footer, final=True))
        time.sleep(0.2)


def say(task, report):
    print("GX1 " + json.dumps(report), flush=True)


main()
