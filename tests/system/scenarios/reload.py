"""The configuration: a drop-in taken over by reload, a bad one refused with the reason, listening elsewhere."""

from harness.clients import curl
from harness.container import wait_for
from harness.report import check

DROPIN = "/etc/cacheproxy/conf.d/test.toml"
RULE = '[[rule]]\nmatch = ["http://www.test/silent/ruled*"]\nttl = "77m"\n'


def fresh_for(box, url):
    """The ttl that Cache-Status gives for a second request."""
    curl(box, url)
    cache = curl(box, url).cache
    return int(cache.split("ttl=")[1].split(";")[0].split(",")[0]) if "ttl=" in cache else cache


@check("systemctl reload takes over a changed configuration")
def good(box):
    before = [box.property(f"cacheproxy{part}.service", "MainPID") for part in ("", "@1")]
    box.write(DROPIN, RULE)
    box.run("cacheproxy check && systemctl reload cacheproxy")
    ttl = fresh_for(box, "http://www.test/silent/ruled.txt")
    assert isinstance(ttl, int) and 77 * 60 - 30 <= ttl <= 77 * 60, f"ttl is {ttl}, not about {77 * 60}"
    after = [box.property(f"cacheproxy{part}.service", "MainPID") for part in ("", "@1")]
    assert before == after, "a reload must not restart anything"


@check("a bad configuration is refused by reload, says why, and changes nothing")
def bad(box):
    box.write(DROPIN, RULE.replace("77m", "seventy"))
    checked = box.run("cacheproxy check", check=False)
    assert checked.returncode != 0 and "test.toml" in checked.stderr, checked.stderr
    reloaded = box.run("systemctl reload cacheproxy", check=False)
    assert reloaded.returncode != 0, "reload said that a bad configuration is good"
    wait_for(lambda: "test.toml" in box.out("journalctl -b -u cacheproxy.service"), 10, "the reason in the journal")
    assert box.is_active("cacheproxy.service")
    ttl = fresh_for(box, "http://www.test/silent/ruled.txt?again")
    assert isinstance(ttl, int) and ttl > 76 * 60, f"the old settings are gone: ttl {ttl}"
    box.run(f"rm {DROPIN} && systemctl reload cacheproxy")
    return checked.stderr.strip().splitlines()[0]


@check("a start with a bad configuration waits for a good one")
def bad_at_start(box):
    box.write(DROPIN, "nonsense = 1\n")
    box.run("systemctl stop cacheproxy.socket && systemctl start cacheproxy.socket")
    client = box.start("curl -sS -i --max-time 60 -x http://127.0.0.1:3128 http://www.test/file")
    wait_for(lambda: "nonsense" in box.out("journalctl -b -u cacheproxy.service"), 20, "the reason in the journal")
    box.run(f"rm {DROPIN}")
    printed, problems = client.communicate(timeout=90)
    assert " 200 " in printed, printed + problems


@check("a drop-in for cacheproxy.socket makes it listen elsewhere")
def elsewhere(box):
    folder = "/etc/systemd/system/cacheproxy.socket.d"
    box.write(f"{folder}/override.conf", "[Socket]\nListenStream=\nListenStream=127.0.0.1:8118\nListenStream=/run/proxy.sock\n")
    box.run("systemctl daemon-reload && systemctl restart cacheproxy.socket")
    assert curl(box, "http://www.test/file", proxy="127.0.0.1:8118").status == 200
    unix = box.out("curl -sS --unix-socket /run/proxy.sock http://www.test/file --request-target http://www.test/file")
    assert unix == "a file of the origin", f"over the Unix socket: {unix}"
    assert box.run("curl -sS -x http://127.0.0.1:3128 http://www.test/file", check=False).returncode == 7
    box.run(f"rm -r {folder} && systemctl daemon-reload && systemctl restart cacheproxy.socket")
    assert curl(box, "http://www.test/file").is_hit
