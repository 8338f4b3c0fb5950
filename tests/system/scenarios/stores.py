"""A store that can't be used, vanishes, hangs, or lies on a file system that lacks something: requests go on without it."""

import time

from harness.clients import PROXY, curl
from harness.container import wait_for
from harness.report import check
from scenarios.restarts import all_workers_up
from scenarios.trouble import STORE, complaints, content_is_right, restart_with

MAKE_STORE = f"install -d -o cacheproxy -g cacheproxy -m 0700 {STORE}"


def stop(box):
    """Stops everything."""
    box.run("systemctl stop cacheproxy.socket")
    wait_for(lambda: box.units() == [], 40, "all units to stop")


def is_stored(box, path):
    """Whether a second request for `path` is a hit, with the right content."""
    assert content_is_right(box, path), f"{path}: the content isn't the origin's"
    return curl(box, f"http://www.test{path}", "-o /dev/null -D -").is_hit


def stores_again(box, name):
    """Waits until small and large responses are stored."""
    for path in (f"/1k.bin?{name}", f"/1m.bin?{name}"):
        wait_for(lambda path=path: is_stored(box, path), 45, f"{path} to be stored")


def goes_on_without(box, name):
    """Requests are answered, nothing is said to be stored, and `status` tells why."""
    for path in (f"/1k.bin?{name}", f"/1m.bin?{name}") * 2:
        assert content_is_right(box, path), path
        cache = curl(box, f"http://www.test{path}", "-o /dev/null -D -").cache
        assert "hit" not in cache and "stored" not in cache, cache
    status = box.out("cacheproxy status")
    assert f"store not in use: {STORE}" in status, status
    return status.splitlines()[-1]


@check("stores that can't be used: a file, a read-only or full disk, another user's: the service starts without, and has it later")
def unusable(box):
    said = []
    cases = {
        "file": (f"touch {STORE}", f"rm {STORE}"),
        "read-only": (f"{MAKE_STORE}; mount -t tmpfs -o ro tmpfs {STORE}", f"umount {STORE}"),
        "inodes": (f"{MAKE_STORE}; mount -t tmpfs -o nr_inodes=2,mode=700,uid=cacheproxy,gid=cacheproxy tmpfs {STORE}; "
                   f"touch {STORE}/one", f"umount {STORE}"),
    }
    for name, (spoil, mend) in cases.items():
        stop(box)
        box.run(f"rm -rf {STORE}; {spoil}")
        box.run("systemctl start cacheproxy.socket")
        curl(box, "http://www.test/file")
        all_workers_up(box)
        said.append(f"{name}: {goes_on_without(box, f'unusable-{name}')}")
        box.run(f"{mend}; {MAKE_STORE}")
        stores_again(box, f"mended-{name}")
        assert "store" not in box.out("cacheproxy status"), box.out("cacheproxy status")
    return "; ".join(said)


@check("a store whose content is removed, or that is moved away, is made anew without a restart")
def vanishes(box):
    for name, lose in (("removed", f"rm -rf {STORE}/*"), ("moved", f"mv {STORE} {STORE}.away; {MAKE_STORE}")):
        stores_again(box, f"before-{name}")
        box.run(lose)
        wait_for(lambda: box.exists(f"{STORE}/v3/owner"), 10, "the store to be made anew")
        time.sleep(1.5)
        stores_again(box, f"after-{name}")
    box.run(f"rm -rf {STORE}.away")


@check("without the system calls sendfile and linkat: what is stored is sent all the same")
def filtered(box):
    restart_with(box, "SystemCallFilter=~sendfile linkat copy_file_range")
    stores_again(box, "filtered")
    assert is_stored(box, "/20m.bin?filtered") or is_stored(box, "/20m.bin?filtered")
    restart_with(box, None)
    stores_again(box, "filtered")


@check("a disk that is frozen for 20 s: hits from memory, misses of all sizes and an unsafe request go on, and SIGTERM works")
def frozen(box):
    stop(box)
    box.run(f"rm -rf {STORE}; {MAKE_STORE}; mount --bind /mnt/disk {STORE}; chown cacheproxy: {STORE}; chmod 700 {STORE}")
    box.run("systemctl start cacheproxy.socket")
    curl(box, "http://www.test/file")
    all_workers_up(box)
    stores_again(box, "frozen")
    box.disk.freeze()
    slowest, began, number = 0, time.monotonic(), 0
    try:
        while time.monotonic() - began < 20:
            number += 1
            paths = ["/1k.bin?frozen", f"/1k.bin?{number}", f"/1m.bin?{number}", f"/20m.bin?{number}"]
            for path in paths:
                asked = time.monotonic()
                assert content_is_right(box, path), path
                slowest = max(slowest, time.monotonic() - asked)
            asked = time.monotonic()
            box.run(f"curl -sS -o /dev/null --max-time 30 -x http://{PROXY} -X POST http://www.test/1k.bin?frozen")
            slowest = max(slowest, time.monotonic() - asked)
        assert f"store not in use: {STORE}" in box.out("cacheproxy status")
    finally:
        box.disk.thaw()
    assert slowest < 6, f"somebody waited {slowest} s"
    stores_again(box, "thawed")
    said = complaints(box, "hangs: ")
    assert 1 <= len(said) <= 2 * len(box.units("cacheproxy@*.service")), said
    assert complaints(box, "is back"), "it isn't said that it is back"
    stop(box)
    box.run(f"umount {STORE}; {MAKE_STORE}; systemctl start cacheproxy.socket")
    return f"{number} rounds, the slowest answer after {slowest:.1f} s"
