"""What the tests of AutoML and of several dialects share: people with keys, kept-alive connections, answers' schemas.

A test begins with:

    import os, sys
    TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[:0] = [TESTS, os.path.join(TESTS, "cross")]
    from lib import ...
    from world import ...
"""
import hashlib
import http.client
import json
import os
import re
import secrets
import subprocess
import sys
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import HTTP_URL, Answer  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SCHEMAS = os.path.join(ROOT, "docs", "api", "schemas")
RUN = secrets.token_hex(3)  # tests of one stack do not meet each other's rows
USUAL = ("training", "models", "datasets", "read", "write", "predict")

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
NOWHERE = "00000000-0000-4000-8000-000000000000"  # a well-formed id that nothing bears


_psql = None


def sql(query):
    """As lib.sql, through one psql that stays: rows as lines with | between columns."""
    global _psql
    if _psql is None:
        shell = 'exec "$FOVEA_PG_BIN/psql" -XqAt -v ON_ERROR_STOP=1 -h "$FOVEA_RUN" -U postgres -d fovea'
        _psql = subprocess.Popen([os.environ["FOVEA_STACK"], "exec", "sh", "-c", shell], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True, encoding="utf-8")
    _psql.stdin.write(query + "\n;\n\\echo end of rows\n")
    _psql.stdin.flush()
    rows = []
    for line in _psql.stdout:
        if line == "end of rows\n":
            return "\n".join(rows)
        rows.append(line[:-1])
    raise RuntimeError("psql refused: " + query[:1000])


def quote(text):
    """A text as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


class Person:
    """An account with one key per set of scopes that was asked for."""

    def __init__(self, handle, email, name):
        self.handle, self.email, self.name = handle, email, name
        self.uuid = self.account = self.organization = None
        self.keys = {}

    @property
    def key(self):
        return self.key_with(USUAL)

    def key_with(self, scopes, prefix="cpx_"):
        """A key with these scopes, made when first asked for."""
        wanted = tuple(scopes)
        if wanted not in self.keys:
            digits = secrets.token_hex(20)
            sql(
                "INSERT INTO data.api_key (account_id, organization_id, name, hash, display, scopes) VALUES "
                f"({self.account}, {self.organization}, 'test', '\\x{hashlib.sha256(digits.encode()).hexdigest()}', "
                f"'test', ARRAY[{','.join(map(quote, wanted))}]::text[])"
            )
            self.keys[wanted] = prefix + digits
        return self.keys[wanted]


def people(*labels):
    """One person per label, made through the domain's own function."""
    made = [Person(f"{x[:8]}-{RUN}", f"{x}.{RUN}@example.org", x.title()) for x in labels]
    calls = " ".join(
        f"SELECT domain.account_create({quote(p.handle)}, {quote(p.email)}, {quote(p.name)}, 'enterprise');" for p in made
    )
    sql(calls)
    found = sql(
        "SELECT o.handle, c.uuid, c.id, o.id FROM data.account c JOIN data.organization o ON o.account_id = c.id "
        f"WHERE o.handle LIKE '%-{RUN}'"
    )
    rows = {line.split("|")[0]: line.split("|")[1:] for line in found.split("\n")}
    for p in made:
        p.uuid, p.account, p.organization = rows[p.handle][0], int(rows[p.handle][1]), int(rows[p.handle][2])
    return made


class Session:
    """One kept-alive connection of one caller through one mount."""

    def __init__(self, mount, key, base=HTTP_URL):
        url = urllib.parse.urlsplit(base)
        self.mount, self.key = mount, key
        self.connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
        self.connections = 0

    def ask(self, method, path, body=None, headers=None):
        """One request; a dict or list goes as JSON, bytes as they are (as JSON too unless a type is given)."""
        sent = {"Authorization": "Bearer " + self.key} if self.key else {}
        if body is not None:
            sent["Content-Type"] = "application/json"
            if not isinstance(body, bytes):
                body = json.dumps(body).encode()
        sent.update(headers or {})
        if self.connection.sock is None:
            self.connections += 1
        try:
            self.connection.request(method, self.mount + path, body=body, headers=sent)
            return Answer(self.connection.getresponse())
        except (http.client.HTTPException, OSError):  # the server closed an idle connection: once more
            self.connection.close()
            self.connections += 1
            self.connection.request(method, self.mount + path, body=body, headers=sent)
            return Answer(self.connection.getresponse())

    def get(self, path, **options):
        return self.ask("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.ask("POST", path, body, **options)

    def put(self, path, body=None, **options):
        return self.ask("PUT", path, body, **options)

    def delete(self, path, **options):
        return self.ask("DELETE", path, **options)


def automl(key):
    return Session("/automl", key)


def ultralytics(key):
    return Session("/ultralytics", key)


# ---- JSON Schema, the part that docs/api/schemas uses

_TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int,
    "number": (int, float),
}
_KNOWN = {
    "$schema", "title", "description", "type", "properties", "required", "additionalProperties", "items", "enum",
    "pattern", "format", "minimum", "maximum", "examples",
}
_FORMATS = {
    "uuid": UUID, "date-time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z"),
    "email": re.compile(r"[^@\s]+@[^@\s]+"), "uri": re.compile(r"https?://[^\s]+"),
}


def _has_type(value, name):
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])


def violations(value, schema, where="$"):
    """What is wrong with value by schema, as sentences; none: it fits. A word that is not known here is an error."""
    unknown = set(schema) - _KNOWN
    if unknown:
        return [f"{where}: the schema uses {sorted(unknown)}, which this checker does not know"]
    wanted = schema.get("type", [])
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if wanted and not any(_has_type(value, w) for w in wanted):
        return [f"{where}: {value!r} is not {' or '.join(wanted)}"]
    if value is None:
        return []
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is none of {schema['enum']}")
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append(f"{where}: {value!r} does not match {schema['pattern']}")
        if "format" in schema and not _FORMATS[schema["format"]].fullmatch(value):
            found.append(f"{where}: {value!r} is no {schema['format']}")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < schema.get("minimum", value) or value > schema.get("maximum", value):
            found.append(f"{where}: {value} is out of range")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            found += violations(item, schema.get("items", {}), f"{where}[{i}]")
    elif isinstance(value, dict):
        properties = schema.get("properties", {})
        found += [f"{where}: {name} is missing" for name in schema.get("required", []) if name not in value]
        for name, item in value.items():
            if name in properties:
                found += violations(item, properties[name], f"{where}.{name}")
            elif schema.get("additionalProperties", True) is False:
                found.append(f"{where}: {name} is not in the schema")
    return found


def schema(dialect, noun):
    with open(os.path.join(SCHEMAS, dialect, noun + ".json"), encoding="utf-8") as f:
        return json.load(f)


def misfits(dialect, noun, value):
    """violations() against docs/api/schemas/<dialect>/<noun>.json."""
    return violations(value, schema(dialect, noun))
