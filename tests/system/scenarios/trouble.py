"""What goes wrong around the proxy: a worker that hangs, downloads that outlast a restart, a disk that is full."""

from harness.clients import PROXY, curl, origin_saw
from harness.container import wait_for
from harness.report import check
from scenarios.restarts import all_workers_up, came_back, main_pid

WORKERS = "/etc/systemd/system/cacheproxy@.service.d/test.conf"
DROPIN = "/etc/cacheproxy/conf.d/trouble.toml"
STORE = "/var/cache/cacheproxy"
WRITE_OUT = "-w '%{http_code} %{size_download}\\n'"
MIB = 1 << 20


def restart_with(box, unit_settings):
    """Restarts the workers with other settings in their units; without any, with those that are shipped."""
    if unit_settings:
        box.write(WORKERS, f"[Service]\n{unit_settings}\n")
    else:
        box.run(f"rm -f {WORKERS}")
    box.run("systemctl daemon-reload && systemctl restart 'cacheproxy@*.service'")
    all_workers_up(box)


def download_through_restart(box, name):
    """A download of some 7 s, with a restart of every worker after 1 s; curl's exit code and what it says."""
    download = box.start(f"curl -sS -o /dev/null {WRITE_OUT} -x http://{PROXY} http://www.test/slow/{name}")
    box.run("sleep 1; systemctl restart 'cacheproxy@*.service'")
    printed, problems = download.communicate(timeout=60)
    all_workers_up(box)
    return download.returncode, printed.strip() or problems


@check("a worker that hangs is ended by systemd's watchdog, and the clients that it was given are served")
def hung_worker(box):
    curl(box, "http://www.test/file")
    all_workers_up(box)
    assert box.property("cacheproxy@1.service", "WatchdogUSec") == "30s"
    restart_with(box, "WatchdogSec=4")
    box.run("sleep 5")
    before = main_pid(box, "cacheproxy@1.service")
    assert before and box.property("cacheproxy@1.service", "NRestarts") == "0", "it was ended without a reason"
    box.run(f"kill -STOP {before}")
    seen = box.out(f"seq 8 | xargs -P8 -I@ curl -sS --max-time 30 -o /dev/null -w '%{{http_code}} %{{time_total}}\\n' "
                   f"-x http://{PROXY} http://www.test/unique/hung-@").splitlines()
    slowest = max(float(line.split()[1]) for line in seen)
    assert [line.split()[0] for line in seen] == ["200"] * 8, seen
    assert slowest > 1, f"the worker that hung got none of them: {seen}"
    came_back(box, "cacheproxy@1.service", before)
    assert "Watchdog timeout" in box.out("journalctl -b -u cacheproxy@1.service")
    restart_with(box, None)
    return f"the slowest answer took {slowest} s"


@check("a worker that finishes downloads within `drain` isn't killed by a shorter TimeoutStopSec=")
def drain_extends(box):
    restart_with(box, "TimeoutStopSec=2")
    code, said = download_through_restart(box, "extended")
    restart_with(box, None)
    assert (code, said) == (0, f"200 {MIB}"), (code, said)


@check("a download that outlasts `drain` is cut, the client can tell, and the journal says so")
def drain_ends(box):
    box.write(DROPIN, '[timeouts]\ndrain = "2s"\n')
    box.run("systemctl reload cacheproxy")
    code, said = download_through_restart(box, "cut")
    box.run(f"rm {DROPIN} && systemctl reload cacheproxy")
    # 18: closed with content outstanding.
    assert code == 18, (code, said)
    told = "clients that are still served after 2s (timeouts.drain) are cut off: 1"
    wait_for(lambda: told in box.out("journalctl -b -u 'cacheproxy@*'"), 10, "the line in the journal")


def content_is_right(box, path):
    """Whether what came through the proxy is what the origin has; the path's query is nothing to the origin."""
    got = box.out(f"curl -sS --max-time 60 -x http://{PROXY} 'http://www.test{path}' | sha256sum")
    return got == box.out(f"sha256sum < /srv/www{path.partition('?')[0]}")


def asked_again(box, path):
    """Whether the origin is asked when a client asks for `path`."""
    before = len(origin_saw(box, "www"))
    assert content_is_right(box, path), f"{path}: the content isn't the origin's"
    return any(line[3] == path for line in origin_saw(box, "www")[before:])


def complaints(box, text):
    """The lines of the workers' journal that have `text`."""
    return [line for line in box.out("journalctl -b -o cat -u 'cacheproxy@*'").splitlines() if text in line]


@check("a disk with less room than min_free_disk: everything is served, nothing stored, the journal says so once")
def disk_below_floor(box):
    box.run("systemctl stop cacheproxy.socket")
    wait_for(lambda: box.units() == [], 40, "all units to stop")
    box.run(f"mount -t tmpfs -o size=32m,mode=700,uid=cacheproxy,gid=cacheproxy tmpfs {STORE}")
    box.run("systemctl start cacheproxy.socket")
    curl(box, "http://www.test/file?floor")
    all_workers_up(box)
    box.run("sleep 2")
    for path in ("/1k.bin?floor", "/1m.bin?floor") * 2:
        assert asked_again(box, path), f"{path} was stored all the same"
    said = complaints(box, "less disk is free than min_free_disk")
    assert 1 <= len(said) <= len(box.units("cacheproxy@*.service")), said
    return said[0]


@check("a full disk: everything is served, what was stored still from the store, the journal says so once")
def disk_full(box):
    box.write(DROPIN, 'min_free_disk = "0B"\n')
    box.run("systemctl reload cacheproxy && sleep 2")
    for path in ("/1k.bin?disk", "/1m.bin?disk"):
        assert asked_again(box, path) and not asked_again(box, path), f"{path} wasn't stored"
    box.run(f"dd if=/dev/zero of={STORE}/filler bs=64k", check=False)
    assert box.out(f"df --output=avail {STORE} | tail -1") == "0"
    # At most one complaint a minute from each worker, and the floor's are over.
    box.run("systemctl restart 'cacheproxy@*.service'")
    all_workers_up(box)
    for path in ("/1k.bin?full", "/100k.bin?full", "/1m.bin?full", "/20m.bin?full"):
        assert asked_again(box, path), f"{path} was stored on a full disk"
    for path in ("/1k.bin?disk", "/1m.bin?disk"):
        assert not asked_again(box, path), f"{path} isn't in the store any more"
    # Asking for it doesn't tell: what waits for room, for a second at most, is being received until then.
    listed = box.out("cacheproxy list --host www.test")
    assert "?disk" in listed and "?full" not in listed, listed
    said = complaints(box, "No space left on device")
    assert 1 <= len(said) <= len(box.units("cacheproxy@*.service")), said
    return said[0]


@check("when the disk has room again, responses are stored again without anybody's doing")
def disk_recovers(box):
    box.run(f"rm {STORE}/filler")
    try:
        # Others than before: what waited for room, for a second at most, may be stored by now.
        for path in ("/1k.bin?again", "/1m.bin?again", "/20m.bin?again"):
            assert asked_again(box, path), f"{path} came from nowhere"
            # The room is measured once a second.
            wait_for(lambda path=path: not asked_again(box, path), 10, f"{path} to be stored")
    finally:
        box.run("systemctl stop cacheproxy.socket")
        wait_for(lambda: box.units() == [], 40, "all units to stop")
        box.run(f"umount {STORE} && rm {DROPIN} && systemctl start cacheproxy.socket")
    assert curl(box, "http://www.test/file").status == 200
