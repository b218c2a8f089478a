"""The order of durability, from a trace of the slow pool's process: for each upload, as a form and through a signed address,
on the thread that served it,

    fsync(file) < link(final name) < fsync(folder) < COMMIT sent < COMMIT answered < first byte of the answer
"""
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import time

import driver
from driver import ask, model_form, small_model
from lib import check, equal, skip
from processes import children, pid_of, until

FORMS, PUTS = 12, 8
CALLS = "fsync,fdatasync,link,linkat,rename,renameat,renameat2,sendto,sendmsg,recvfrom,recvmsg,read,write,writev"
STEPS = ("file synced", "linked", "folder synced", "commit sent", "commit answered", "answered")


def step_of(call, digest):
    """Which of the steps a line of the trace is, for the upload of this digest; None: none."""
    folder = f"sha256/{digest[:2]}/{digest[2:4]}"
    if re.match(r"(fsync|fdatasync)\(\d+<[^>]*/(tmp/in\.|spool/body/)[^>]*>\) += 0", call):
        return "file synced"
    if re.match(r"(link|linkat|rename|renameat|renameat2)\(", call) and digest in call and call.endswith("= 0"):
        return "linked"
    if re.match(rf"(fsync|fdatasync)\(\d+<[^>]*/{folder}>\) += 0", call):
        return "folder synced"
    if re.match(r"(sendto|sendmsg|write|writev)\(", call) and r"COMMIT\0" in call:
        return "commit sent"
    if re.match(r"(recvfrom|recvmsg|read)\(", call) and r"COMMIT\0" in call:
        return "commit answered"
    if re.match(r"(write|writev|sendto|sendmsg)\(", call) and re.search("Status: 20[01]", call):
        return "answered"
    return None


def calls_by_thread(lines):
    """thread -> its calls in order; a call that was interrupted in the listing is put together again."""
    threads, open_calls = {}, {}
    for line in lines:
        found = re.match(r"(\d+) +(.*)$", line.rstrip("\n"))
        if not found:
            continue
        tid, call = found.groups()
        if call.endswith("<unfinished ...>"):
            open_calls[tid] = call[: -len("<unfinished ...>")].rstrip()
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)$", call)
        if resumed:
            call = open_calls.pop(tid, "") + resumed.group(1)
        threads.setdefault(tid, []).append(call)
    return threads


def order_of(threads, digest):
    """The steps of one upload, as they came on its thread; of what came before on that thread nothing."""
    for calls in threads.values():
        at = next((i for i, call in enumerate(calls) if step_of(call, digest) == "linked"), None)
        if at is None:
            continue
        first = max([i for i in range(at) if step_of(calls[i], digest) == "answered"], default=-1) + 1
        steps = []
        for call in calls[first:]:
            step = step_of(call, digest)
            steps += [step] if step else []
            if step == "answered":
                return steps
        return steps
    return []


def in_order(steps):
    return tuple(s for s in steps if s in STEPS) == STEPS


def trace(pid, path):
    """A running strace of a process, or why there is none."""
    if not shutil.which("strace"):
        return None, "strace is not installed"
    tracer = subprocess.Popen(["strace", "-f", "-y", "-s", "300", "-e", "trace=" + CALLS, "-o", path, "-p", str(pid)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = tracer.stderr.readline()
    if "attached" in said:
        return tracer, None
    tracer.kill()
    return None, said.strip() or "strace ended"


def upload(project, name, data, session):
    """The status of one upload: as a form, or into the session."""
    if session:
        return ask("PUT", session.path, **driver.Session.sending(data))[0]
    return ask("POST", "/ultralytics/api/models", **model_form(project, name, data))[0]


def run(folder, project, _model, seed, _rounds):
    text = (f"{FORMS} forms and {PUTS} files to signed addresses: fsync(file) < link < fsync(folder) < COMMIT < its answer"
            " < first byte of ours")
    rng = random.Random(seed)
    files = [small_model(rng.randbytes(500 + 20000 * (i % 3)).hex()) for i in range(FORMS + PUTS)]
    sessions = [None] * FORMS + [driver.new_session(project, f"put-ordered-{i}", len(files[FORMS + i])) for i in range(PUTS)]
    path = os.path.join(folder, "trace")
    tracer, why_not = trace(children(pid_of("slow"))[0], path)
    if not tracer:
        skip(text, f"ptrace: {why_not}")
        return {}
    try:
        time.sleep(0.3)  # all threads are attached one by one
        statuses = [upload(project, f"ordered-{i}", files[i], session) for i, session in enumerate(sessions)]
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
    equal(statuses, [201] * FORMS + [200] * PUTS, "traced uploads succeed")
    with open(path, encoding="utf-8", errors="replace") as f:
        threads = calls_by_thread(f)
    orders = [order_of(threads, hashlib.sha256(data).hexdigest()) for data in files]
    right = sum(map(in_order, orders))
    check(right == len(files), text, *[o for o in orders if not in_order(o)])
    # The check must be able to fail: each two neighbours swapped, each step left out.
    bent = [STEPS[:i] + (STEPS[i + 1], STEPS[i]) + STEPS[i + 2:] for i in range(len(STEPS) - 1)]
    bent += [STEPS[:i] + STEPS[i + 1:] for i in range(len(STEPS))]
    check(not any(map(in_order, bent)), "the checker refuses every other order")
    check(until(lambda: ask("GET", "/readyz")[0] == 200), "it serves without the tracer")
    return {"traced uploads in order, %": 100.0 * right / len(files)}
