"""The PostgreSQL store, as README has it set up: two proxies on Debian's own server, which is killed, restarted and left."""

import re

from harness.clients import curl, expect_no_failure, load, origin_saw
from harness.container import wait_for
from harness.report import check

from . import traffic

DROPIN = "/etc/cacheproxy/conf.d/database.toml"
ONE = 'store = "postgres"\n'
BOTH = ONE + 'database = "host=/run/postgresql,/run/postgresql port=5432,5433 dbname=cacheproxy"\n'
SECOND = "127.0.0.1:3129"
PASSWORD = "open-sesame"
LOST = "going on without the database"


def version(box):
    """The version of the server's packages."""
    return box.out("pg_lsclusters -h").split()[0]


def server(box, name="main"):
    """The unit of a server."""
    return f"postgresql@{version(box)}-{name}.service"


def psql(box, command, port=5432):
    """What a query of the service's own user prints."""
    return box.out(f'runuser -u cacheproxy -- psql -h /run/postgresql -p {port} -d cacheproxy -AtXc "{command}"')


def stored(box, port=5432):
    """How many responses a server has."""
    return int(psql(box, "SELECT count(*) FROM cacheproxy.response", port))


def wait_until_stored(box, path, port=5432):
    """Waits for a response to be in the database: the client has it before."""
    count = f"SELECT count(*) FROM cacheproxy.response WHERE uri LIKE '%{path}'"
    wait_for(lambda: psql(box, count, port) != "0", 20, f"{path} to be stored")


def status(box):
    """What systemctl status says of the supervisor."""
    return box.property("cacheproxy.service", "StatusText")


def storing(box, port=5432):
    """Waits until something new is stored: the database is found again."""
    numbers = iter(range(1000))

    def stored_now():
        path = f"/unique/back-{port}-{box.out('date +%s%N')}-{next(numbers)}"
        curl(box, f"http://www.test{path}", "-o /dev/null -D -")
        box.run("sleep 0.3")
        count = f"SELECT count(*) FROM cacheproxy.response WHERE uri LIKE '%{path}'"
        done = box.run(f"runuser -u cacheproxy -- psql -h /run/postgresql -p {port} -d cacheproxy -AtXc \"{count}\"",
                       check=False)
        return done.stdout.strip() == "1"

    wait_for(stored_now, 60, "something to be stored again")


def since(box):
    """Now, for the journal."""
    return box.out("date '+%Y-%m-%d %H:%M:%S'")


def lost(box, when):
    """How often workers said that they go on without the database."""
    text = box.out(f"journalctl -b -u 'cacheproxy@*' --since '{when}' -o cat | grep -c '{LOST}'", check=False)
    return int(text or 0)


@check("check says that the database isn't there, and what to do", needed=True)
def not_there(box):
    for _ in range(2):
        curl(box, "http://www.test/kept", "-o /dev/null -D -")
    box.run("cacheproxy export /srv/before.archive")
    box.run(f"systemctl stop postgresql {server(box)}")
    box.write(DROPIN, ONE)
    done = box.run("cacheproxy check", check=False)
    assert done.returncode == 69 and "systemctl status postgresql" in done.stderr, vars(done)
    box.run(f"systemctl start postgresql {server(box)}")
    said = [done.stderr.strip()]
    for prepare, words in [("true", "does not exist"), ("runuser -u postgres -- createuser cacheproxy", "does not exist")]:
        box.run(prepare)
        done = box.run("cacheproxy check", check=False)
        assert done.returncode == 69 and words in done.stderr, vars(done)
        said.append(done.stderr.strip())
    return " / ".join(said)


@check("two commands make the database, and the service makes its schema by itself", needed=True)
def made(box):
    box.run("runuser -u postgres -- createdb -O cacheproxy cacheproxy")
    assert "is made when the service first connects" in box.out("cacheproxy check")
    box.run("systemctl restart cacheproxy.socket")
    assert "fwd=uri-miss" in curl(box, "http://www.test/file?db").cache
    wait_until_stored(box, "/file?db")
    answer = curl(box, "http://www.test/file?db")
    assert answer.is_hit and answer.content == "a file of the origin", vars(answer)
    text = wait_for(lambda: status(box) if "stored in database" in status(box) else None, 10, "the status to say so")
    assert "note" not in box.out("cacheproxy check"), box.out("cacheproxy check")
    return text


@check("what was stored in files is moved into the database")
def moved(box):
    before = stored(box)
    box.run("cacheproxy import /srv/before.archive")
    after = stored(box)
    assert after > before, f"{before} and then {after}"
    assert curl(box, "http://www.test/kept", "-o /dev/null -D -").is_hit
    return f"{after - before} responses"


@check("a second proxy, of another user, over TCP with a password: what one stores is a hit on the other", needed=True)
def shared(box):
    psql(box, f"ALTER ROLE cacheproxy PASSWORD '{PASSWORD}'")
    box.run("useradd --system --create-home --home-dir /var/lib/second second")
    box.write("/srv/second/password", PASSWORD + "\n")
    box.write("/srv/second/second.toml", 'database_password_file = "/srv/second/password"\nworkers = 1\n')
    box.run("chown -R second: /srv/second && chmod 600 /srv/second/password")
    box.run(f"systemd-run --quiet --unit=second -p User=second -E HOME=/var/lib/second cacheproxy run --listen {SECOND} "
            "--config /srv/second/second.toml --store postgresql://cacheproxy@127.0.0.1/cacheproxy")
    wait_for(lambda: box.out(f"ss -Hltn sport = :{SECOND.split(':')[1]}"), 20, "the second proxy to listen")
    before = len(origin_saw(box, "www"))
    assert curl(box, "http://www.test/file?db", proxy=SECOND).is_hit
    assert "stored" in curl(box, "http://www.test/100k.bin?shared", "-o /dev/null -D -", proxy=SECOND).cache
    wait_until_stored(box, "/100k.bin?shared")
    assert curl(box, "http://www.test/100k.bin?shared", "-o /dev/null -D -").is_hit
    assert len(origin_saw(box, "www")) - before == 1
    log = box.out("journalctl -b -u second")
    assert PASSWORD not in log, log


