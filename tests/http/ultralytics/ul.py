"""What the Ultralytics stories share: accounts, forms, faults, models written by hand, and what is stored.

Every story makes accounts of its own, so that stories may run in any order, and twice, on one stack.
"""
import hashlib
import json
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, os.path.dirname(HERE))
import lib  # noqa: E402
from lib import (HTTP_URL, HTTPS_URL, KEY, VAR, call, check, equal, finish, fovea, gated, multipart, note, restart, skip,  # noqa: E402,F401
                 sql, stack)

API = "/ultralytics/api"
FIXTURES = os.environ.get("FOVEA_FIXTURES", os.path.join(ROOT, "..", "shared", "fixtures"))
DIGITS = os.path.join(ROOT, "demo", "digits.onnx")
PAGE = os.path.join(ROOT, "demo", "page.jpg")
NOTHING = "0123456789abcdef01234567"  # an id in the right form that nobody has

_made = 0


def read(path):
    with open(path, "rb") as f:
        return f.read()


def fixture(*parts):
    """Path of a fixture, or None where the folder is absent."""
    path = os.path.join(FIXTURES, *parts)
    return path if os.path.exists(path) else None


# --- accounts and requests ---------------------------------------------------------------------------------------

def account(plan="enterprise", scopes=None):
    """A new account: (handle, key). Without scopes the key may do all but administer."""
    global _made
    _made += 1
    handle = f"u{os.getpid() % 100000}x{int(time.time() * 10) % 1000000:x}{_made}"[:16]
    fovea("user", "add", handle, "--email", f"{handle}@example.org", "--name", handle, "--plan", plan)
    return handle, key_of(handle, scopes)


def key_of(handle, scopes=None):
    words = ["key", "create", "--user", handle, "--name", "story"]
    return fovea(*words, *(["--scopes", scopes] if scopes else [])).strip()


class Client:
    """One key against one mount."""

    def __init__(self, key, mount=API, base=lib.HTTP_URL):
        self.key, self.mount, self.base = key, mount, base

    def __call__(self, method, path, body=None, headers=None, **more):
        return call(method, self.mount + path, body, headers, key=self.key, base=self.base, **more)

    def form(self, path, fields, files, **more):
        kind, body = multipart(fields, files)
        return self("POST", path, body, {"Content-Type": kind, **more.pop("headers", {})}, **more)

    def project(self, name="Project", **more):
        return made(self("POST", "/projects", {"name": name, **more}))["projectId"]

    def model(self, project, data=None, name="Model", file="m.onnx"):
        return made(self.form("/models", {"projectId": project, "name": name},
                              {"file": (file, data or read(DIGITS))}))[
            "modelId"]


def made(answer):
    """The body of an answer that a story stands on; without it the rest makes no sense."""
    if answer.status not in (200, 201):
        check(False, "a step that the story stands on", answer)
        lib.finish()
    return answer.json()


def refused(answer, status, text, field=None, code=None, word=None, details=True):
    """The error form of the seed, whole. field: details.field; word: part of the message; details=False: from nginx."""
    codes = {401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 429: "RATE_LIMITED", 500: "INTERNAL_ERROR",
             502: "INTERNAL_ERROR", 503: "INTERNAL_ERROR"}
    if answer.status != status:
        return check(False, text, f"want {status}", answer)
    try:
        body = answer.json()
        error = body["error"]
        told = error.get("details", {})
        wrong = [
            what for what, bad in (
                ("keys", set(body) != {"success", "error", "message"}),
                ("success", body["success"] is not False),
                ("code", error["code"] != (code or codes.get(status, "VALIDATION_ERROR"))),
                ("message", not error["message"] or error["message"] != body["message"]),
                ("error keys", not set(error) <= {"code", "message", "details"}),
                ("details", details and told.get("requestId") != answer.headers["X-Request-ID"]),
                ("field", told.get("field") != field),
                ("word", word and word not in error["message"]),
                ("type", not answer.headers["Content-Type"].startswith("application/json")),
            ) if bad
        ]
    except (ValueError, KeyError, TypeError) as broken:
        wrong = [repr(broken)]
    return check(not wrong, text, f"wrong: {wrong}; field {field!r}, word {word!r}", answer)


# --- what is stored ----------------------------------------------------------------------------------------------

_tables = None


