"""In place of a worker's process: writes down what it was given, and does what a file in the sweep's folder says.

Run as a script with the worker's arguments; it imports nothing, and so starts at once.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

folder = Path(sys.argv[1])
mine = folder / f"started-{os.getpid()}.json"
names = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
mine.write_text(json.dumps({"arguments": sys.argv[1:], **{name: os.environ.get(name) for name in names}}))
n_started = len(list(folder.glob("started-*.json")))
sys.stdout.write("these are its last words\n")
sys.stdout.flush()
plan = json.loads((folder / "plan.json").read_text())
step = plan[min(n_started, len(plan)) - 1]
if step == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if step == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
if step == "wait":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    (folder / f"waits-{os.getpid()}").touch()
    # As a worker does, it ends when the process that started it does.
    sys.stdin.read()
    (folder / f"input-ended-{os.getpid()}").touch()
    os._exit(143)
sys.exit(int(step))
