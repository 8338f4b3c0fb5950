"""What one process can't do to another: users differ, and a worker reaches neither the supervisor nor other workers."""

from harness.clients import curl
from harness.report import check
from scenarios.restarts import all_workers_up, main_pid

SUPERVISOR, WORKERS = "cacheproxy-supervisor", "cacheproxy"
CONNECT = "import socket; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect('/run/cacheproxy/worker-2.sock')"
TRUNCATE = "import os, sys; os.ftruncate(os.open(sys.argv[1], os.O_RDWR), 0)"


def as_user(box, user, command):
    """Whether `command` succeeds as `user`, and what it says."""
    done = box.run(f"setpriv --reuid {user} --regid {user} --init-groups {command}", check=False)
    return done.returncode == 0, (done.stdout + done.stderr).strip()


@check("supervisor and workers have users of their own")
def users(box):
    curl(box, "http://www.test/file")
    all_workers_up(box)
    pids = {unit: main_pid(box, unit) for unit in ("cacheproxy.service", "cacheproxy@1.service")}
    seen = {unit: box.out(f"ps -o user:32= -p {pid}") for unit, pid in pids.items()}
    assert seen == {"cacheproxy.service": SUPERVISOR, "cacheproxy@1.service": WORKERS}, seen


@check("no process of either user looks into the supervisor or a worker")
def not_inspected(box):
    for unit in ("cacheproxy.service", "cacheproxy@1.service"):
        pid = main_pid(box, unit)
        for user in (SUPERVISOR, WORKERS):
            for file in ("mem", "environ", "maps"):
                can, said = as_user(box, user, f"head -c 1 /proc/{pid}/{file}")
                assert not can and "denied" in said, f"{user} reads /proc/{pid}/{file} of {unit}: {said}"
        assert box.out(f"grep -i '^max core' /proc/{pid}/limits").split()[4:6] == ["0", "0"]


@check("a worker can't connect to another one's socket as a supervisor")
def not_greeted(box):
    can, said = as_user(box, WORKERS, f'python3 -c "{CONNECT}"')
    assert not can and "PermissionError" in said, said


@check("nobody can cut the shared memory short")
def sealed(box):
    pid = main_pid(box, "cacheproxy@1.service")
    found = box.out(f"ls -l /proc/{pid}/fd | grep memfd:cacheproxy-shared").split()
    fd = found[found.index("->") - 1]
    done = box.run(f'python3 -c "{TRUNCATE}" /proc/{pid}/fd/{fd}', check=False)
    assert done.returncode != 0 and "Operation not permitted" in done.stderr, done.stderr
    assert curl(box, "http://www.test/file").is_hit


@check("the supervisor can neither read nor write the store, and what it orders is removed")
def store_is_the_workers(box):
    for command in ("ls /var/cache/cacheproxy", "touch /var/cache/cacheproxy/x"):
        can, said = as_user(box, SUPERVISOR, command)
        assert not can and "denied" in said, f"{command}: {said}"
    owner = box.out("stat -c '%U %a' /var/cache/cacheproxy")
    assert owner == f"{WORKERS} 700", owner


@check("a purge by root reaches the workers' memory, also while the supervisor is restarted")
def purged(box):
    for during in ("true", *["systemctl restart cacheproxy.service"] * 8):
        curl(box, "http://www.test/file?purged")
        assert curl(box, "http://www.test/file?purged").is_hit
        said = box.out(f"{during} & cacheproxy purge 'http://www.test/file?purged' && wait")
        assert not curl(box, "http://www.test/file?purged").is_hit, f"{during}: {said}"
        box.run("sleep 0.3")
