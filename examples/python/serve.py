"""One process for many chunks, because its start is costly (--exec-serve).

Imports, a model, a table of features: what takes long is done once for each
worker, and not once for each chunk.

    coordinator run --policy examples/python/policy.yaml --data synthetic:20000 --chunks 64 \\
        --engine exec --exec-serve --slice-format csv --exec-tail-bars 48 --exec-digest 'examples/python/*.py' \\
        -- python3 examples/python/serve.py

By hand it asks for chunks on standard input, a line each: {"task": "PATH"}.
"""

import time

import gx1replay
import replay_protocol


def main():
    load_model()

    def handle(task):
        status, counters = replay_protocol.replay(task)
        gx1replay.finish(status, **counters)

    gx1replay.serve(handle)


def load_model():
    time.sleep(0.5)  # stands for imports and gigabytes


if __name__ == "__main__":
    main()
