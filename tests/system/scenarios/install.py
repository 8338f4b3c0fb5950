"""The package is installed by apt; the first connection starts the proxy; the second request is a hit."""

import re

from harness.clients import curl, head
from harness.container import wait_for
from harness.report import check

EXPOSURE = {"cacheproxy.service": 0.5, "cacheproxy@1.service": 1.5}


@check("the origin serves", needed=True)
def origin_serves(box):
    box.run("python3 /srv/inside/origin.py")
    assert box.out("curl -sS http://www.test/file") == "a file of the origin"


@check("apt installs the package", needed=True)
def apt_installs(box):
    box.run("apt-get install -y /srv/package/cacheproxy.deb")
    assert box.exists("/etc/cacheproxy/cacheproxy.toml"), "no configuration file"
    assert (box.root / "etc/cacheproxy/conf.d").is_dir(), "no folder for drop-ins"
    return box.out("cacheproxy --version")


@check("the units are without complaint to systemd-analyze verify")
def units_verify(box):
    done = box.run("systemd-analyze verify --man=no cacheproxy.socket cacheproxy.service cacheproxy@1.socket "
                   "cacheproxy@1.service")
    mine = [line for line in (done.stdout + done.stderr).splitlines() if "cacheproxy" in line]
    assert not mine, mine


@check("the package has its manual page and the service's configuration checks")
def manual_and_check(box):
    assert box.out("dpkg -L cacheproxy | grep -c /man1/") != "0"
    box.run("cacheproxy check")


@check("the socket listens on IPv4 and IPv6, and nothing else runs before the first client")
def only_the_socket(box):
    box.run("systemctl start cacheproxy.socket")
    assert box.is_active("cacheproxy.socket")
    assert box.out("systemctl is-enabled cacheproxy.socket") == "enabled"
    listening = box.out("ss -Hltn sport = :3128")
    assert "127.0.0.1:3128" in listening and "[::1]:3128" in listening, listening
    running = box.units("cacheproxy*.service")
    assert running == [], running


@check("the first connection starts the supervisor and its workers, and is answered", needed=True)
def first_connection(box):
    answer = curl(box, "http://www.test/file")
    assert answer.status == 200 and answer.content == "a file of the origin", vars(answer)
    assert "fwd=uri-miss" in answer.cache and "stored" in answer.cache, answer.cache
    assert box.is_active("cacheproxy.service")
    # `auto` is one worker a core, and the others start with the first.
    cores = min(int(box.out("nproc")), 16)
    workers = [f"cacheproxy@{n}.service" for n in range(1, cores + 1)]
    wait_for(lambda: box.units("cacheproxy@*.service") == workers, 20, f"{workers} to be active")
    return answer.cache


@check("curl: a miss, then a hit")
def miss_then_hit(box):
    answers = [curl(box, "http://www.test/file?2") for _ in range(2)]
    assert not answers[0].is_hit and answers[1].is_hit, [answer.cache for answer in answers]
    assert answers[0].content == answers[1].content
    assert "via" in answers[1].fields and "age" in answers[1].fields, answers[1].fields
    return answers[1].cache


@check("curl -sI with http_proxy set: the second is a hit")
def head_twice(box):
    answers = [head(box, "http://www.test/headed") for _ in range(2)]
    assert answers[1].is_hit, [answer.cache for answer in answers]
    return answers[1].cache


@check("the IPv6 listener serves too")
def over_ipv6(box):
    assert curl(box, "http://www.test/file", proxy="[::1]:3128").is_hit


@check("systemctl status says what the supervisor does")
def status_line(box):
    def text():
        said = box.property("cacheproxy.service", "StatusText")
        return said if re.search(r"[1-9]\d* workers?, .* [1-9]\d* requests?, [1-9]\d* hits?", said) else None

    return wait_for(text, 30, "a STATUS line that counts workers, requests and hits")


@check("cacheproxy status works")
def status_command(box):
    text = box.out("cacheproxy status")
    assert "worker" in text, text
    return " / ".join(text.splitlines()[:3])


@check("exposure by systemd-analyze security is within bounds")
def exposure(box):
    said = []
    for unit, most in EXPOSURE.items():
        text = box.out(f"systemd-analyze security --no-pager {unit}", check=False)
        score = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", text).group(1))
        assert score <= most, f"{unit}: {score}, at most {most} is allowed\n" + worst(text)
        said.append(f"{unit} {score}")
    return ", ".join(said)


def worst(text):
    """The lines of a security report that cost something."""
    return "\n".join(line for line in text.splitlines() if line.lstrip().startswith("✗"))
