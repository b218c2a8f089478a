"""The load driver with a journal: callers that create, upload, read and predict while parts die around them.

What a caller was told is written to its own journal file before anything else happens; after the storm the journal
is compared with the API, the rows and the bytes. A change that got no 2xx is sent again with the same
Idempotency-Key until it gets one or the storm is over: then its outcome is unknown, and both are right, once.
"""
import hashlib
import http.client
import json
import os
import random
import subprocess
import threading
import time
import urllib.parse

from lib import HTTP_URL, KEY, VAR, multipart, sql

ADDRESS = urllib.parse.urlsplit(HTTP_URL)
BEARER = {"Authorization": "Bearer " + KEY}
DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), *[os.pardir] * 3, "demo")
GONE = (http.client.HTTPException, OSError)


# ---- small model files, each of its own bytes

def _varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def _field(number, value):
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    value = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def small_model(note):
    """A valid ONNX file: one Relu, and the note as its documentation."""
    shape = b"".join(_field(1, _field(1, n)) for n in (1, 3, 32, 32))
    value = [_field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, shape))) for name in "xy"]
    node = _field(1, "x") + _field(2, "y") + _field(3, "relu") + _field(4, "Relu")
    graph = _field(1, node) + _field(2, "g") + _field(11, value[0]) + _field(12, value[1])
    return _field(1, 8) + _field(8, _field(1, "") + _field(2, 12)) + _field(7, graph) + _field(6, note)


# ---- one request

def ask(method, path, body=None, headers=None, timeout=20, connection=None):
    """(status, headers, body) on a connection of its own, or on the one given."""
    own = connection or http.client.HTTPConnection(ADDRESS.hostname, ADDRESS.port, timeout=timeout)
    try:
        own.request(method, path, body=body, headers={**BEARER, **(headers or {})})
        answer = own.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        if connection is None:
            own.close()


def json_body(value, key=None):
    headers = {"Content-Type": "application/json"}
    return {"body": json.dumps(value).encode(), "headers": {**headers, **({"Idempotency-Key": key} if key else {})}}


def model_form(project, name, data, key=None):
    content_type, body = multipart({"projectId": project, "name": name}, {"file": (name + ".onnx", data)})
    headers = {"Content-Type": content_type}
    return {"body": body, "headers": {**headers, **({"Idempotency-Key": key} if key else {})}}


def made_id(body):
    return json.loads(body)["data"]["id"]


class Refused(Exception):
    """Not a 2xx where one is needed to go on."""


def make(path, request):
    """The id of what the request made."""
    try:
        status, _, body = ask("POST", path, **request)
    except GONE as e:
        raise Refused(repr(e)) from e
    if status != 201:
        raise Refused(f"{path}: {status} {body}")
    return made_id(body)


def new_project(name):
    return make("/ultralytics/api/projects", json_body({"name": name}))


class Session:
    """An upload session for a new model without weights: its address and how to complete it."""

    def __init__(self, opened):
        data = json.loads(opened)["data"]
        address = urllib.parse.urlsplit(data["uploadUrl"])
        self.path, self.id, self.row = f"{address.path}?{address.query}", data["sessionId"], int(data["sessionId"][8:], 16)

    @staticmethod
    def opening(model, size):
        return json_body({"assetType": "models", "assetId": model, "filename": "best.onnx", "totalBytes": size})

    @staticmethod
    def sending(data):
        return {"body": data, "headers": {"Content-Type": "application/octet-stream"}}

    def completing(self):
        return json_body({"sessionId": self.id})


def new_session(project, name, size):
    model = make("/ultralytics/api/models", json_body({"projectId": project, "name": name}))
    status, _, body = ask("POST", "/ultralytics/api/upload/signed-url", **Session.opening(model, size))
    if status != 200:
        raise Refused(f"signed-url: {status} {body}")
    return Session(body)


def no_trials():
    """Weights that arrive queue a job each, which would run into the plans that are meant for other jobs."""
    sql("""CREATE SCHEMA crash; CREATE FUNCTION crash.no_trials() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
           CREATE TRIGGER no_trials BEFORE INSERT ON data.job FOR EACH ROW WHEN (NEW.kind LIKE 'gate%')
           EXECUTE FUNCTION crash.no_trials();
           DELETE FROM data.job WHERE kind LIKE 'gate%' AND state = 'queued'""")


