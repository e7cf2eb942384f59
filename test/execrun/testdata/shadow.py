"""Runs an example of a replay as it is, and logs each bar that it counts.

    shadow.py progress SCRIPT ARGS…   the script calls gx1replay.progress
    shadow.py serve SCRIPT ARGS…      and serves many chunks
    shadow.py sleep SCRIPT ARGS…      the script knows nothing of gx1replay and sleeps at each bar
    shadow.py shell SCRIPT SLICE …    a shell script that says GX1 {…} and leaves a footer

The log is GX1TEST_BARLOG/<pid>.log, a line "chunk attempt bar" for each bar,
written before the script can tell anybody of it. Beside the script two
processes are left behind, one in its group and one that has made itself a
daemon: whoever ends the script has to find them.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time


class Log:
    def __init__(self):
        path = os.path.join(os.environ["GX1TEST_BARLOG"], "%d.log" % os.getpid())
        self.fd = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)

    def begin(self, task):
        self.prefix = "%d %d " % (task["chunk_idx"], task["attempt"])
        self.first = task["first_bar"]
        self.bars = 0

    def upto(self, bars):
        """So many bars are counted. One write: a kill leaves whole lines."""
        if bars > self.bars:
            lines = [self.prefix + str(self.first + n) + "\n" for n in range(self.bars, bars)]
            os.write(self.fd, "".join(lines).encode())
            self.bars = bars


def leave_behind():
    # They hold the output open. The shell's child outlives it, and is nobody's.
    subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
    subprocess.run(["sh", "-c", "setsid sleep 600 &"], stdin=subprocess.DEVNULL)


def this_task():
    with open(os.environ["GX1R_TASK_FILE"]) as f:
        return json.load(f)


def shadow_progress(log):
    import gx1replay

    real = gx1replay.progress

    def progress(bars_processed, **counters):
        log.upto(bars_processed)
        real(bars_processed, **counters)

    gx1replay.progress = progress


def shadow_serve(log):
    import gx1replay

    real = gx1replay.serve

    def serve(handler):
        def logged(task):
            log.begin(task)
            handler(task)

        real(logged)

    gx1replay.serve = serve


def shadow_sleep(log):
    real = time.sleep

    def sleep(seconds):
        log.upto(log.bars + 1)
        real(seconds)

    time.sleep = sleep


def shell(log, script, slice_path, rest):
    """The slice comes through a pipe, a bar at a time: awk is too fast to be
    stopped in its middle."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as the script does
    task = this_task()
    pace = float(task["params"].get("bar_ms", 0)) / 1000
    pipe = os.path.join(os.path.dirname(slice_path), "paced.csv")
    os.mkfifo(pipe)

    def feed():
        before = task["slice"]["first_own_row"] + 1  # and the header
        try:
            with open(slice_path) as rows, open(pipe, "w", buffering=1) as to:
                for n, row in enumerate(rows):
                    to.write(row)
                    if n >= before:
                        time.sleep(pace)
        except BrokenPipeError:
            pass  # it has stopped

    threading.Thread(target=feed, daemon=True).start()
    child = subprocess.Popen(["sh", script, pipe, *rest], stdout=subprocess.PIPE, text=True)
    for line in child.stdout:
        if line.startswith("GX1 "):
            log.upto(json.loads(line[4:]).get("bars_processed", 0))
        sys.stdout.write(line)
        sys.stdout.flush()
    code = child.wait()
    try:
        with open(os.environ["GX1R_FOOTER_FILE"]) as f:
            log.upto(json.load(f)["bars_processed"])
    except FileNotFoundError:
        pass
    sys.exit(code)


def main():
    how, script, *args = sys.argv[1:]
    log = Log()
    if how != "serve":
        log.begin(this_task())
    leave_behind()
    if how == "shell":
        shell(log, script, args[0], args[1:])
    sys.argv = [script, *args]
    sys.path[0] = os.path.dirname(script)
    sys.dont_write_bytecode = True
    if how == "sleep":
        shadow_sleep(log)
    else:
        shadow_progress(log)
    if how == "serve":
        shadow_serve(log)
    runpy.run_path(script, run_name="__main__")


main()
