"""Helpers of the HTTP tests in Python, standard library only. The environment is that of tests/http/stack.sh.

A test begins with:

    import os, sys
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from lib import call, equal, finish
"""
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse

HTTP_URL = os.environ["FOVEA_HTTP_URL"]
HTTPS_URL = os.environ["FOVEA_URL"]
KEY = os.environ["FOVEA_KEY"]
VAR = os.environ["FOVEA_VAR"]

_results = 0
_failures = 0


class Answer:
    """Status, headers (http.client's message: case does not matter), body as bytes."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:500]!r}>"


def call(method, path, body=None, headers=None, key=KEY, base=HTTP_URL, timeout=60):
    """One request on a connection of its own. A dict or list is sent as JSON; key=None sends no credential."""
    url = urllib.parse.urlsplit(base)
    sent = {"Authorization": "Bearer " + key} if key else {}
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
        sent["Content-Type"] = "application/json"
    sent.update(headers or {})
    if url.scheme == "https":
        context = ssl.create_default_context(cafile=os.environ["FOVEA_CA"])
        connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=sent)
        answer = Answer(connection.getresponse())
        no_secret(answer, key, path)
        return answer
    finally:
        connection.close()


def no_secret(answer, key, path):
    """Every error answer of every story: it repeats neither the key nor the signature that it was asked with."""
    if answer.status < 400:
        return
    told = answer.body + str(answer.headers).encode()
    signature = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query).get("sig", [""])[0]
    for secret in (key.split("_")[-1] if key else "", signature):
        if len(secret) >= 32 and secret.encode() in told:
            check(False, "an error answer repeats no secret", path, answer)


def multipart(fields, files):
    """(content type, body): fields name -> text; files name -> (file name, bytes)."""
    boundary = "fovea-test-boundary-7d1c"
    out = bytearray()
    for name, text in fields.items():
        out += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
    for name, (file_name, data) in files.items():
        out += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        out += data + b"\r\n"
    out += f"--{boundary}--\r\n".encode()
    return "multipart/form-data; boundary=" + boundary, bytes(out)


def note(*lines):
    for line in lines:
        for part in str(line).split("\n"):
            print("# " + part[:2000], flush=True)


def check(truth, text, *notes):
    """One result; notes are shown when it is false."""
    global _results, _failures
    _results += 1
    print(f"{'ok' if truth else 'not ok'} {_results} - {text}", flush=True)
    if not truth:
        _failures += 1
        note(*notes)
    return bool(truth)


def equal(got, want, text):
    return check(got == want, text, f"got:  {got!r}", f"want: {want!r}")


def skip(text, reason):
    global _results
    _results += 1
    print(f"ok {_results} - {text} # SKIP {reason}", flush=True)


def finish():
    print(f"1..{_results}", flush=True)
    sys.exit(1 if _failures else 0)


def stack(*words, check_status=True):
    """A command as the service user, with the stack's settings in its environment; its standard output."""
    done = subprocess.run([os.environ["FOVEA_STACK"], "exec", *words], stdout=subprocess.PIPE, text=True,
                          check=check_status)
    return done.stdout


def fovea(*words, check_status=True):
    """The administration command; its standard output."""
    return stack("sh", "-c", '"$FOVEA_APP/bin/fovea" --config "$FOVEA_CONF" "$@"', "fovea", *words,
                 check_status=check_status)


def restart(name, limit_s=20):
    """Restarts a service of the stack, and waits until a pool of that name takes connections again."""
    stack("sh", "-c", 'exec sv -w 20 restart "$FOVEA_VAR/service/$1" > /dev/null', "restart", name, check_status=False)
    path = stack("sh", "-c", 'echo "$FOVEA_RUN/$1.sock"', "path", name).strip()
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(path)
                return
            except OSError:
                time.sleep(0.02)


def sql(query):
    """Rows of one SQL text, as lines with | between columns; runs as the database's superuser."""
    shell = '"$FOVEA_PG_BIN/psql" -XqAt -v ON_ERROR_STOP=1 -h "$FOVEA_RUN" -U postgres -d fovea -c "$1"'
    return stack("sh", "-c", shell, "sql", query).rstrip("\n")


def gated(limit_s=60):
    """Waits until every model that has arrived has been through the accuracy gate: answers may change until then."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if sql("SELECT count(*) FROM data.job WHERE kind = 'gate_model' AND state IN ('queued', 'running')") == "0":
            return True
        time.sleep(0.1)
    return False
