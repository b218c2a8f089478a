"""Processes that die at named points, while uploads, creates, jobs, sweeps and migrations are at them.

Points of the pools and of the worker are armed by a file that the dying process takes away (base/failpoint.h), under
a storm that never stops; sweeps and migrations are commands of their own, armed by their environment, in a thread
beside it. Afterwards the journal, the rows, the bytes and `fovea check --deep` must agree.
"""
import hashlib
import json
import os
import random
import signal
import threading
import time

import driver
from driver import Storm, ask, as_service, fovea, model_form, rows, small_model
from lib import check, equal, note, sql
from processes import service, until

PLAN = os.environ["FOVEA_CRASH_PLAN"]
SIGNALS = {"kill": signal.SIGKILL, "abort": signal.SIGABRT, "term": signal.SIGTERM}

# name, how many hits to wait for at most, the kinds of requests that go on meanwhile
POINTS = [(name, 4, ("upload",)) for name in (
    "spool_opened", "spool_write", "hash_done", "file_fsynced", "linked", "dir_fsynced", "credential_ok",
    "before_commit", "commit_sent", "committed", "response_half_sent")] + [(name, 6, ("create",)) for name in (
        "credential_ok", "before_commit", "commit_sent", "committed", "response_half_sent")] + [
            (name, most, ("put",)) for name, most in (
                ("spool_opened", 2), ("hash_done", 2), ("file_fsynced", 2), ("linked", 2), ("dir_fsynced", 2),
                ("before_commit", 6), ("commit_sent", 6), ("committed", 4), ("response_half_sent", 6))]
JOB_POINTS = ("job_leased", "job_run")
SWEEP_POINTS = ("gc_marked", "gc_unlinked")
MIGRATE_POINTS = (("migration_applied", 6), ("code_file_loaded", 12))


class Runs:
    """What was done and what went wrong, from both threads."""

    def __init__(self):
        self.names, self.wrong, self.recovery_s = [], [], []

    def say(self, name, *wrong):
        self.names.append(name)
        self.wrong += [f"{name}: {w}" for w in wrong if w]


one_plan = threading.Lock()  # there is one file for all processes


def arm(plan, then=lambda: None):
    """True once a process has run into the plan; then: what leads it there."""
    with one_plan:
        driver.write_plan(PLAN, plan)
        then()
        if until(lambda: not os.path.exists(PLAN), 8, 0.005):
            return True
        os.unlink(PLAN)
        return False


# ---- the pools

def pool_run(storm, runs, point, nth, action, kinds):
    storm.run_name = f"{point}:{nth}:{action} under {kinds[0]}"
    storm.only = set(kinds)
    taken = arm(f"{point}:{nth}:{action}")
    begun = time.monotonic()
    storm.only = None
    waited = storm.wait_for(("create", "upload", "read"), begun)
    runs.say(storm.run_name, None if taken else "was never hit", None if waited else "was not served again in 15 s")
    if taken and waited:
        runs.recovery_s.append(waited)
    return begun


# ---- the worker

def add_job(key):
    sql(f"INSERT INTO data.job (kind, key) VALUES ('sweep_spool', '{key}')")


def job_run(runs, point, action):
    """A job whose worker dies is done by the next one. (A plan for another process may kill that one too.)"""
    key = f"crash-{point}-{action}-{len(runs.names)}"
    taken = arm(f"{point}:1:{action}", lambda: add_job(key))
    # Its lease would run out by itself in a minute.
    done = until(lambda: sql(f"UPDATE data.job SET lease_until = now() WHERE key = '{key}' AND state = 'running';"
                             f"SELECT state FROM data.job WHERE key = '{key}'") == "done", 15, 0.2)
    attempts = sql(f"SELECT attempts FROM data.job WHERE key = '{key}'")
    runs.say(f"{point}:1:{action} in the worker", None if taken else "was never hit", None if done else "the job was not done",
             None if int(attempts) >= (1 if action == "term" else 2) else f"{attempts} attempts")


