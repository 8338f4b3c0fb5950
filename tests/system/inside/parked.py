"""Run inside a container: keep-alive clients that wait idle while something happens, and then go on.

    parked.py PROXY_HOST:PORT COUNT READY_FILE GO_FILE

Each makes one request, then sits idle; READY_FILE appears when all have; when GO_FILE appears each makes one more
request on the very same connection. Prints how many of these succeeded.
"""

import http.client
import os
import sys
import time


def fetch(connection):
    """One request; true when its answer is whole and 200."""
    connection.request("GET", "http://www.test/1k.bin")
    response = connection.getresponse()
    return response.status == 200 and len(response.read()) == 1024 and not response.will_close


def still_works(connection):
    """A second request on the same connection; http.client opens a new one only when it is told to close."""
    connection.auto_open = 0
    try:
        return fetch(connection)
    except (OSError, http.client.HTTPException) as problem:
        print(f"{type(problem).__name__}: {problem}", file=sys.stderr)
        return False


def main():
    """Connects, waits, asks again."""
    proxy, count, ready, go = sys.argv[1:]
    host, port = proxy.rsplit(":", 1)
    connections = [http.client.HTTPConnection(host, int(port), timeout=60) for _ in range(int(count))]
    kept = [connection for connection in connections if fetch(connection)]
    open(ready, "w").close()
    deadline = time.time() + 120
    while not os.path.exists(go) and time.time() < deadline:
        time.sleep(0.05)
    print(sum(still_works(connection) for connection in kept))


if __name__ == "__main__":
    main()