def demo_model(project):
    """The demonstration model, uploaded; and the form that asks it about its page."""
    with open(os.path.join(DEMO, "digits.onnx"), "rb") as f:
        model = make("/ultralytics/api/models", model_form(project, "digits", f.read()))
    with open(os.path.join(DEMO, "page.jpg"), "rb") as f:
        content_type, form = multipart({}, {"file": ("page.jpg", f.read())})
    return model, {"body": form, "headers": {"Content-Type": content_type}}


# ---- callers

class Caller(threading.Thread):
    """One thread, one kind of request, one journal. Readers ask on one connection as long as it holds."""

    def __init__(self, storm, kind, number):
        super().__init__(daemon=True)
        self.storm, self.kind, self.kept = storm, kind, kind == "read"
        self.name = f"{storm.tag}-{kind}-{number}"
        self.random = random.Random(f"{storm.seed}-{self.name}")
        self.connection = None
        self.n = 0
        self.journal = open(os.path.join(storm.folder, self.name), "w", encoding="ascii")

    def once(self, method, path, **request):
        """The status, or what broke. A kept connection found closed before a byte came back is opened again."""
        begun = time.monotonic()
        fresh = not self.kept or self.connection is None
        try:
            if not self.kept:
                answer = ask(method, path, **request)
            else:
                self.connection = self.connection or http.client.HTTPConnection(ADDRESS.hostname, ADDRESS.port, timeout=20)
                answer = ask(method, path, connection=self.connection, **request)
        except GONE as e:
            self.connection = None
            answer = (type(e).__name__, {}, b"")
        status = answer[0]
        if isinstance(status, str) and not fresh and method == "GET" and status in (
                "RemoteDisconnected", "ConnectionResetError", "BrokenPipeError"):
            self.storm.note(self.kind, "reconnect", begun)
            return self.once(method, path, **request)
        self.storm.note(self.kind, status, begun, answer)
        return answer

    def acknowledged(self, **fact):
        self.journal.write(json.dumps({"kind": self.kind, "run": self.storm.run_name, **fact}) + "\n")
        self.journal.flush()

    def persist(self, method, path, request, name, good=(200, 201)):
        """Sends until there is a 2xx, whose body it gives; None: the storm is over. 409: the first try is still at it."""
        while True:
            status, _, body = self.once(method, path, **request)
            if status in good:
                return body
            if not self.storm.going:
                self.storm.unknown.append(name)
                return None
            time.sleep(self.random.uniform(0.02, 0.15))

    def insist(self, path, request, **fact):
        body = self.persist("POST", path, request, fact["name"])
        if body:
            self.acknowledged(id=made_id(body), **fact)

    def create(self):
        name = f"{self.name}-{self.n}"
        self.insist("/ultralytics/api/projects", json_body({"name": name}, key=name), name=name)

    def upload(self):
        name = f"{self.name}-{self.n}"
        data = small_model(self.random.randbytes(self.random.choice((10, 3000, 80000))).hex())
        self.insist("/ultralytics/api/models", model_form(self.storm.project, name, data, key=name), name=name,
                    sha256=hashlib.sha256(data).hexdigest())

    def put(self):
        """A session from its opening to its end. Completed twice is 404: the first answer did not arrive."""
        name = f"put-{self.name}-{self.n}"  # compare() has other questions for these
        data = small_model(self.random.randbytes(self.random.choice((10, 3000, 80000))).hex())
        fact = {"name": name, "sha256": hashlib.sha256(data).hexdigest()}
        body = self.persist("POST", "/ultralytics/api/models", json_body({"projectId": self.storm.project, "name": name}, key=name), name)
        model = body and made_id(body)
        body = body and self.persist("POST", "/ultralytics/api/upload/signed-url", Session.opening(model, len(data)), name)
        if not body:
            return
        session = Session(body)
        if self.persist("PUT", session.path, Session.sending(data), name):
            self.acknowledged(session=session.row, **fact)
            if self.persist("POST", "/ultralytics/api/upload/complete", session.completing(), name, (200, 404)):
                self.acknowledged(session=session.row, id=model, **fact)

    def read(self):
        path = ("/automl/api/projects?limit=2", f"/ultralytics/api/projects/{self.storm.project}")[self.n % 2]
        self.once("GET", path)

    def predict(self):
        model, form = self.storm.model
        self.once("POST", f"/ultralytics/api/models/{model}/predict", **form)
        time.sleep(0.05)

    def run(self):
        while self.storm.going:
            if self.storm.only and self.kind not in self.storm.only:
                time.sleep(0.01)
                continue
            self.n += 1
            getattr(self, self.kind)()
        if self.connection:
            self.connection.close()
        self.journal.close()


