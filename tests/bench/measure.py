"""How the benchmark measures: rates by wrk and pgbench, processor time from /proc, rounds that interleave.

The load generator, nginx, fovea-api and PostgreSQL share the machine's cores, and other work disturbs them all. So
each round runs every contender once, the ratio is the median of the rounds' ratios, and beside it stands the
processor time of each part, which other work disturbs least.
"""
import os
import re
import statistics
import subprocess
import sys

QUICK = bool(os.environ.get("QUICK"))
ONLY = set(os.environ.get("ONLY", "").split())
ROUNDS = 3 if QUICK else 7
SECONDS = 1 if QUICK else 2
VAR = os.environ["FOVEA_VAR"]


def comment(*lines):
    for line in lines:
        print("#", line, flush=True)


def wanted(*names):
    return not ONLY or any(name in ONLY for name in names)


def show(number):
    return number if isinstance(number, str) else f"{number:.4g}" if abs(number) < 1000 else f"{number:.0f}"


def row(name, value, unit, ceiling, ratio, goal):
    """One line of the table; "n/a" where there is nothing to say."""
    if not ONLY or name in ONLY:
        print("\t".join([name, show(value), unit, show(ceiling), show(ratio), goal]), flush=True)


def median(values):
    return statistics.median(values)


def stack(*words):
    """A command as the service user with the stack's settings in its environment; standard output."""
    done = subprocess.run([os.environ["FOVEA_STACK"], "exec", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)[:80]}: {done.stderr[-600:]}")
    return done.stdout


def sql(text, role="postgres", *options):
    return subprocess.run(
        [os.environ["FOVEA_STACK"], "exec", "sh", "-c",
         '"$FOVEA_PG_BIN/psql" -XqAt -v ON_ERROR_STOP=1 -h "$FOVEA_RUN" -d fovea "$@"', "sql", "-U", role, *options],
        input=text, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def wrk(url, *headers, connections=16, seconds=None):
    """Requests a second, all answers 2xx; raises when one is not."""
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds or SECONDS}"]
    for header in headers:
        words += ["-H", header]
    out = subprocess.run(words + [url], stdout=subprocess.PIPE, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise RuntimeError(f"{url}: {out}")
    return float(re.search(r"Requests/sec:\s*([\d.]+)", out).group(1))


def pgbench(file, role="fovea_api", clients=8, **variables):
    """Transactions a second of one prepared statement."""
    with open(file, encoding="utf-8") as text:
        statement = text.read()
    words = [f"-D{name}={value}" for name, value in variables.items()]
    out = subprocess.run(
        [os.environ["FOVEA_STACK"], "exec", "sh", "-c",
         '"$FOVEA_PG_BIN/pgbench" -n -M prepared -h "$FOVEA_RUN" "$@" -f - fovea', "pgbench", "-U", role,
         f"-c{clients}", "-j1", f"-T{SECONDS}", *words],
        input=statement, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True).stdout
    return float(re.search(r"tps = ([\d.]+)", out).group(1))


def _part(pid):
    """Which part of our stack a process is, or None."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as text:
            command = text.read().replace("\0", " ")
        folder = os.readlink(f"/proc/{pid}/cwd")
        with open(f"/proc/{pid}/environ", encoding="utf-8", errors="replace") as text:
            environment = text.read()
    except OSError:
        return None
    if command.startswith("nginx: worker"):
        with open(f"/proc/{pid}/stat", encoding="utf-8") as text:
            parent = text.read().rpartition(")")[2].split()[1]
        try:
            with open(f"/proc/{parent}/cmdline", encoding="utf-8", errors="replace") as text:
                return "nginx" if VAR in text.read() else None
        except OSError:
            return None
    if f"FOVEA_VAR={VAR}\0" not in environment and not folder.startswith(VAR + "/"):
        return None
    if "PEER_DSN=" in environment or "PEER_PG_HOST=" in environment:
        return "peer"
    pool = re.search(r"fovea-api --pool (\w+)", command)
    if pool:
        return pool.group(1)
    return "postgres" if "postgres" in command.split(" ")[0] else None


def processes(part):
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _part(pid) == part]


def cpu():
    """Nanoseconds of processor time so far by part."""
    total = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        part = _part(pid)
        if part is None:
            continue
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="utf-8") as text:
                    total[part] = total.get(part, 0) + int(text.read().split()[0])
        except OSError:
            pass
    return total


def spent(before, after, per=1.0):
    """Microseconds by part between two cpu()s, divided by per."""
    return {part: (after[part] - before.get(part, 0)) / 1e3 / per
            for part in sorted(after) if after[part] - before.get(part, 0) > 0}


def rounds(contenders, count=None):
    """contenders: name -> function giving a number. Every round runs each once: name -> list, in step."""
    got = {name: [] for name in contenders}
    for _ in range(count or ROUNDS):
        for name, run in contenders.items():
            got[name].append(run())
    return got


def ratio(above, below):
    return median([a / b for a, b in zip(above, below)])


def with_cpu(url, *headers):
    """wrk that also notes processor time: (function, notes)."""
    notes = []

    def run():
        before = cpu()
        rate = wrk(url, *headers)
        notes.append(spent(before, cpu(), rate * SECONDS))
        return rate

    return run, notes


def cpu_line(name, notes):
    parts = sorted({part for note in notes for part in note})
    middle = {part: median([note.get(part, 0) for note in notes]) for part in parts}
    text = ", ".join(f"{part} {value:.0f}" for part, value in middle.items() if value >= 0.5)
    comment(f"{name}: processor us a request: {text}; sum {sum(middle.values()):.0f}")


def fail(text):
    print("bench: " + text, file=sys.stderr)
    sys.exit(1)