def stale_lease(runs):
    """A worker that slept past its lease and goes on: what it says is refused, the other's result stands."""
    key = "crash-stale"
    arm("job_run:1:sleep2500", lambda: add_job(key))
    begun = time.monotonic()
    sql(f"UPDATE data.job SET lease_until = now() WHERE key = '{key}'")
    as_service('exec "$FOVEA_APP/bin/fovea-worker" --config "$FOVEA_CONF" --once')
    row = f"SELECT state, fence, attempts, finished_at FROM data.job WHERE key = '{key}'"
    first, took = sql(row), time.monotonic() - begun
    time.sleep(max(0.0, 2.8 - took))
    runs.say("a worker past its lease", None if took < 2.4 else "too slow to tell", None if first.startswith("done|2|2|") else first,
             None if sql(row) == first else f"the old lease changed the job: {first} to {sql(row)}")


# ---- the sweeper

def garbage(name, rng):
    """Files that nothing refers to any more: models of a project that is gone for good. Their bytes."""
    project = driver.new_project(name)
    files = [small_model(rng.randbytes(200).hex()) for _ in range(3)]
    for i, data in enumerate(files):
        driver.make("/ultralytics/api/models", model_form(project, f"{name}-{i}", data))
    uuid = sql(f"SELECT uuid FROM data.project WHERE name = '{name}'")
    until(lambda: ask("DELETE", f"/automl/api/projects/{uuid}")[0] in (204, 404), 5)
    return files


def died_by(status, action):
    return status in (-SIGNALS[action], 128 + SIGNALS[action])


def sweep_run(runs, rng, folder, point, nth, action):
    """A sweep dies; the same bytes are uploaded again while the next one is at work."""
    name = f"{point}:{nth}:{action} in gc"
    tag = f"fp-gc-{len(runs.names)}-{rng.randrange(10**9)}"
    try:
        project = driver.new_project(tag + "-again")
        files = garbage(tag, rng)
    except driver.Refused:  # the pools die meanwhile, that is not what is asked here
        return False
    status, said = fovea("gc", "--grace", "0", FOVEA_FAIL=f"{point}:{nth}:{action}")
    wrong = [] if died_by(status, action) else [f"was never hit: {status} {said}"]
    sweeps = []
    sweeper = threading.Thread(target=lambda: sweeps.append(fovea("gc", "--grace", "0")))
    sweeper.start()
    with open(os.path.join(folder, f"{tag}.again"), "w", encoding="ascii") as journal:
        for i, data in enumerate(files):
            fact = {"kind": "upload", "run": name, "name": f"{tag}-again-{i}", "sha256": hashlib.sha256(data).hexdigest()}
            try:
                status, _, body = ask("POST", "/ultralytics/api/models", **model_form(project, fact["name"], data))
            except driver.GONE:
                continue
            if status == 201:
                journal.write(json.dumps({**fact, "id": driver.made_id(body)}) + "\n")
    sweeper.join()
    if sweeps[0][0] != 0:
        wrong.append(f"the next sweep failed: {sweeps[0]}")
    runs.say(name, *wrong)
    return True


# ---- upload sessions that are over

WORK = 'exec "$FOVEA_APP/bin/fovea-worker" --config "$FOVEA_CONF" --once'


def session_there(session, digest):
    return sql(f"SELECT count(*) FROM data.upload WHERE id = {session.row}") != "0", driver.stored_bytes(digest) is not None


def expire_sessions(runs, project, rng):
    """A worker that forgets a session and sweeps its file dies at each of its commits in turn; the next one leaves nothing."""
    service("down", "worker")
    try:
        for n in range(1, 100):
            data = small_model(rng.randbytes(100).hex())
            digest = hashlib.sha256(data).hexdigest()
            session = driver.new_session(project, f"put-over-{n}", len(data))
            wrong = [] if ask("PUT", session.path, **driver.Session.sending(data))[0] == 200 else ["was not sent"]
            sql(f"UPDATE data.upload SET expires_at = now() - interval '2 days' WHERE id = {session.row};"
                f"UPDATE data.blob SET created_at = now() - interval '2 days' WHERE digest = '\\x{digest}';"
                f"INSERT INTO data.job (kind, key) VALUES ('expire_uploads', 'crash-{n}'), ('sweep_blobs', 'crash-{n}')")
            status, said = as_service(WORK, FOVEA_FAIL=f"commit_sent:{n}:kill")
            if status == 0:  # it has fewer commits
                runs.wrong += [] if session_there(session, digest) == (False, False) else ["a worker that lives leaves a session"]
                return n - 1
            wrong += [] if died_by(status, "kill") else [f"was never hit: {status} {said}"]
            sql("UPDATE data.job SET lease_until = now() WHERE state = 'running'")
            status, said = as_service(WORK)
            wrong += [] if status == 0 else [f"the next worker failed: {said}"]
            wrong += [] if session_there(session, digest) == (False, False) else ["row or file is left"]
            runs.say(f"commit_sent:{n}:kill in expiry", *wrong)
    finally:
        service("up", "worker")
    return 0


