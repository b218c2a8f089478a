"""Parts die under load: what callers see meanwhile, how long it takes, and that nothing acknowledged is lost."""
import os
import signal
import socket
import threading
import time

import driver
from driver import ADDRESS, BEARER, Storm, ask, json_body, model_form, small_model
from lib import KEY, check, equal, note
from processes import children, kill, pid_of, service, until

GOOD = {200, 201}
FIGURES = {}


def episode(storm, action, kinds, settle_s=0.5):
    """Runs action; then all kinds must be served again. (answers, seconds until then, seconds of trouble)."""
    begun = time.monotonic()
    action()
    waited = storm.wait_for(kinds, time.monotonic())
    time.sleep(settle_s)
    answers = storm.since(begun)
    bad = [n for n in answers if n[3] not in GOOD | {"reconnect"}]
    trouble = max(n[1] for n in bad) - min(n[0] for n in bad) if bad else 0.0
    return answers, waited, trouble


def failed(answers, kinds, but=()):
    return sorted({f"{n[2]} {n[3]}" for n in answers if n[2] in kinds and n[3] not in GOOD | {"reconnect"} and n[3] not in but})


ALL = ("create", "upload", "read", "predict")


def kill_each(pool):
    for pid in children(pid_of(pool)):
        kill(pid)
        time.sleep(0.5)


def kill_all(pool):
    for pid in children(pid_of(pool)):
        kill(pid)


def test_children(storm):
    answers, waited, _ = episode(storm, lambda: kill_each("api"), ALL)
    reads = [n for n in answers if n[2] == "read"]
    equal(failed(answers, ("read",)) + (["reconnect"] if any(n[3] == "reconnect" for n in reads) else []), [],
          f"kill -9 of api children under load: none of {len(reads)} GET requests failed")
    equal(failed(answers, ALL, but={503, 409}), [], "and what was no GET got 503 at worst, or 409 while its first try went on")
    check(waited is not None, "all kinds of requests are served again", storm.statuses())

    answers, waited, trouble = episode(storm, lambda: [kill_all(p) for p in ("api", "slow", "predict")], ALL)
    equal(failed(answers, ALL, but={503}), [], "kill -9 of all children at once: 503 at worst")
    check(waited is not None and trouble <= 5, f"and all is served again after {trouble:.2f} s (at most 5)",
          storm.statuses())
    FIGURES["all children killed, s"] = trouble

    answers, waited, trouble = episode(storm, lambda: kill_all("predict"), ALL)
    equal(failed(answers, ("create", "upload", "read")), [], "kill -9 of the predict process: the other pools do not notice")
    equal(failed(answers, ("predict",), but={503}), [], "and predictions get 503 at worst")
    check(waited is not None and trouble <= 5, f"and are served again after {trouble:.2f} s", storm.statuses())


def test_master(storm):
    for pool in ("api", "slow"):
        old = pid_of(pool)
        answers, waited, trouble = episode(storm, lambda: kill(old), ALL)
        equal(failed(answers, ALL, but={503}), [], f"kill -9 of the {pool} master: 503 at worst")
        check(waited is not None and trouble <= 2, f"for {trouble:.2f} s (at most 2)", storm.statuses())
        check(pid_of(pool) not in (None, old), "and another one serves")
        FIGURES[f"{pool} master killed, s"] = trouble


def test_precheck_away(project):
    """Uploads do not need the pool that looks at their credential first: the handler looks again."""
    form = model_form(project, "unchecked", small_model("no precheck"))
    service("down", "api")
    try:
        equal(ask("POST", "/ultralytics/api/models", **form)[0], 201, "with the api pool away an upload still works")
        form["headers"]["Authorization"] = "Bearer ul_" + "0" * 40
        equal(ask("POST", "/ultralytics/api/models", **form)[0], 401, "and one with a wrong key is still refused")
    finally:
        service("up", "api")
    check(until(lambda: ask("GET", "/readyz")[0] == 200), "the api pool is back")


def test_reload(storm):
    def roll():
        for pool in ("api", "slow", "predict", "nginx"):
            service("hup", pool)
            time.sleep(0.4)

    answers, waited, _ = episode(storm, roll, ALL)
    equal(failed(answers, ALL), [], f"HUP of every pool and of nginx under load: none of {len(answers)} requests failed")
    check(waited is not None, "and all is served", storm.statuses())


def test_nginx_worker(storm):
    """Connections of the killed worker break; whoever asks again is served."""
    answers, waited, trouble = episode(storm, lambda: kill(children(pid_of("nginx"))[0]), ALL)
    broken = {"RemoteDisconnected", "ConnectionResetError", "BrokenPipeError", "IncompleteRead"}
    equal(failed(answers, ALL, but=broken), [], "kill -9 of an nginx worker: only its connections break")
    check(waited is not None and trouble <= 2, f"and all is served after {trouble:.2f} s", storm.statuses())


