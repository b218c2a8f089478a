"""A full disk below media and spool: a file system of a few megabytes in their place. The last part: it hides what
the others have stored, and leaves the slow pool down."""
import hashlib
import os
import subprocess

import driver
from driver import ask, model_form, rows, small_model
from lib import VAR, check, equal, skip
from processes import service, until

MEDIA = os.path.join(VAR, "media")
SIZE_KB = 8192


def mounted(options):
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "fovea-test", MEDIA], stderr=subprocess.PIPE, text=True,
                          check=False)
    return done.stderr.strip() or None if done.returncode else None


def upload(project, name, data):
    try:
        status, headers, body = ask("POST", "/ultralytics/api/models", **model_form(project, name, data))
    except driver.GONE as e:
        return type(e).__name__, {}, b""
    return status, headers, body


def stored_whole():
    """Every file of the store is what its name says."""
    bad = []
    for where, _, names in os.walk(os.path.join(MEDIA, "sha256")):
        for name in names:
            with open(os.path.join(where, name), "rb") as f:
                if hashlib.sha256(f.read()).hexdigest() != name:
                    bad.append(name)
    return bad


def fill(path, leave_kb):
    """All space but so much."""
    free_kb = os.statvfs(MEDIA).f_bavail * os.statvfs(MEDIA).f_frsize // 1024
    with open(path, "wb") as f:
        f.write(b"x" * 1024 * max(0, free_kb - leave_kb))


def refused(answer):
    status, headers, body = answer
    return status in (503, 507) and b'"success":false' in body and b'"error"' in body and headers.get("Retry-After")


def test_full(project):
    filler = os.path.join(MEDIA, "filler")
    status, _, body = upload(project, "before", small_model("before"))
    equal(status, 201, "an upload to the small disk succeeds")
    kept = driver.made_id(body)
    count = "SELECT count(*) FROM data.model"
    models = rows(count)
    big = small_model(os.urandom(1500000).hex())
    # What is left: nothing; room for the head of the body; for nginx's spooled body but not for the store's file.
    for leave_kb, what in ((0, "spool and store are full"), (1024, "the spool fills up in mid-body"),
                           (len(big) // 1024 + 700, "the body fits, the store's file does not")):
        fill(filler, leave_kb)
        answer = upload(project, f"full-{leave_kb}", big)
        check(refused(answer), f"{what}: 503 or 507 in the dialect's form, with Retry-After", answer[0], answer[1], answer[2][:300])
        equal((ask("GET", "/ultralytics/api/projects?limit=1")[0], ask("GET", f"/ultralytics/api/models/{kept}")[0]), (200, 200),
              "reads go on")
        os.unlink(filler)
    equal(rows(count), models, "no refused upload left a row")
    equal(stored_whole(), [], "nor a part of a file under a final name")
    check(until(lambda: not driver.temporary_files(), 5), "nor a temporary file", driver.temporary_files())
    status, _, body = upload(project, "after", big)
    equal(status, 201, "once there is space again the same upload succeeds, without a restart")


def run(_folder, project, _model, _seed, _rounds):
    owner = os.stat(MEDIA)
    if os.geteuid() != 0:
        skip("a full disk", "mounting a file system needs root")
        return {}
    why_not = mounted(f"size={SIZE_KB}k,mode=0750,uid={owner.st_uid},gid={owner.st_gid}")
    if why_not:
        skip("a full disk", f"mount: {why_not}")
        return {}
    try:
        for word in ("spool", "spool/body", "spool/answer"):
            os.mkdir(os.path.join(MEDIA, word), 0o750)
            os.chown(os.path.join(MEDIA, word), owner.st_uid, owner.st_gid)
        service("restart", "slow")  # the others do without the files; nginx goes by the name
        test_full(project)
    finally:
        service("down", "slow")
        check(until(lambda: subprocess.run(["umount", MEDIA], stderr=subprocess.DEVNULL, check=False).returncode == 0, 10),
              "the small disk goes away")
    return {}
