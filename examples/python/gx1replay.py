"""gx1replay: what a replay in Python says to GX1 Replay, and hears from it.

One file, no dependency, Python 3.8 or newer: copy it beside your script. You
can do without it: docs/exec.md says what it does.

    import gx1replay

    gx1replay.install()
    task = gx1replay.task()
    status = "ok"
    for n, bar in enumerate(own_bars, 1):
        if gx1replay.stop_requested():
            status = "stopped"
            break
        ...
        gx1replay.progress(n, n_trades_closed=len(trades))
    gx1replay.finish(status)

Counters are cumulative and have the names of the chunk's footer
(docs/perf-json.md). Started by hand, without GX1 Replay, all of it works, and
progress is printed.
"""

import atexit
import json
import os
import select
import signal
import sys
import time
import traceback

WRITE_EVERY = 0.2  # seconds between two reports of progress
LOOK_EVERY = 0.1  # seconds between two looks at the stop file


class Task(dict):
    """The task file: task["slice"]["path"], or task.slice.path."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError("the task has no %r" % name) from None


def task(path=None, **by_hand):
    """The task that this process was started for.

    Where there is none, because it was started by hand, it is made of by_hand:
    task(slice={"path": "bars.csv", "first_own_row": 0}, out_dir=".").
    """
    path = path or os.environ.get("GX1R_TASK_FILE")
    if not path:
        return json.loads(json.dumps(by_hand), object_hook=Task)
    with open(path, encoding="utf-8") as f:
        return json.load(f, object_hook=Task)


def install():
    """Has SIGTERM ask for a stop; it would end this process at once."""
    owner = os.getpid()

    def ask(number, frame):
        if os.getpid() == owner:
            _state.terminated = True
        else:  # a fork of it, such as a pool's, dies as it would have
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, ask)


def stop_requested():
    """Whether to stop now. It is cheap: call it at every bar."""
    now = time.monotonic()
    if now - _state.looked >= LOOK_EVERY:
        _state.looked = now
        if _state.stop_file and os.path.exists(_state.stop_file):
            _state.stopping = True
        if _state.serving:
            _read_requests(0)
    return _state.stopping or _state.terminated


def progress(bars_processed, **counters):
    """Reports that so many own bars are done. It is cheap: call it at every
    bar. A few reports a second are written, and always the last one."""
    _state.counters.update(counters, bars_processed=bars_processed)
    _state.unwritten = True
    if time.monotonic() - _state.written >= WRITE_EVERY:
        _write_progress()


def finish(status="ok", **counters):
    """Leaves the footer, the last word on this chunk: "ok" when all own bars
    are done, "stopped" when a stop was heeded before that."""
    _state.counters.update(counters)
    _state.unwritten = True
    _write_progress()
    _state.footer = dict(_state.counters, status=status)
    if _state.footer_file:
        aside = _state.footer_file + ".tmp"
        with open(aside, "w", encoding="utf-8") as f:
            f.write(_text(_state.footer))
        os.replace(aside, _state.footer_file)
    elif not _state.serving:
        _say(dict(_state.footer, final=True))


def serve(handler):
    """Serves chunk after chunk (--exec-serve): calls handler(task) for each.

    The handler does for one chunk what a script would do. If it raises, this
    chunk has failed, and the next one is served. serve returns when no more
    chunks come, and after SIGTERM.
    """
    install()
    _state.serving = True
    while True:
        while not (_state.tasks or _state.ended or _state.terminated):
            _read_requests(0.5)
        if _state.terminated or not _state.tasks:
            return
        one = task(_state.tasks.pop(0))
        _state.begin(one.chunk_id, one.stop_file, one.progress_file, one.footer_file)
        try:
            handler(one)
            if _state.footer is None:
                finish("stopped" if stop_requested() else "ok")
        except Exception as error:
            traceback.print_exc()
            finish("failed", error=repr(error), error_traceback=traceback.format_exc()[-5000:])
        print(flush=True)  # ends a line that the handler left open
        _say(dict(_state.footer, chunk_id=one.chunk_id, final=True))


class _State:
    """What this process was asked for, and what it has said of its chunk."""

    def __init__(self):
        self.terminated = False  # by SIGTERM
        self.serving = False
        self.ended = False  # no more requests
        self.tasks = []  # paths, not yet begun
        self.rest = b""  # of a line on standard input
        env = os.environ.get
        self.begin(env("GX1_CHUNK_ID"), env("GX1R_STOP_FILE"), env("GX1R_PROGRESS_FILE"), env("GX1R_FOOTER_FILE"))

    def begin(self, chunk_id, stop_file, progress_file, footer_file):
        self.chunk_id = chunk_id
        self.stop_file = stop_file
        self.progress_file = progress_file
        self.footer_file = footer_file
        self.stopping = False
        self.counters = {}
        self.footer = None
        self.unwritten = False
        self.written = self.looked = 0.0


_state = _State()


def _read_requests(wait):
    """Takes what the worker has written, waiting for it so many seconds."""
    if _state.ended or not select.select([0], [], [], wait)[0]:
        return
    data = os.read(0, 1 << 16)
    _state.ended = not data
    *lines, _state.rest = (_state.rest + data).split(b"\n")
    for line in lines:
        request = json.loads(line)
        if "task" in request:
            _state.tasks.append(request["task"])
        elif str(request.get("stop")) == str(_state.chunk_id):
            _state.stopping = True


def _write_progress():
    if not _state.unwritten:
        return
    _state.unwritten = False
    _state.written = time.monotonic()
    if not _state.progress_file:
        _say(_state.counters)
        return
    with open(_state.progress_file, "a", encoding="utf-8") as f:
        f.write(_text(_state.counters) + "\n")


atexit.register(_write_progress)


def _say(report):
    print("GX1 " + _text(report), flush=True)


def _text(report):
    # numpy's numbers are none to json; item() makes them Python's.
    return json.dumps(report, default=lambda v: v.item() if hasattr(v, "item") else str(v))
