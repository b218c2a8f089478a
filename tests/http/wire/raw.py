"""Bytes on a socket, for what no HTTP client would send: one connection, several answers, and when it was closed."""
import os
import socket
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import HTTP_URL, KEY, VAR, call, check, equal, finish, multipart, note, sql, stack  # noqa: E402,F401

ADDRESS = urllib.parse.urlsplit(HTTP_URL)
HOST = ADDRESS.netloc


def connect(timeout=10):
    return socket.create_connection((ADDRESS.hostname, ADDRESS.port), timeout=timeout)


class Reply:
    """One answer as it stood on the wire. Header names are in lower case; the last of equal ones counts."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


def chunks(data):
    """(the body, what follows it) of a chunked body, or None while it is not complete."""
    pieces, at = [], 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        size = int(data[at:end].split(b";")[0], 16)
        at = end + 2 + size + 2
        if len(data) < at:
            return None
        if size == 0:
            return b"".join(pieces), data[at:]
        pieces.append(data[at - size - 2:at - 2])


def replies(data, methods=()):
    """Every complete answer in what was read; methods names those of the requests, since HEAD has no body."""
    found = []
    while data.startswith(b"HTTP/"):
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            break
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        status = int(lines[0].split()[1])
        bodiless = status in (100, 204, 304) or methods[len(found):len(found) + 1] == ("HEAD",)
        if bodiless:
            body, data = b"", rest
        elif "chunked" in headers.get("transfer-encoding", ""):
            whole = chunks(rest)
            if whole is None:
                break
            body, data = whole
        else:
            size = int(headers.get("content-length", len(rest)))
            body, data = rest[:size], rest[size:]
        found.append(Reply(status, headers, body))
    return found


def send(data, wait=1.0, until=None, methods=()):
    """Sends everything at once and reads until the server closes, `until` answers are there, or it is silent for
    `wait` seconds. (answers, whether the server closed, every byte)"""
    read, closed = bytearray(), False
    with connect(timeout=wait) as s:
        try:
            s.sendall(data)
        except OSError:
            pass  # refused before it had read everything: the answer may still be there
        while until is None or len(replies(bytes(read), methods)) < until:
            try:
                piece = s.recv(65536)
            except socket.timeout:
                break
            except OSError:
                piece = b""
            if not piece:
                closed = True
                break
            read += piece
    read = bytes(read)
    return replies(read, methods), closed, read


def request(method, target, *headers, body=b"", version="HTTP/1.1", host=HOST):
    """A well-formed request; headers are whole lines without their end."""
    lines = [f"{method} {target} {version}"] + ([f"Host: {host}"] if host is not None else []) + list(headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def ask(method, target, *headers, wait=10.0, **rest):
    """The first answer to one request."""
    found, _, data = send(request(method, target, *headers, "Connection: close", **rest), wait=wait,
                          methods=(method,))
    if not found:
        raise AssertionError(f"no answer to {method} {target}: {data[:200]!r}")
    return found[0]


def logged(mark, wait=3.0):
    """Lines of the access log that hold the mark (a part of a path); nginx writes it about once a second."""
    end = time.monotonic() + wait
    name = os.path.join(os.environ["FOVEA_VAR"], "log", "access.log")
    while True:
        with open(name, encoding="utf-8") as log:
            lines = [line for line in log if mark in line]
        if lines or time.monotonic() > end:
            return lines
        time.sleep(0.1)