# ---- the migrator

MIGRATE = ('exec "$FOVEA_APP/bin/fovea" --config "$FOVEA_CONF"'
           ' --set "database.owner_dsn=host=$FOVEA_RUN dbname=$1 user=fovea_owner" migrate')
SCHEMA = ("SELECT md5(string_agg(s, ',' ORDER BY s)) FROM ("
          "SELECT c.table_schema || '.' || c.table_name || '.' || c.column_name || c.data_type || coalesce(c.column_default, '')"
          " FROM information_schema.columns c WHERE c.table_schema IN ('data', 'domain')"
          " UNION ALL SELECT conrelid::regclass::text || conname || pg_get_constraintdef(oid) FROM pg_constraint"
          " UNION ALL SELECT p.oid::regprocedure::text || md5(p.prosrc) FROM pg_proc p"
          " WHERE p.pronamespace::regnamespace::text IN ('data', 'domain', 'ultralytics', 'automl')"
          " UNION ALL SELECT m.name || m.sha256 FROM data.migration m UNION ALL SELECT v.sha256 FROM data.code_version v) AS x(s)")


def ask_database(database, query):
    return as_service('"$FOVEA_PG_BIN/psql" -XqAt -h "$FOVEA_RUN" -U postgres -d "$1" -c "$2"', database, query)[1].strip()


def migrate_run(runs, point, nth, action):
    """Killed between two steps, the next run goes on, the one after has nothing to do, the schema is the same."""
    name = f"{point}:{nth}:{action} in migrate"
    database = f"crash_{len(runs.names)}"
    ask_database("postgres", f"CREATE DATABASE {database} OWNER fovea_owner")
    status, said = as_service(MIGRATE, database, FOVEA_FAIL=f"{point}:{nth}:{action}")
    wrong = [] if died_by(status, action) else [f"was never hit: {status} {said}"]
    status, said = as_service(MIGRATE, database)
    wrong += [] if status == 0 else [f"the next run failed: {said}"]
    status, said = as_service(MIGRATE, database)
    wrong += [] if status == 0 and "applying" not in said and "loading" not in said else [f"not repeatable: {said}"]
    wrong += [] if ask_database(database, SCHEMA) == ask_database("fovea", SCHEMA) else ["another schema came out"]
    ask_database("postgres", f"DROP DATABASE {database} WITH (FORCE)")
    runs.say(name, *wrong)


# ---- all together

