"""Random kills under load, seeded: any process of the stack, at any moment. FOVEA_CRASH_KILLS (1000) of them.

In the second half PostgreSQL does not mend itself after a killed backend (restart_after_crash off), which is known to
hide crashes: it ends, and supervision starts another one.
"""
import os
import random
import time

import driver
from driver import Storm, as_service
from lib import check, equal, note, sql
from processes import children, kill, pid_of, until

KINDS = ("create", "upload", "read", "predict")


def child_of(name, rng):
    below = children(pid_of(name)) if pid_of(name) else []
    return rng.choice(below) if below else None


# what, how often, who
TARGETS = (
    ("nginx worker", 3, lambda rng: child_of("nginx", rng)),
    ("api child", 4, lambda rng: child_of("api", rng)),
    ("slow child", 4, lambda rng: child_of("slow", rng)),
    ("predict child", 2, lambda rng: child_of("predict", rng)),
    ("api master", 2, lambda rng: pid_of("api")),
    ("slow master", 2, lambda rng: pid_of("slow")),
    ("worker", 2, lambda rng: pid_of("worker")),
    ("backend", 2, lambda rng: child_of("postgres", rng)),
    ("postmaster", 1, lambda rng: pid_of("postgres")),
)


def one_kill(storm, rng):
    """(what, seconds until all is served; None: it is not)."""
    what, _, who = rng.choices(TARGETS, [t[1] for t in TARGETS])[0]
    until(lambda: who(rng), 10)
    victim = who(rng)
    if not victim or not kill(victim):
        return what, 0.0
    waited = storm.wait_for(KINDS, time.monotonic(), 30)
    time.sleep(rng.uniform(0.0, 1.2))
    return what, waited


def run(folder, project, model, seed, _rounds):
    kills = int(os.environ.get("FOVEA_CRASH_KILLS", "1000"))
    rng = random.Random(seed)
    storm = Storm(folder, "kills", seed, project, model, create=2, upload=2, put=1, read=2, predict=1)
    slowest, stuck = {}, []
    try:
        check(storm.wait_for(KINDS, time.monotonic()) is not None, "the storm blows")
        for i in range(kills):
            if i == kills // 2:
                sql("ALTER SYSTEM SET restart_after_crash = off")
                sql("SELECT pg_reload_conf()")
            what, waited = one_kill(storm, rng)
            storm.run_name = f"kill {i} {what}"
            if waited is None:
                stuck.append(storm.run_name)
            slowest[what] = max(slowest.get(what, 0.0), waited or 99.0)
    finally:
        storm.stop()
    sql("ALTER SYSTEM RESET restart_after_crash")
    sql("SELECT pg_reload_conf()")
    facts = driver.read_journals(folder)
    equal(stuck, [], f"after each of {kills} random kills all is served again")
    check(max(slowest.values()) <= 10, f"after {max(slowest.values()):.1f} s at most (10)", slowest)
    note(f"{len(storm.notes)} requests, {len(facts)} acknowledged changes, statuses {storm.statuses()}")
    equal(storm.bare, [], "every 503 said Retry-After")
    equal(driver.compare(facts, "kills", seed)[:10], [], f"of {len(facts)} acknowledged changes nothing is lost or doubled")
    equal(driver.check_deep(), "", "fovea check --deep agrees")
    status, said = as_service('exec "$FOVEA_PG_BIN/pg_amcheck" -h "$FOVEA_RUN" -U postgres --install-missing --all')
    equal((status, said), (0, ""), "pg_amcheck finds nothing")
    return {"random kills": kills, "random kills, slowest recovery, s": max(slowest.values()),
            "random kills, acknowledged changes": len(facts)}
