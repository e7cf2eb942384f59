"""The example of serve mode without it: each chunk loads anew.

    loading.py DIRECTORY OF THE EXAMPLES IN PYTHON
"""

import os
import sys

sys.path[0] = os.path.abspath(sys.argv.pop(1))
sys.dont_write_bytecode = True

import gx1replay
import replay_protocol
import serve

gx1replay.install()
serve.load_model()
status, counters = replay_protocol.replay(gx1replay.task())
gx1replay.finish(status, **counters)
