"""What a user does with a proxy: one curl, a load of clients, clients that sit idle. And what the origin saw of it."""

import contextlib
import itertools
import json
import shlex

from .container import wait_for

PROXY = "127.0.0.1:3128"
INSIDE = "/srv/inside"
_numbers = itertools.count(1)


class Answer:
    """A response as curl saw it."""

    def __init__(self, text):
        head, _, self.content = text.replace("\r\n", "\n").partition("\n\n")
        first, *lines = head.split("\n")
        self.status = int(first.split()[1])
        self.fields = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.fields.setdefault(name.strip().lower(), value.strip())

    @property
    def cache(self):
        """The Cache-Status field, empty when there is none."""
        return self.fields.get("cache-status", "")

    @property
    def is_hit(self):
        """Whether the cache answered without the origin."""
        return "; hit" in self.cache


def curl(box, url, options="", proxy=PROXY):
    """One request through the proxy; only text content makes sense here."""
    return Answer(box.out(f"curl -sS -i --max-time 60 -x http://{proxy} {options} {shlex.quote(url)}"))


def head(box, url, proxy=PROXY):
    """What the first lines of the README do: `curl -sI` with the environment's proxy."""
    return Answer(box.out(f"http_proxy=http://{proxy} curl -sSI --max-time 60 {shlex.quote(url)}"))


def origin_saw(box, site):
    """The lines of the origin's log for one site, each as (status, content bytes, method, path)."""
    seen = []
    for line in box.read(f"/var/log/nginx/{site}.log").splitlines():
        status, size, method, path = line.split()[:4]
        seen.append((int(status), int(size), method, path))
    return seen


@contextlib.contextmanager
def load(box, clients=24, slow=2):
    """Runs clients for as long as the block takes. The yielded dictionary is filled with what they saw afterwards."""
    stop = f"/srv/load-{next(_numbers)}.stop"
    process = box.start(f"python3 {INSIDE}/load.py {PROXY} {stop} --clients {clients} --slow {slow}")
    seen = {}
    try:
        box.run("sleep 2")
        yield seen
        box.run("sleep 2")
    finally:
        box.write(stop, "")
        printed, problems = process.communicate(timeout=300)
        if process.returncode == 0:
            seen.update(json.loads(printed))
        else:
            seen["reasons"] = problems
    if "requests" not in seen:
        raise AssertionError(f"the load didn't run: {seen['reasons']}")


def expect_no_failure(seen):
    """Holds when no request of a load failed, and there were enough to mean something."""
    assert seen["requests"] >= 50, f"too few requests to tell anything: {seen}"
    assert seen["failed"] == 0, f"{seen['failed']} of {seen['requests']} requests failed: {seen['reasons']}"
    return f"{seen['requests']} requests, {seen['hits']} hits, none failed, slowest {seen['slowest']} s"


class Parked:
    """Clients with an idle keep-alive connection each."""

    def __init__(self, box, count):
        self.box, self.count = box, count
        number = next(_numbers)
        self.go = f"/srv/parked-{number}.go"
        ready = f"/srv/parked-{number}.ready"
        self.process = box.start(f"python3 {INSIDE}/parked.py {PROXY} {count} {ready} {self.go}")
        wait_for(lambda: box.exists(ready), 60, "the idle clients to be connected")
        box.run("sleep 2")

    def still_working(self):
        """Lets each make one more request on its connection; how many of them got their answer."""
        self.box.write(self.go, "")
        printed, problems = self.process.communicate(timeout=180)
        assert self.process.returncode == 0, problems
        return int(printed), problems
