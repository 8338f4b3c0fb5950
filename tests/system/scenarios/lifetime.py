"""A reboot, an upgrade under load, removal and purge."""

from harness.clients import curl, expect_no_failure, load
from harness.container import wait_for
from harness.report import check

EDITED = "# edited by the administrator\n"


@check("after a reboot the cache is warm")
def reboot(box):
    curl(box, "http://www.test/kept", "-o /dev/null -D -")
    assert curl(box, "http://www.test/kept", "-o /dev/null -D -").is_hit
    box.reboot()
    assert box.is_active("cacheproxy.socket"), "the socket isn't up after boot"
    assert box.units("cacheproxy*.service") == [], "something runs before the first client"
    digest = box.out("curl -sS -x http://127.0.0.1:3128 http://www.test/kept | sha256sum")
    answer = curl(box, "http://www.test/kept", "-o /dev/null -D -")
    assert answer.is_hit and int(answer.fields.get("age", 0)) >= 1, (answer.cache, answer.fields)
    assert digest == box.out("sha256sum < /srv/www/kept"), "the content isn't the origin's"
    lines = box.out("grep -c ' /kept ' /var/log/nginx/www.log")
    assert lines == "1", f"the origin was asked {lines} times"
    return answer.cache


@check("an upgrade to a higher version under load: no failed request, cache and edited conffile kept")
def upgrade(box):
    conffile = "/etc/cacheproxy/cacheproxy.toml"
    box.write(conffile, EDITED + box.read(conffile))
    curl(box, "http://www.test/file?kept")
    # As a version left them in which all processes had one user.
    box.run("chown cacheproxy:cacheproxy /run/cacheproxy /run/cacheproxy/worker-*.sock")
    with load(box) as seen:
        box.run("apt-get install -y -o Dpkg::Options::=--force-confold /srv/package/cacheproxy-next.deb")
    assert box.out("dpkg-query -W -f '${Version}' cacheproxy") == box.out(
        "dpkg-deb -f /srv/package/cacheproxy-next.deb Version")
    assert box.read(conffile).startswith(EDITED), "the edited conffile was replaced"
    for pid in box.out("pgrep -x cacheproxy").split():
        program = box.out(f"readlink /proc/{pid}/exe")
        assert program == "/usr/bin/cacheproxy", f"process {pid} still runs the old binary: {program}"
    assert curl(box, "http://www.test/file?kept").is_hit
    return expect_no_failure(seen)


@check("remove stops everything, and leaves the configuration")
def remove(box):
    box.run("apt-get remove -y cacheproxy")
    assert box.units() == [], box.units()
    assert not box.out("pgrep -x cacheproxy", check=False), "a process is left"
    assert not box.out("ss -Hltn sport = :3128"), "something listens"
    assert box.exists("/etc/cacheproxy/cacheproxy.toml")
    assert not box.exists("/usr/bin/cacheproxy")


@check("purge leaves nothing")
def purge(box):
    box.write("/etc/cacheproxy/conf.d/mine.toml", "")
    box.run("apt-get purge -y cacheproxy")
    box.run("systemctl daemon-reload")
    # /run/systemd is systemd's own memory of units; packages' and journal's logs tell of it and aren't files of ours.
    left = box.out("find / -xdev -path /srv -prune -o -name '*cacheproxy*' -print; "
                   "find /run -path /run/systemd -prune -o -name '*cacheproxy*' -print").splitlines()
    assert not left, left
    known = wait_for(lambda: box.out("systemctl list-units --all --plain --no-legend 'cacheproxy*'", check=False) or "none",
                     5, "systemctl")
    assert known == "none", known