def stored():
    """(rows by table, files below the media folder): bookkeeping of keys, requests and jobs left out,
    and what jobs find out about models that are there."""
    global _tables
    if _tables is None:
        skipped = ("job", "usage", "counter", "schema_migration", "precision_verdict", "plan_check",
                   "calibration")
        _tables = [t for t in sql("SELECT tablename FROM pg_tables WHERE schemaname = 'data'").split()
                   if t not in skipped]
    query = " UNION ALL ".join(f"SELECT '{t}', count(*) FROM data.{t}" for t in _tables)
    counters = "SELECT 'counter ' || noun, sum(n) FROM data.counter WHERE noun <> 'download' GROUP BY 1"
    rows = dict(line.split("|") for line in sql(f"{query} UNION ALL {counters}").splitlines())
    files = {os.path.join(folder, name)
             for folder, _, names in os.walk(os.path.join(VAR, "media")) for name in names}
    return rows, files


def unchanged(before, text):
    """Nothing more and nothing less is stored than before. nginx removes its spool file just after the answer."""
    for _ in range(40):
        now = stored()
        if now == before:
            break
        time.sleep(0.1)
    rows = {t: (before[0].get(t), n) for t, n in now[0].items() if before[0].get(t) != n}
    return check(now == before, text, f"rows: {rows}", f"files: {sorted(now[1] ^ before[1])}")


# --- pictures in a project, and the jobs that try models on them ------------------------------------------------

def keep(files):
    """Files of the store and their rows, put there at once; their digests."""
    digests = [hashlib.sha256(data).hexdigest() for data in files]
    with tempfile.TemporaryDirectory(dir=VAR) as folder:
        os.chmod(folder, 0o755)
        for digest, data in zip(digests, files):
            with open(os.path.join(folder, digest), "wb") as f:
                f.write(data)
        stack("sh", "-c", """cd "$1" && for d in *; do
                  to=$FOVEA_STORE/sha256/$(printf %.2s "$d")/$(printf %s "$d" | cut -c3-4)
                  mkdir -p "$to" && cat "$d" > "$to/$d"
              done""", "keep", folder)
    sql("INSERT INTO data.blob (digest, size, media_type) VALUES "
        + ", ".join(f"('\\x{d}', {len(data)}, 'image/png')" for d, data in zip(digests, files)) + " ON CONFLICT DO NOTHING")
    return digests


def add_pictures(owner, model, files, width, height, split="val", times=1):
    """Items of the default dataset of the model's project, each file so many times."""
    rows = ", ".join(f"('\\x{d}'::bytea, {len(data)})" for d, data in zip(keep(files), files))
    sql(f"INSERT INTO data.item (dataset_id, digest, bytes, name, width, height, split)"
        f" SELECT d.id, v.digest, v.bytes, 'picture', {width}, {height}, '{split}'"
        f" FROM data.model m, domain.actor_of('{owner}') a, domain.dataset_default(a, m.project_id) AS d (id),"
        f" (VALUES {rows}) AS v (digest, bytes), generate_series(1, {times}) WHERE m.id = {int(model[8:], 16)}")


def gate_again(name):
    """The recurring job that finds what the gate has to try, now; and what it found, tried."""
    key = f"{name} {os.getpid()}"
    sql(f"INSERT INTO data.job (kind, key) VALUES ('gate_models', '{key}')")
    for _ in range(200):
        if sql(f"SELECT state FROM data.job WHERE kind = 'gate_models' AND key = '{key}'") == "done":
            break
        time.sleep(0.1)
    return gated()


# --- models: ONNX files written field by field ------------------------------------------------------------------

def _varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, value):
    """One protobuf field: an int, or bytes, text and messages with their length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def onnx_value(name, shape):
    dims = b"".join(field(1, field(1, n)) for n in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))


def onnx_node(kind, inputs, outputs, name="node"):
    return (b"".join(field(1, i) for i in inputs) + b"".join(field(2, o) for o in outputs) + field(3, name)
            + field(4, kind))


def onnx(nodes, inputs, outputs, opset=13, salt=""):
    """A ModelProto; inputs and outputs are (name, shape). salt makes files of equal meaning differ."""
    graph = b"".join(field(1, n) for n in nodes) + field(2, "g")
    graph += b"".join(field(11,
                            onnx_value(*i)) for i in inputs) + b"".join(field(12, onnx_value(*o)) for o in outputs)
    return field(1, 7) + field(2, "fovea tests") + field(6, salt) + field(7, graph) + field(8, field(2, opset))


def salted(data, salt):
    """The same model under another hash: ONNX readers skip what they do not know, here doc_string."""
    return data + field(6, salt)


def pretty(value):
    return json.dumps(value, indent=1)
