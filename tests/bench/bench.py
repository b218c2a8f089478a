"""make bench: speed against ceilings of the same run. Run through tests/http/stack.sh. See docs/bench.md.

    name  value  unit  ceiling  ratio  goal

QUICK=1: three short rounds. ONLY="name ...": some lines. BENCH_KEEP_DATA=1: data of an earlier run stands already.
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from measure import ROUNDS, SECONDS, VAR, comment, fail, sql, stack, wanted  # noqa: E402
import predict  # noqa: E402
import rates  # noqa: E402
import reload  # noqa: E402
import uploads  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))

CEILINGS = """server {{
  listen 127.0.0.1:{port} backlog=4096;
  access_log off;
  location = /hello {{
    default_type application/json;
    return 200 '{{"status":"ok"}}';
  }}
  location /static/ {{
    alias {store}/;
    open_file_cache max=10000 inactive=60s;
  }}
  location /fastapi/ {{
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_pass http://bench_fastapi/;
  }}
  location /node/ {{
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_pass http://bench_node/;
  }}
}}
upstream bench_fastapi {{ server unix:{run}/fastapi.sock; keepalive 64; keepalive_requests 1000000; }}
upstream bench_node {{ server unix:{run}/node.sock; keepalive 64; keepalive_requests 1000000; }}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(url, *header):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(header)), timeout=5) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def wait_until(what, test, seconds=20):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def ceilings():
    """A server more in the product's own nginx: what it does without the product. Its base URL."""
    port, run = free_port(), stack("sh", "-c", 'printf %s "$FOVEA_RUN"')
    folder = VAR + "/nginx"
    with open(folder + "/bench.conf", "w", encoding="utf-8") as out:
        out.write(CEILINGS.format(port=port, run=run, store=VAR + "/media"))
    os.chmod(folder + "/bench.conf", 0o644)
    with open(folder + "/nginx.conf", encoding="utf-8") as text:
        config = text.read().rstrip()
    if "include bench.conf;" not in config:
        with open(folder + "/nginx.conf", "w", encoding="utf-8") as out:
            out.write(config[:-1] + "  include bench.conf;\n}\n")
    stack("sh", "-c", 'sv hup "$FOVEA_VAR/service/nginx"')
    base = f"http://127.0.0.1:{port}"
    if not wait_until("nginx", lambda: answers(base + "/hello")):
        fail("nginx did not take the configuration of the ceilings")
    time.sleep(1)  # the workers before the reload leave
    return base, run


def fill():
    """Data, once; the id of the organization that asks."""
    owner = sql("SELECT o.id FROM data.organization o JOIN data.account a ON a.id = o.account_id"
                " WHERE a.username = 'owner'")
    if sql("SELECT count(*) FROM data.organization o WHERE o.handle = 'bench-0001'") == "0":
        begun = time.monotonic()
        with open(HERE + "/data.sql", encoding="utf-8") as text:
            sql(text.read(), "fovea_owner", "-v", "owner=" + owner)
        sql("VACUUM ANALYZE")
        comment(f"1,000,000 projects inserted in {time.monotonic() - begun:.0f} s")
    return owner


class Peers:
    """Servers as others write them, behind the same nginx. names: those that could be started."""

    def __init__(self, run):
        self.run, self.started, self.names, self.folder = run, [], [], VAR + "/peers"

    def _start(self, name, environment, *words):
        log = open(f"{VAR}/log/{name}.log", "w", encoding="utf-8")
        pairs = [f"{key}={value}" for key, value in environment.items()]
        self.started.append(subprocess.Popen([os.environ["FOVEA_STACK"], "exec", "env", *pairs, *words], stdout=log,
                                             stderr=log, start_new_session=True))

    def start(self, base):
        shutil.copytree(HERE + "/peers", self.folder, dirs_exist_ok=True)
        self._start("fastapi", {"PEER_DSN": f"postgresql://fovea_owner@/fovea?host={self.run}", "PYTHONPATH": self.folder},
                    "/usr/bin/python3", "-m", "uvicorn", "--no-access-log", "--workers", "2", "--uds",
                    self.run + "/fastapi.sock", "--app-dir", self.folder, "fastapi_app:app")
        self._node()
        auth = ("Authorization", "Bearer " + os.environ["FOVEA_KEY"])
        for name in ("fastapi", "node"):
            if wait_until(name, lambda name=name: answers(f"{base}/{name}/api/projects?limit=20", auth), 15):
                self.names.append(name)
            else:
                with open(f"{VAR}/log/{name}.log", encoding="utf-8") as text:
                    comment(f"no {name} to compare with: {' '.join(text.read().split())[-300:]}")

    def _node(self):
        """fastify and pg from npm, unless BENCH_NODE_MODULES names a folder that holds them."""
        modules = os.environ.get("BENCH_NODE_MODULES")
        log = f"{VAR}/log/node.log"
        if not modules:
            modules = self.folder + "/node_modules"
            try:
                subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "fastify@4", "pg@8"],
                               cwd=self.folder, check=True, timeout=180, capture_output=True)
            except (OSError, subprocess.SubprocessError) as fault:
                with open(log, "w", encoding="utf-8") as out:
                    out.write(f"npm: {fault}")
                return
        self._start("node", {"PEER_PG_HOST": self.run, "NODE_PATH": modules, "NODE_ENV": "production"}, "node",
                    self.folder + "/fastify_app.js", self.run + "/node.sock")

    def stop(self):
        for process in self.started:
            os.killpg(process.pid, signal.SIGTERM)  # the wrapper of the stack and what it runs
        for process in self.started:
            process.wait()


def main():
    for tool in ("wrk", "curl", "openssl"):
        if not shutil.which(tool):
            fail(f"{tool} is missing: apt-get install {tool}")
    cores = os.cpu_count()
    comment(f"{cores} cores, load {os.getloadavg()[0]:.1f} before; rounds of {SECONDS} s, {ROUNDS} of them; "
            "ratio: median of the rounds' ratios")
    print("name\tvalue\tunit\tceiling\tratio\tgoal", flush=True)
    owner = fill()
    base, run = ceilings()
    peers = Peers(run)
    try:
        if wanted("list-vs-fastapi", "list-vs-node"):
            peers.start(base)
        rates.measure(owner, base, peers.names)
    finally:
        peers.stop()
    uploads.measure(base)
    predict.measure()
    reload.measure()
    comment(f"load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