def test_database(storm):
    def postmaster(number):
        old = pid_of("postgres")
        kill(old, number)
        until(lambda: pid_of("postgres") not in (None, old))

    def backend():
        kill(children(pid_of("postgres"))[-1])

    for words, action in (("stopped fast (INT)", lambda: postmaster(signal.SIGINT)),
                          ("stopped at once (QUIT)", lambda: postmaster(signal.SIGQUIT)),
                          ("one backend killed (KILL)", backend)):
        answers, waited, trouble = episode(storm, action, ALL, settle_s=0.8)
        equal(failed(answers, ALL, but={503}), [], f"PostgreSQL {words} under load: 503 at worst")
        check(waited is not None and trouble <= 10, f"and all recovers by itself after {trouble:.2f} s (at most 10)",
              storm.statuses())
        FIGURES[f"PostgreSQL {words}, s"] = trouble


def test_drain(project):
    """TERM while an upload is half in and answers are being made: what has begun is finished."""
    data = small_model("d" * 300000)
    results = []

    def one(path, request):
        try:
            results.append(ask("POST", path, **request)[0])
        except driver.GONE as e:
            results.append(type(e).__name__)

    threads = [threading.Thread(target=one, args=("/ultralytics/api/models", model_form(project, f"drain-{i}", data)))
               for i in range(4)]
    threads += [threading.Thread(target=one, args=("/ultralytics/api/projects", json_body({"name": f"drain-{i}"})))
                for i in range(4)]
    slept = os.environ["FOVEA_CRASH_PLAN"]
    driver.write_plan(slept, "hash_done:1:sleep600")
    for t in threads:
        t.start()
    check(until(lambda: not os.path.exists(slept), 5), "a request is held in the slow pool")
    begun = time.monotonic()
    service("term", "slow")
    for t in threads:
        t.join(20)
    equal(sorted(map(str, results)), ["201"] * 8, "TERM of a pool: what is in flight is finished and answered")
    check(time.monotonic() - begun >= 0.4, "also what still had work to do")
    check(until(lambda: ask("POST", "/ultralytics/api/models",
                            **model_form(project, "drained", small_model("after")))[0] in GOOD), "and the pool is back")


def raw(request, wait_s=0.0):
    """Sends bytes and hangs up without reading the answer."""
    s = socket.create_connection((ADDRESS.hostname, ADDRESS.port), timeout=10)
    s.sendall(request)
    time.sleep(wait_s)
    s.close()


def test_hang_ups(project):
    """Clients that leave: in the middle of a head, of a body, and before the answer."""
    def head(method, path, length, content_type):
        return (f"{method} {path} HTTP/1.1\r\nHost: {ADDRESS.netloc}\r\nAuthorization: Bearer {KEY}\r\n"
                f"Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n").encode()

    before = driver.rows("SELECT count(*) FROM data.model")[0][0]
    killed = driver.temporary_files()  # of processes that were killed: the daily sweep's
    form = model_form(project, "half", small_model("h" * 200000))
    sent = head("POST", "/ultralytics/api/models", len(form["body"]), form["headers"]["Content-Type"]) + form["body"]
    for i in range(10):
        raw(sent[: len(sent) // 2], 0.02)
        raw(sent[:40])
    create = b'{"name":"hung up"}'
    for i in range(10):
        raw(head("POST", "/ultralytics/api/projects", len(create), "application/json") + create)
    for _ in range(10):
        raw(f"GET /ultralytics/api/projects HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
    equal(ask("GET", "/ultralytics/api/projects?limit=1")[0], 200, "after forty hang-ups it serves")
    equal(driver.rows("SELECT count(*) FROM data.model")[0][0], before, "a client that leaves in mid-upload leaves no row")
    check(until(lambda: driver.temporary_files() == killed, 5), "and no temporary file, neither nginx's nor the store's",
          driver.temporary_files(), killed)


def run(folder, project, model, seed, _rounds):
    storm = Storm(folder, "rec", seed, project, model, create=2, upload=2, read=3, predict=1)
    try:
        check(storm.wait_for(ALL, time.monotonic()) is not None, "the storm blows", storm.statuses())
        test_children(storm)
        test_master(storm)
        test_reload(storm)
        test_nginx_worker(storm)
        test_database(storm)
    finally:
        storm.stop()
    equal(storm.bare, [], "every 503 says Retry-After")
    check(storm.slowest_s() <= 5, f"nobody waited longer than 5 s for an answer (was {storm.slowest_s():.2f} s)")
    facts = driver.read_journals(folder)
    note(f"{len(storm.notes)} requests, {len(facts)} acknowledged changes, {len(storm.unknown)} unknown")
    check(len(facts) >= 100, f"{len(facts)} changes were acknowledged")
    equal(driver.compare(facts, "rec", seed)[:10], [], "nothing acknowledged is lost, doubled or half visible")
    equal(driver.check_deep(), "", "fovea check --deep agrees")
    test_precheck_away(project)
    test_drain(project)
    test_hang_ups(project)
    return FIGURES