class Plans:
    """What is to die where, drawn from the seed. rounds: times each point and signal; 0 is the sample of `make test`:
    every point of the pools killed, half of them with another signal too, the others with one drawn signal each."""

    def __init__(self, seed, rounds):
        rng = random.Random(seed)
        every = [action for action in SIGNALS for _ in range(rounds)]
        other = [action for action in SIGNALS if action != "kill"]
        some = {name for name, _, _ in rng.sample(POINTS, len(POINTS) // 2)}
        pools = [(point, action, kinds, rng.randint(1, most)) for point, most, kinds in POINTS
                 for action in every or ["kill"] + ([rng.choice(other)] if point in some else [])]
        rng.shuffle(pools)
        self.uploads = [p for p in pools if p[2] != ("create",)]
        self.creates = [p for p in pools if p[2] == ("create",)]
        self.jobs = [(point, action) for point in JOB_POINTS for action in every or [rng.choice(list(SIGNALS))]]
        self.sweeps = [(point, 1, action) for point in SWEEP_POINTS for action in every or [rng.choice(list(SIGNALS))]]
        self.migrations = [(point, rng.randint(1, most), action) for point, most in MIGRATE_POINTS
                           for action in every or [rng.choice(list(SIGNALS))]]
        self.count = len(pools) + len(self.jobs) + len(self.sweeps) + len(self.migrations)


def beside(runs, seed, plans, folder, broken):
    """Jobs, sweeps and migrations, in a thread of their own."""
    rng = random.Random(seed)
    try:
        for plan in plans.jobs:
            job_run(runs, *plan)
        stale_lease(runs)
        for plan in plans.sweeps:
            while not sweep_run(runs, rng, folder, *plan):
                time.sleep(0.2)
        for plan in plans.migrations:
            migrate_run(runs, *plan)
    except Exception as e:  # pylint: disable=broad-except # a thread's failure must be seen
        broken.append(repr(e))


def before(storm, runs, plans):
    """The pools. Kinds alternate, so that supervision does not take the deaths of one pool for a loop."""
    uploads, creates = plans.uploads, plans.creates
    last = 0.0
    while uploads or creates:
        if uploads:
            point, action, kinds, nth = uploads.pop()
            time.sleep(max(0.0, last + 1.0 - time.monotonic()))
            last = pool_run(storm, runs, point, nth, action, kinds)
        if creates:
            point, action, kinds, nth = creates.pop()
            pool_run(storm, runs, point, nth, action, kinds)


def sweep_temporary_files():
    """What killed uploads left behind goes with the daily sweep, a day later."""
    for path in driver.temporary_files():
        os.utime(path, (time.time() - 2 * 86400,) * 2)
    sql("INSERT INTO data.job (kind, key) VALUES ('sweep_spool', 'crash-last')")
    return until(lambda: sql("SELECT state FROM data.job WHERE key = 'crash-last'") == "done", 15, 0.2)


def run(folder, project, _model, seed, rounds):
    runs, broken, plans = Runs(), [], Plans(seed, rounds)
    storm = Storm(folder, "fp", seed, project, create=2, upload=2, put=2, read=1)
    side = threading.Thread(target=beside, args=(runs, seed, plans, folder, broken))
    side.start()
    try:
        before(storm, runs, plans)
    finally:
        side.join()
        storm.stop()
    facts = driver.read_journals(folder)
    equal(broken, [], "jobs, sweeps and migrations ran")
    equal(len(runs.names), plans.count + 1, f"{plans.count} processes died at named points")
    deaths = expire_sessions(runs, project, random.Random(seed))
    check(deaths >= 8, f"a worker that expires sessions died at each of its {deaths} commits")
    equal(runs.wrong[:10], [], "each plan was hit, and what died was replaced")
    bad = {key: n for key, n in storm.statuses().items() if key.split()[1] not in ("200", "201", "503", "409")
           and key != "put 404"}
    cut = {key for key in bad if key.split()[1] in ("IncompleteRead", "RemoteDisconnected")}
    equal({k: n for k, n in bad.items() if k not in cut}, {}, "callers saw 503 at worst, or an answer cut in half")
    equal(storm.bare, [], "every 503 said Retry-After")
    check(max(runs.recovery_s, default=99) <= 5, f"served again after {max(runs.recovery_s, default=99):.2f} s at most (5)")
    note(f"{len(facts)} acknowledged changes, {len(storm.unknown)} unknown, statuses {storm.statuses()}")
    equal(driver.compare(facts, "fp", seed)[:10], [], f"of {len(facts)} acknowledged changes nothing is lost, doubled or half visible")
    equal(driver.check_deep(), "", "fovea check --deep agrees")
    status, _ = fovea("gc", "--grace", "0")
    equal((status, driver.orphans()), (0, []), "gc leaves no orphan, file or row")
    equal(driver.compare(facts, "fp", seed, 0)[:10], [], "and takes nothing that is referred to")
    check(sweep_temporary_files() and not driver.temporary_files(), "the daily sweep removes what killed uploads left")
    return {"failpoint runs": len(runs.names), "failpoint runs, acknowledged changes": len(facts),
            "failpoint runs, slowest recovery, s": max(runs.recovery_s, default=99.0)}
