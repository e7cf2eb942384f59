"""A replay that has shared memory, which Python's resource tracker removes.

    shm.py NAME

The tracker is a process of its own, heeds no SIGTERM, and removes what is left
when the script and all that have its pipe are gone.
"""

import os
import subprocess
import sys
import time
from multiprocessing import shared_memory

shared_memory.SharedMemory(create=True, size=1 << 20, name="%s-%d" % (sys.argv[1], os.getpid()))
# A helper that cleans up, too, and takes its time. It has left the group.
helper = """
import os, signal, sys, time
def end(*_):
    time.sleep(0.4)
    os.unlink(sys.argv[1])
    os._exit(0)
signal.signal(signal.SIGTERM, end)
open(sys.argv[1], "w").close()
time.sleep(600)
"""
mark = "/dev/shm/%s-%d-helper" % (sys.argv[1], os.getpid())
subprocess.Popen([sys.executable, "-c", helper, mark], stdin=subprocess.DEVNULL, start_new_session=True)
while not os.path.exists(mark):
    time.sleep(0.01)
print("ready", flush=True)
time.sleep(600)