class Storm:
    """callers: kind -> how many. only: kinds that may go on just now (None: all)."""

    def __init__(self, folder, tag, seed, project, model=None, **callers):
        self.folder, self.tag, self.seed, self.project, self.model = folder, tag, seed, project, model
        self.only, self.run_name, self.going = None, "", True
        self.unknown = []
        self.notes = []  # (begun, ended, kind, status), of every answer
        self.bare = []   # 503 without Retry-After
        self.lock = threading.Lock()
        self.callers = [Caller(self, kind, i) for kind, n in callers.items() for i in range(n)]
        for caller in self.callers:
            caller.start()

    def note(self, kind, status, begun, answer=None):
        with self.lock:
            self.notes.append((begun, time.monotonic(), kind, status))
            if status == 503 and not answer[1].get("Retry-After"):
                self.bare.append((kind, answer[2][:200]))

    def stop(self):
        self.going = False
        for caller in self.callers:
            caller.join(40)
        alive = [c.name for c in self.callers if c.is_alive()]
        assert not alive, f"callers hang: {alive}"

    def since(self, moment, kinds=None):
        with self.lock:
            return [n for n in self.notes if n[0] >= moment and (not kinds or n[2] in kinds)]

    def wait_for(self, kinds, since, limit_s=15):
        """Until each of the kinds had a 2xx that was asked for after since; seconds it took, None: it did not."""
        while time.monotonic() - since < limit_s:
            if {n[2] for n in self.since(since) if n[3] in (200, 201)} >= set(kinds):
                return time.monotonic() - since
            time.sleep(0.01)
        return None

    def statuses(self, moment=0.0, kinds=None):
        seen = {}
        for _, _, kind, status in self.since(moment, kinds):
            seen[f"{kind} {status}"] = seen.get(f"{kind} {status}", 0) + 1
        return dict(sorted(seen.items()))

    def slowest_s(self):
        return max((ended - begun for begun, ended, _, _ in self.notes), default=0.0)


# ---- what must be there afterwards

def read_journals(folder):
    facts = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="ascii") as f:
            facts += [json.loads(line) for line in f]
    return facts


def rows(query):
    return [line.split("|") for line in sql(query).split("\n") if line]


HEX_ID = "lpad(to_hex(floor(extract(epoch FROM {0}.created_at))::bigint), 8, '0') || lpad(to_hex({0}.id), 16, '0')"


def stored_bytes(digest):
    try:
        with open(os.path.join(VAR, "media", "sha256", digest[:2], digest[2:4], digest), "rb") as f:
            return f.read()
    except OSError:
        return None


def whole(digest):
    data = stored_bytes(digest) if digest else None
    return data is not None and hashlib.sha256(data).hexdigest() == digest


def compare_sessions(facts):
    """A file that was taken is there under its session, a session that was completed has become its model's file."""
    found = {int(row[0]): row[1:] for row in rows(
        "SELECT u.id, encode(u.digest, 'hex'), u.completed_at IS NOT NULL, encode(f.digest, 'hex') FROM data.upload u"
        " LEFT JOIN data.model_file f ON f.model_id = u.noun_id")}
    wrong = [f"half visible: session {row} without its bytes" for row, (digest, _, _) in found.items() if digest and not whole(digest)]
    wrong += [f"half visible: session {row} is completed, its model has no such file" for row, (digest, completed, file) in found.items()
              if completed == "t" and file != digest]
    for fact in facts:
        digest, completed, file = found.get(fact["session"], ("", "", ""))
        if digest != fact["sha256"] or "id" in fact and (completed, file) != ("t", fact["sha256"]):
            wrong.append(f"acknowledged, another file: {fact}: {digest} {completed} {file}")
    return wrong


