"""A reload under load: every answer a 2xx, no connection broken."""
import os
import re
import subprocess
import time

from measure import QUICK, comment, row, stack, wanted

HTTP = os.environ["FOVEA_HTTP_URL"]
KEY = os.environ["FOVEA_KEY"]


def measure():
    if not wanted("reload-failures"):
        return
    times, seconds = (2, 4) if QUICK else (5, 12)
    load = subprocess.Popen(["wrk", "-t1", "-c16", f"-d{seconds}", "-H", f"Authorization: Bearer {KEY}",
                             HTTP + "/api/projects?limit=20"], stdout=subprocess.PIPE, text=True)
    for _ in range(times):
        time.sleep(seconds / (times + 1))
        stack("sh", "-c", 'sv hup "$FOVEA_VAR/service/api"')
    out = load.communicate()[0]
    failed = sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", out))
    failed += sum(int(n) for n in re.findall(r"(?:connect|read|write|timeout) (\d+)", out))
    asked = int(re.search(r"(\d+) requests in", out).group(1))
    row("reload-failures", failed, "failed", asked, failed / max(asked, 1), "<=0")
    comment(f"reload-failures: {times} HUPs of the pool within {seconds} s; ceiling: the requests in that time")
