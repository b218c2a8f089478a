"""The processes of the stack: whom to kill, and how to start and stop services."""
import os
import signal
import time

from driver import as_service
from lib import VAR


def service(command, name):
    return as_service('exec sv -w 20 "$1" "$FOVEA_VAR/service/$2"', command, name)


def pid_of(name):
    """The process that runsv looks after, or None while there is none."""
    try:
        with open(os.path.join(VAR, "service", name, "supervise", "pid"), encoding="ascii") as f:
            return int(f.read())
    except (OSError, ValueError):
        return None


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(word) for word in f.read().split()]
    except OSError:
        return []


def kill(pid, number=signal.SIGKILL):
    """False: it was gone already."""
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def until(truth, limit_s=20, step_s=0.02):
    """Whether it came true; looked at again and again."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if truth():
            return True
        time.sleep(step_s)
    return False