def compare(facts, tag, seed, most_asked=250):
    """Sentences about what is wrong: facts of the journal against rows, bytes and the API; then rows among themselves."""
    wrong = compare_sessions([fact for fact in facts if "session" in fact])
    facts = [fact for fact in facts if "session" not in fact]
    projects = rows(f"SELECT {HEX_ID.format('p')}, p.name FROM data.project p WHERE p.name LIKE '{tag}-%'")
    models = rows(f"SELECT {HEX_ID.format('m')}, m.name, encode(f.digest, 'hex') FROM data.model m"
                  f" LEFT JOIN data.model_file f ON f.model_id = m.id WHERE m.name LIKE '{tag}-%'")
    for what, found in (("project", projects), ("model", models)):
        names = [row[1] for row in found]
        wrong += [f"{what} {name} is there {names.count(name)} times" for name in set(names) if names.count(name) > 1]
    by_id = {(has_file, row[0]): row[1:] for has_file, found in ((False, projects), (True, models)) for row in found}
    for fact in facts:
        row = by_id.get(("sha256" in fact, fact["id"]))
        if not row or row[0] != fact["name"]:
            wrong.append(f"acknowledged, no row: {fact}: {row}")
        elif "sha256" in fact and row[1] != fact["sha256"]:
            wrong.append(f"acknowledged, another file: {fact}: {row}")
    for row in models:
        if not whole(row[2]):
            wrong.append(f"half visible: model {row[1]} without its bytes")
    wrong += [f"half visible: project {row[0]}" for row in rows(
        f"SELECT p.name FROM data.project p WHERE p.name LIKE '{tag}-%' AND NOT (EXISTS (SELECT FROM data.project_member m"
        " WHERE m.project_id = p.id) AND (SELECT count(*) FROM data.event e WHERE e.noun_id = p.id AND e.noun = 'project') = 1)")]
    chosen = facts if len(facts) <= most_asked else random.Random(seed).sample(facts, most_asked)
    for fact in chosen:
        noun = "models" if "sha256" in fact else "projects"
        status, _, body = ask("GET", f"/ultralytics/api/{noun}/{fact['id']}")
        if status != 200 or json.loads(body)["data"]["name"] != fact["name"]:
            wrong.append(f"acknowledged, not shown: {fact}: {status}")
    for fact in [f for f in chosen if "sha256" in f][:20]:
        _, _, body = ask("GET", f"/ultralytics/api/models/{fact['id']}/files")
        url = urllib.parse.urlsplit(json.loads(body)["data"][0]["downloadUrl"])
        status, _, data = ask("GET", f"{url.path}?{url.query}")
        if status != 200 or hashlib.sha256(data).hexdigest() != fact["sha256"]:
            wrong.append(f"acknowledged, not downloaded: {fact}: {status}")
    return wrong


def orphans():
    """Files of the store that no row knows, and rows that nothing refers to."""
    known = {row[0] for row in rows("SELECT encode(digest, 'hex') FROM data.blob")}
    found = {name for _, _, names in os.walk(os.path.join(VAR, "media", "sha256")) for name in names}
    idle = rows("SELECT encode(b.digest, 'hex') FROM data.blob b WHERE NOT EXISTS (SELECT FROM data.model_file f"
                " WHERE f.digest = b.digest) AND NOT EXISTS (SELECT FROM data.item i WHERE i.digest = b.digest)"
                " AND NOT EXISTS (SELECT FROM data.upload u WHERE u.digest = b.digest)")
    return sorted(found - known) + sorted(known - found) + [row[0] for row in idle]


def as_service(script, *words, **environment):
    """(exit status, all it said) of a shell script that runs as the service user in the stack's environment."""
    settings = [f"{name}={value}" for name, value in {"FOVEA_FAIL": "", **environment}.items()]
    done = subprocess.run([os.environ["FOVEA_STACK"], "exec", "env", *settings, "sh", "-c", script, "sh", *words],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def fovea(*words, **environment):
    return as_service('exec "$FOVEA_APP/bin/fovea" --config "$FOVEA_CONF" "$@"', *words, **environment)


def collect_garbage():
    return fovea("gc", "--grace", "0")


def check_deep():
    """What `fovea check --deep` found wrong, or ''."""
    status, said = fovea("check", "--deep")
    return "" if status == 0 else said


def temporary_files():
    """What is on its way in: the store's temporary files and nginx's spooled bodies."""
    folders = [os.path.join(VAR, "media", *words) for words in (("tmp",), ("spool", "body"))]
    return sorted(os.path.join(where, name) for folder in folders for where, _, names in os.walk(folder) for name in names)


def write_plan(path, plan):
    """Arms the failpoints of all processes of the stack; whole at once."""
    with open(path + ".new", "w", encoding="ascii") as f:
        f.write(plan)
    os.chmod(path + ".new", 0o644)
    os.rename(path + ".new", path)
