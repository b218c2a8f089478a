"""Requests a second against what the parts alone could do: pgbench, nginx, and servers as others write them."""
import hashlib
import json
import os
import urllib.request

from measure import comment, cpu_line, median, pgbench, ratio, rounds, row, sql, wanted, with_cpu

HTTP = os.environ["FOVEA_HTTP_URL"]
KEY = os.environ["FOVEA_KEY"]
AUTH = f"Authorization: Bearer {KEY}"
HERE = os.path.dirname(os.path.abspath(__file__))
LIST = HTTP + "/api/projects?limit=20"
DEPTH = int(os.environ.get("BENCH_DEPTH", "900000"))


def get(url):
    request = urllib.request.Request(url, headers={"Authorization": "Bearer " + KEY})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def key_hash():
    return hashlib.sha256(KEY[-40:].encode()).hexdigest()


def deep_cursor(owner):
    """The cursor behind DEPTH rows, from the row that stands there."""
    at = sql(f"SELECT (extract(epoch FROM p.created_at) * 1000000)::bigint, p.id FROM domain.project p"
             f" WHERE p.organization_id = {owner} ORDER BY p.created_at DESC, p.id DESC OFFSET {DEPTH - 1} LIMIT 1")
    us, row_id = (int(word) for word in at.split("|"))
    return f"{us:x}-{row_id:x}"


def lists(owner, ceilings, peers):
    first = get(LIST)
    deep = LIST + "&cursor=" + deep_cursor(owner)
    assert len(first["data"]) == 20 and len(get(deep)["data"]) == 20
    ours, notes = with_cpu(LIST, AUTH)
    far, far_notes = with_cpu(deep, AUTH)
    contenders = {"pgbench": lambda: pgbench(f"{HERE}/page.sql", key=key_hash()), "ours": ours, "deep": far}
    peer_notes = {}
    for name in peers:
        contenders[name], peer_notes[name] = with_cpu(f"{ceilings}/{name}/api/projects?limit=20", AUTH)
    got = rounds(contenders)
    row("list-20-of-1M", median(got["ours"]), "req/s", median(got["pgbench"]), ratio(got["ours"], got["pgbench"]), ">=0.9")
    cpu_line("list-20-of-1M", notes)
    row("list-deep", 1e6 / median(got["deep"]), "us", 1e6 / median(got["ours"]), ratio(got["ours"], got["deep"]), "<=1.2")
    cpu_line("list-deep", far_notes)
    for name, goal in (("fastapi", ">=8"), ("node", ">=3.5")):
        if name in peers:
            row("list-vs-" + name, median(got["ours"]), "req/s", median(got[name]), ratio(got["ours"], got[name]), goal)
            cpu_line("list-vs-" + name, peer_notes[name])
        else:
            row("list-vs-" + name, "n/a", "req/s", "n/a", "n/a", goal)


def totals(owner):
    """The statement of a total for an organization of a million against one of some hundred, and that it is exact."""
    small = sql("SELECT o.id FROM data.organization o WHERE o.handle = 'bench-0001'")
    exact = sql(f"SELECT count(*) FROM data.project p WHERE p.organization_id = {owner} AND p.deleted_at IS NULL")
    told = get(HTTP + "/api/projects?limit=1")["meta"]["total"]
    got = rounds({
        "small": lambda: pgbench(f"{HERE}/total.sql", organization=small),
        "large": lambda: pgbench(f"{HERE}/total.sql", organization=owner),
    })
    row("total-1M", 8e6 / median(got["large"]), "us", 8e6 / median(got["small"]), ratio(got["small"], got["large"]),
        "<=1.2")
    comment(f"total-1M: the answer says {told}, count(*) says {exact}: {'exact' if str(told) == exact else 'WRONG'}")


def one():
    project = get(LIST)["data"][7]["id"]
    ours, notes = with_cpu(f"{HTTP}/api/projects/{project}", AUTH)
    got = rounds({
        "pgbench": lambda: pgbench(f"{HERE}/one.sql", key=key_hash(), project=int(project[8:], 16)),
        "ours": ours,
    })
    row("get-one", median(got["ours"]), "req/s", median(got["pgbench"]), ratio(got["ours"], got["pgbench"]), ">=0.30")
    cpu_line("get-one", notes)


def hello(ceilings):
    ours, notes = with_cpu(HTTP + "/healthz")
    alone, alone_notes = with_cpu(ceilings + "/hello")
    got = rounds({"nginx": alone, "ours": ours})
    row("hello", median(got["ours"]), "req/s", median(got["nginx"]), ratio(got["ours"], got["nginx"]), ">=0.27")
    cpu_line("hello", notes)
    cpu_line("hello, nginx alone", alone_notes)


def measure(owner, ceilings, peers):
    if wanted("hello"):
        hello(ceilings)
    if wanted("list-20-of-1M", "list-deep", "list-vs-fastapi", "list-vs-node"):
        lists(owner, ceilings, peers)
    if wanted("total-1M"):
        totals(owner)
    if wanted("get-one"):
        one()