@check("a purge on one is seen by the other, which had it in memory")
def purged(box):
    url = "http://www.test/file?purged"
    curl(box, url)
    wait_until_stored(box, "/file?purged")
    for proxy in ("127.0.0.1:3128", SECOND, SECOND):
        assert curl(box, url, proxy=proxy).is_hit
    assert "removed 1" in box.out(f"cacheproxy purge {url}")
    box.run("sleep 0.5")
    for proxy in (SECOND, "127.0.0.1:3128"):
        before = len(origin_saw(box, "www"))
        curl(box, url, proxy=proxy)
        if proxy == SECOND:
            assert len(origin_saw(box, "www")) - before == 1, "the second proxy served what was purged"
    listed = box.out("cacheproxy list --host www.test | tail -1")
    return f"then {listed}"


@check("clients of both at once make one request to the origin")
def collapsed(box):
    clients = [box.start(f"curl -sS -o /dev/null -w '%{{http_code}} ' "
                         f"-x http://{proxy} http://www.test/slow/herd") for proxy in ("127.0.0.1:3128", SECOND) * 6]
    for client in clients:
        printed, problems = client.communicate(timeout=90)
        assert printed.split()[:1] == ["200"], printed + problems
    asked = [line for line in origin_saw(box, "www") if line[3] == "/slow/herd"]
    assert len(asked) == 1, f"the origin was asked {len(asked)} times"


@check("apt on two clean machines: the second one's packages are in the database")
def apt(box):
    psql(box, "DELETE FROM cacheproxy.response")
    box.run("systemctl restart 'cacheproxy@*.service'")
    update, install = traffic.apt_on(box, traffic.make_client(box, "client-3"))
    assert any(path.endswith(".deb") for status, _, _, path in install if status == 200), install
    update, install = traffic.apt_on(box, traffic.make_client(box, "client-4"))
    content = traffic.sent_again(update + install)
    assert content == [], f"the origin sent again: {content}"
    return psql(box, "SELECT count(*) || ' packages, ' || sum(length) || ' bytes' FROM cacheproxy.response "
                     "WHERE uri LIKE '%.deb'")


@check("kill -9 of the server under load: no failed request, said once, back by itself")
def killed(box):
    when = since(box)
    with load(box) as seen:
        box.run(f"systemctl kill -s KILL {server(box)}")
        told = wait_for(lambda: status(box) if "database unreachable" in status(box) else None, 20, "the status to say so")
        box.run("sleep 3")
        box.run(f"systemctl stop {server(box)}; systemctl start {server(box)}")
        storing(box)
    wait_for(lambda: "stored in database" in status(box), 20, "the status to say that it is back")
    workers = len(box.units("cacheproxy@*.service"))
    times = lost(box, when)
    assert 1 <= times <= workers * 2, f"{workers} workers said it {times} times"
    return f"{expect_no_failure(seen)}; {told}; said {times} times by {workers} workers"


@check("an orderly restart of the server under load: no failed request, and what was stored is still there")
def restarted(box):
    curl(box, "http://www.test/file?restart")
    wait_until_stored(box, "/file?restart")
    with load(box) as seen:
        box.run(f"systemctl restart {server(box)}")
        storing(box)
    wait_until_stored(box, "/file?restart")
    return expect_no_failure(seen)


@check("failover to the second server of the connection string under load: no failed request")
def failed_over(box):
    box.run(f"pg_createcluster {version(box)} spare --port 5433 && systemctl start {server(box, 'spare')}")
    box.run("runuser -u postgres -- createuser -p 5433 cacheproxy && "
            "runuser -u postgres -- createdb -p 5433 -O cacheproxy cacheproxy")
    box.write(DROPIN, BOTH)
    box.run("cacheproxy check && systemctl restart cacheproxy.socket")
    storing(box)
    with load(box) as seen:
        box.run(f"systemctl stop {server(box)}")
        storing(box, 5433)
    box.run("cacheproxy check")
    return f"{expect_no_failure(seen)}; the second has {stored(box, 5433)}"


@check("without any server it serves on, and check exits with 69")
def alone(box):
    box.run(f"systemctl stop {server(box, 'spare')}")
    with load(box) as seen:
        box.run("sleep 5")
    done = box.run("cacheproxy check", check=False)
    assert done.returncode == 69, vars(done)
    return expect_no_failure(seen)


@check("back to files: everything of before is there")
def back(box):
    box.run(f"systemctl stop second; rm -r /srv/second {DROPIN} /srv/before.archive; userdel -r second", check=False)
    box.run(f"systemctl stop postgresql {server(box)} {server(box, 'spare')}")
    box.run("systemctl restart cacheproxy.socket")
    assert curl(box, "http://www.test/kept", "-o /dev/null -D -").is_hit
    lines = box.out("journalctl -b | grep -i 'panicked at'", check=False)
    assert not lines, lines
    text = status(box)
    assert not re.search("database", text), text
