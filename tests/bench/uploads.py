"""Bytes in and out: processor time of large uploads, many small ones at once, signed downloads."""
import asyncio
import hashlib
import json
import mmap
import os
import subprocess
import time
import urllib.parse
import urllib.request

import models
from measure import (QUICK, VAR, comment, cpu, cpu_line, median, processes, ratio, rounds, row, spent, wanted, with_cpu)

HTTP = os.environ["FOVEA_HTTP_URL"]
KEY = os.environ["FOVEA_KEY"]
AT_ONCE = 500


def post(path, body):
    request = urllib.request.Request(HTTP + path, data=json.dumps(body).encode(), headers={
        "Authorization": "Bearer " + KEY, "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def get(path):
    request = urllib.request.Request(HTTP + path, headers={"Authorization": "Bearer " + KEY})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def child_seconds(*words):
    """Processor seconds of a command and what it starts."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise RuntimeError(" ".join(words) + " failed")
    return usage.ru_utime + usage.ru_stime


def server_seconds(run, notes):
    before = cpu()
    run()
    time.sleep(0.2)
    notes.append(spent(before, cpu()))
    return sum(value for part, value in notes[-1].items() if part != "postgres") / 1e6


def curl(*words):
    out = subprocess.run(["curl", "-sS", "-o", "-", "-w", "\n%{http_code}", *words], stdout=subprocess.PIPE, text=True,
                         check=True).stdout
    body, _, status = out.rpartition("\n")
    if status[0] != "2":
        raise RuntimeError(f"{status}: {body[:500]}")
    return json.loads(body)


def send_form(path, project):
    return curl("-H", "Authorization: Bearer " + KEY, "-F", "projectId=" + project, "-F", "name=large", "-F",
                f"file=@{path};filename=large.onnx", HTTP + "/api/models")


def warm(size=3 << 30):
    """Memory that a host lends to a virtual machine is slow when it is touched first (measured: 1 GiB written to a file
    3.5 s, written again 0.3), whoever touches it. So every contender finds the same amount of it touched and free."""
    piece = bytes(1 << 20)
    with mmap.mmap(-1, size) as memory:
        for _ in range(size // len(piece)):
            memory.write(piece)


def open_session(path, project):
    model = post("/api/models", {"projectId": project, "name": "sent"})["modelId"]
    session = post("/api/upload/signed-url", {
        "assetType": "models", "assetId": model, "filename": "large.onnx", "contentType": "application/octet-stream",
        "totalBytes": os.path.getsize(path)})
    return session["data"]["uploadUrl"]


def large(project):
    """1 GiB (the greatest model, framing taken off) through both ways, against cp and openssl."""
    path, copy = VAR + "/large.onnx", VAR + "/large.copy"
    at = models.write_model(path, (1 << 30) - 65536)
    parts, whole = [], []

    def fresh(run):
        models.reseed(path, at, os.urandom(16))
        warm()
        return run()

    def by_hand():
        used = child_seconds("cp", path, copy) + child_seconds("openssl", "dgst", "-sha256", copy)
        os.unlink(copy)
        return used

    def put():
        url = open_session(path, project)
        return server_seconds(lambda: curl("-T", path, url), whole)

    contenders = {"hand": lambda: fresh(by_hand)}
    if wanted("upload-1GiB-cpu"):
        contenders["put"] = lambda: fresh(put)
    if wanted("upload-1GiB-multipart-cpu"):
        contenders["form"] = lambda: fresh(lambda: server_seconds(lambda: send_form(path, project), parts))
    got = rounds(contenders, 2 if QUICK else 5)
    if "put" in got:
        row("upload-1GiB-cpu", median(got["put"]), "s", median(got["hand"]), ratio(got["put"], got["hand"]), "<=1.15")
        cpu_line("upload-1GiB-cpu", whole)
    if "form" in got:
        row("upload-1GiB-multipart-cpu", median(got["form"]), "s", median(got["hand"]), ratio(got["form"], got["hand"]),
            "<=1.4")
        cpu_line("upload-1GiB-multipart-cpu", parts)
    os.unlink(path)


async def send_one(at, model, place, project, n):
    """One form with a model unlike the others; its status."""
    frame = "bench-frame-%d" % n
    start = (f'--{frame}\r\nContent-Disposition: form-data; name="projectId"\r\n\r\n{project}\r\n'
             f'--{frame}\r\nContent-Disposition: form-data; name="name"\r\n\r\nsmall {n}\r\n'
             f'--{frame}\r\nContent-Disposition: form-data; name="file"; filename="m{n}.onnx"\r\n\r\n').encode()
    seed = bytes(b & 0x3F for b in os.urandom(16))
    body = start + model[:place] + seed + model[place + 16:] + f"\r\n--{frame}--\r\n".encode()
    try:
        reader, writer = await asyncio.open_connection(*at)
        writer.write((f"POST /api/models HTTP/1.1\r\nHost: {at[0]}:{at[1]}\r\nAuthorization: Bearer {KEY}\r\n"
                      f"Content-Type: multipart/form-data; boundary={frame}\r\nContent-Length: {len(body)}\r\n"
                      "Connection: close\r\n\r\n").encode() + body)
        await writer.drain()
        line = await asyncio.wait_for(reader.readline(), 120)
        await reader.read()
        writer.close()
        return int(line.split()[1])
    except (OSError, ValueError, IndexError, asyncio.TimeoutError):
        return 0


def peak_kib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as text:
        return int(next(line for line in text if line.startswith("VmHWM")).split()[1])


def many(project):
    """500 at once: no error, and the memory of the nginx worker that needed most."""
    path = VAR + "/small.onnx"
    place = models.write_model(path, 200 * 1024)
    with open(path, "rb") as data:
        model = data.read()
    url = urllib.parse.urlsplit(HTTP)
    for pid in processes("nginx"):
        with open(f"/proc/{pid}/clear_refs", "w", encoding="utf-8") as out:
            out.write("5")  # forget the peak so far

    async def all_at_once():
        return await asyncio.gather(*[send_one((url.hostname, url.port), model, place, project, n) for n in
                                      range(AT_ONCE)])

    begun = time.monotonic()
    statuses = asyncio.run(all_at_once())
    took = time.monotonic() - begun
    errors = sum(status != 201 for status in statuses)
    peak = max(peak_kib(pid) for pid in processes("nginx")) / 1024
    row("uploads-500", peak if not errors else f"{errors} errors", "MiB", 64, peak / 64 if not errors else "n/a", "<=1")
    comment(f"uploads-500: {errors} errors, {AT_ONCE / took:.0f} uploads a second; value: the larger nginx worker's peak")


def signed(project, ceilings):
    for name, size, goal in (("signed-200KB", 200 * 1024, ">=0.4"), ("signed-4MB", 4 << 20, ">=0.9")):
        if not wanted(name):
            continue
        path = f"{VAR}/{name}.onnx"
        models.write_model(path, size)
        with open(path, "rb") as data:
            digest = hashlib.sha256(data.read()).hexdigest()
        model = send_form(path, project)["modelId"]
        link = get(f"/api/models/{model}/files")["files"][0]["downloadUrl"]
        ours, notes = with_cpu(link)
        static, static_notes = with_cpu(f"{ceilings}/static/sha256/{digest[:2]}/{digest[2:4]}/{digest}")
        got = rounds({"static": static, "ours": ours})
        row(name, median(got["ours"]), "req/s", median(got["static"]), ratio(got["ours"], got["static"]), goal)
        cpu_line(name, notes)
        cpu_line(name + ", nginx alone", static_notes)


def measure(ceilings):
    names = ("signed-200KB", "signed-4MB", "uploads-500", "upload-1GiB-cpu", "upload-1GiB-multipart-cpu")
    if not wanted(*names):
        return
    project = post("/api/projects", {"name": "Bench"})["projectId"]
    signed(project, ceilings)
    if wanted("uploads-500"):
        many(project)
    if wanted("upload-1GiB-cpu", "upload-1GiB-multipart-cpu"):
        large(project)
