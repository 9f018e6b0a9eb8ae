# Runs ministack until standard input ends.
#
# The stack that starts this holds the other end of the pipe and never writes to it. However that
# process ends, even by SIGKILL, the pipe ends with it, and so does the emulator.
import os
import runpy
import signal
import sys
import tempfile
import threading
import time

STOP_SECONDS = 10


def end_with_the_stack():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS)
    os.killpg(0, signal.SIGKILL)


def run():
    # Until the emulator has a handler of its own: a stack may stop while it starts, and the folder must go then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="legwork-emulator-") as scratch:
        os.environ["TMPDIR"] = tempfile.tempdir = scratch
        # Even without kept data, the emulator writes some files there.
        os.environ.setdefault("STATE_DIR", scratch)
        threading.Thread(target=end_with_the_stack, daemon=True).start()
        sys.argv = ["ministack"]
        try:
            runpy.run_module("ministack", run_name="__main__")
        finally:
            # Functions that the emulator started are in its process group.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.killpg(0, signal.SIGTERM)


run()
