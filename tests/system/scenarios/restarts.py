"""Restarts, kills and a stop, with clients that must not notice, or only as much as can't be helped."""

from harness.clients import PROXY, Parked, curl, expect_no_failure, load
from harness.container import wait_for
from harness.report import check

PARKED = 40


def main_pid(box, unit):
    """The process of a unit that is up, or None."""
    found = box.property(unit, "MainPID")
    return found if found != "0" and box.is_active(unit) else None


def came_back(box, unit, before):
    """Waits until `unit` runs in another process than `before`."""
    wait_for(lambda: main_pid(box, unit) not in (None, before), 30, f"{unit} to come back")


def all_workers_up(box):
    """Waits until every worker that should run does."""
    cores = min(int(box.out("nproc")), 16)
    wait_for(lambda: len(box.units("cacheproxy@*.service")) >= cores, 30, f"{cores} workers")


@check("restarts of cacheproxy.service under load: no failed request")
def restart_supervisor(box):
    curl(box, "http://www.test/file")
    all_workers_up(box)
    workers = box.out("systemctl show -P MainPID 'cacheproxy@*.service'")
    with load(box) as seen:
        for _ in range(6):
            box.run("systemctl restart cacheproxy.service && sleep 1.5")
    assert box.out("systemctl show -P MainPID 'cacheproxy@*.service'") == workers, "workers were restarted too"
    return expect_no_failure(seen)


@check("restarts of cacheproxy.socket: it listens again each time")
def restart_socket(box):
    box.run("for n in $(seq 30); do "
            "systemctl reset-failed cacheproxy.socket 'cacheproxy@*.socket'; "
            f"for k in 1 2 3; do curl -s -o /dev/null -x {PROXY} http://www.test/file?socket-$n-$k & done; wait; "
            "systemctl daemon-reload && systemctl restart cacheproxy.socket || exit; done")
    assert curl(box, "http://www.test/file").status == 200
    all_workers_up(box)


@check("restarts of every worker under load: no failed request")
def restart_workers(box):
    with load(box) as seen:
        for unit in box.units("cacheproxy@*.service"):
            before = main_pid(box, unit)
            box.run(f"systemctl restart {unit}")
            came_back(box, unit, before)
    return expect_no_failure(seen)


@check("idle keep-alive clients live through a restart of the supervisor")
def parked_through_restart(box):
    parked = Parked(box, PARKED)
    box.run("systemctl restart cacheproxy.service && sleep 2")
    working, problems = parked.still_working()
    assert working == PARKED, f"{working} of {PARKED} idle connections still work: {problems}"


@check("idle keep-alive clients live through kill -9 of every worker")
def parked_through_kill(box):
    curl(box, "http://www.test/1k.bin", "-o /dev/null -D -")
    parked = Parked(box, PARKED)
    for unit in box.units("cacheproxy@*.service"):
        box.run(f"systemctl kill -s KILL {unit}")
    working, problems = parked.still_working()
    assert working == PARKED, f"{working} of {PARKED} idle connections still work: {problems}"


@check("kill -9 of a worker under load: only what it had in flight fails")
def kill_worker(box):
    all_workers_up(box)
    clients = 24
    with load(box, clients=clients, slow=0) as seen:
        before = main_pid(box, "cacheproxy@1.service")
        killed_at = float(box.out(f"kill -9 {before} && date +%s.%N"))
        came_back(box, "cacheproxy@1.service", before)
        box.run("sleep 2")
    assert seen["failed"] <= clients, f"more failed than could be in flight: {seen}"
    # A client pauses 0.6 s at most; one that the worker still held when it died notices at its next request.
    late = seen["last_failure"] is not None and seen["last_failure"] > killed_at + 1
    assert not late, f"requests failed that began after the kill, at {killed_at}: {seen}"
    return f"{seen['failed']} of {seen['requests']} requests failed"


@check("kill -9 of the supervisor: it comes back, and requests in workers finish")
def kill_supervisor(box):
    download = box.start(f"curl -sS -o /dev/null -w '%{{http_code}} %{{size_download}}' -x http://{PROXY} "
                         "http://www.test/slow/through-the-kill")
    box.run("sleep 2")
    before = main_pid(box, "cacheproxy.service")
    box.run(f"kill -9 {before}")
    answer = curl(box, "http://www.test/file")
    assert answer.status == 200, answer.status
    came_back(box, "cacheproxy.service", before)
    printed, problems = download.communicate(timeout=60)
    assert printed == "200 1048576", f"the running download: {printed} {problems}"
    workers = box.units("cacheproxy@*.service")
    return f"{len(workers)} workers went on"


@check("kill -9 of everything at once: the next request is served")
def kill_all(box):
    box.run("systemctl kill -s KILL cacheproxy.service 'cacheproxy@*.service'")
    assert curl(box, "http://www.test/file").status == 200


@check("a stop of the socket stops every unit, a start brings it back")
def stop(box):
    box.run("systemctl stop cacheproxy.socket")
    wait_for(lambda: box.units() == [], 40, "all units to stop")
    assert not box.out("pgrep -x cacheproxy", check=False), "a process is left"
    left = box.out("ls /run/cacheproxy/*.sock 2>/dev/null", check=False).split()
    assert not [path for path in left if "worker-" in path], left
    box.run("systemctl start cacheproxy.socket")
    assert curl(box, "http://www.test/file").is_hit


@check("nothing of ours failed or panicked in the journal")
def quiet(box):
    lines = box.out("journalctl -b -u cacheproxy.service -u 'cacheproxy@*' | grep -i 'panicked\\|core dump'", check=False)
    assert not lines, lines
