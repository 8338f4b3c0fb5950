"""Run inside a container: clients that use the proxy until a file appears, and count every request that fails.

    load.py PROXY_HOST:PORT STOP_FILE [--clients N] [--slow N] [--most SECONDS]

A failure is a refused or broken connection, a status other than 200, or content that isn't the origin's, whole. Nothing
is tried again: a proxy that closes a connection without saying so fails the next request on it. The result is one
line of JSON.
"""

import argparse
import collections
import hashlib
import http.client
import json
import os
import random
import threading
import time

WWW = "http://www.test"
STORED = ["/1k.bin", "/1k.bin", "/100k.bin", "/1m.bin"]


def digest(data):
    """What content is compared by."""
    return hashlib.sha256(data).hexdigest()


class Tally:
    """What all clients saw, together."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = 0
        self.hits = 0
        self.closed = 0
        self.slowest = 0.0
        self.failures = collections.Counter()
        self.last_failure = None

    def count(self, took, response):
        with self.lock:
            self.requests += 1
            self.slowest = max(self.slowest, took)
            self.hits += "; hit" in (response.getheader("Cache-Status") or "")
            self.closed += response.will_close

    def fail(self, reason, began):
        with self.lock:
            self.requests += 1
            self.failures[reason] += 1
            self.last_failure = began


class Client:
    """One client with one keep-alive connection."""

    def __init__(self, number, proxy, contents, tally):
        self.random = random.Random(number)
        self.number = number
        self.proxy = proxy
        self.contents = contents
        self.tally = tally
        self.connection = None
        self.sent = 0

    def next_path(self):
        """Mostly stored files, some that nobody asked for before, some that can't be stored."""
        self.sent += 1
        drawn = self.random.random()
        if drawn < 0.7:
            return self.random.choice(STORED)
        if drawn < 0.9:
            return f"/unique/{os.getpid()}-{self.number}-{self.sent}"
        return f"/private/{self.number}-{self.sent}"

    def request(self, path):
        began = time.time()
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(*self.proxy, timeout=60)
            self.connection.request("GET", WWW + path, headers={"User-Agent": "load"})
            response = self.connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as problem:
            self.connection.close()
            self.connection = None
            kind = path.split("/")[1] if path.count("/") > 1 else path
            self.tally.fail(f"{kind}: {type(problem).__name__}: {problem}", began)
            time.sleep(0.2)
            return
        if response.status != 200:
            self.tally.fail(f"status {response.status}: {content[:100]!r}", began)
        elif digest(content) not in self.contents:
            self.tally.fail(f"wrong content, {len(content)} bytes", began)
        else:
            self.tally.count(time.time() - began, response)

    def pause(self):
        """Often none, sometimes long enough that the proxy parks the connection."""
        time.sleep(self.random.choice([0] * 12 + [0.02, 0.05, 0.3, 0.6]))


def run_client(client, stopped, slow):
    """One client's life."""
    while not stopped():
        client.request(f"/slow/{os.getpid()}-{client.number}-{client.sent}" if slow else client.next_path())
        client.sent += slow
        client.pause()


def main():
    """Reads what the contents must be from the origin's own files, runs the clients, prints the result."""
    options = argparse.ArgumentParser()
    options.add_argument("proxy")
    options.add_argument("stop")
    options.add_argument("--clients", type=int, default=12)
    options.add_argument("--slow", type=int, default=2)
    options.add_argument("--most", type=float, default=240)
    options = options.parse_args()
    host, port = options.proxy.rsplit(":", 1)
    contents = set()
    for name in ("1k", "100k", "1m"):
        with open(f"/srv/www/{name}.bin", "rb") as file:
            contents.add(digest(file.read()))
    tally = Tally()
    deadline = time.time() + options.most

    def stopped():
        return os.path.exists(options.stop) or time.time() > deadline

    threads = []
    for number in range(options.clients + options.slow):
        client = Client(number, (host, int(port)), contents, tally)
        threads.append(threading.Thread(target=run_client, args=(client, stopped, number >= options.clients)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({
        "requests": tally.requests, "hits": tally.hits, "closed": tally.closed, "slowest": round(tally.slowest, 2),
        "failed": sum(tally.failures.values()), "reasons": dict(tally.failures.most_common(8)),
        "last_failure": tally.last_failure,
    }))


if __name__ == "__main__":
    main()
