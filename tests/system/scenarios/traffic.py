"""Real clients: apt on two clean machines, a browser, TLS through CONNECT, and what the journal says of them."""

from harness.clients import PROXY, curl, origin_saw
from harness.container import wait_for
from harness.report import check

CHROMIUM = (
    "chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --virtual-time-budget=20000 "
    f"--proxy-server=http://{PROXY} --proxy-bypass-list='<-loopback>'"
)
PICTURES = 4


def make_client(box, name):
    """A clean machine of its own to apt: this root file system with its changes kept apart, and one source of packages."""
    base, merged = f"/mnt/{name}", f"/mnt/{name}/root"
    box.run(f"""
        mkdir -p {base} && mount -t tmpfs tmpfs {base} && mkdir {base}/up {base}/work {merged}
        mount -t overlay overlay -o lowerdir=/,upperdir={base}/up,workdir={base}/work {merged}
        mount -t proc proc {merged}/proc && mount --rbind /dev {merged}/dev
        rm -rf {merged}/etc/apt/sources.list {merged}/etc/apt/sources.list.d/* {merged}/var/lib/apt/lists
        echo 'deb [trusted=yes] http://deb.test test main' > {merged}/etc/apt/sources.list
        echo 'Acquire::http::Proxy "http://{PROXY}";' > {merged}/etc/apt/apt.conf.d/30proxy
    """)
    return merged


def apt_on(box, client):
    """apt-get update and install on a clean client; what the origin saw of each."""
    before = len(origin_saw(box, "deb"))
    box.run(f"chroot {client} apt-get update")
    between = len(origin_saw(box, "deb"))
    box.run(f"chroot {client} apt-get install -y hello jq tree")
    assert box.out(f"chroot {client} hello") == "Hello, world!"
    assert box.out(f"echo '[1,2]' | chroot {client} jq length") == "2"
    seen = origin_saw(box, "deb")
    return seen[before:between], seen[between:]


@check("apt-get update and install on a clean client, through the proxy")
def apt_first(box):
    update, install = apt_on(box, make_client(box, "client-1"))
    fetched = [path for status, _, _, path in install if status == 200]
    assert any(path.endswith(".deb") for path in fetched), install
    return f"{len(update)} + {len(install)} requests reached the origin"


def sent_again(asked):
    """Of these requests those that the origin answered with content."""
    return [line for line in asked if line[0] not in (304, 404)]


@check("a second clean client gets everything from the cache: the origin's log proves it")
def apt_second(box):
    update, install = apt_on(box, make_client(box, "client-2"))
    # apt asks for its indexes with max-age=0, and for the proxy it is the same client, which asks for the same packages
    # again: the origin may be asked whether they changed, but sends nothing again.
    content = sent_again(update + install)
    assert content == [], f"the origin sent content again: {content}"
    return f"{len(update)} + {len(install)} validations, no content"


@check("a page in headless Chromium, its pictures from the cache the second time")
def browser(box):
    counts = []
    for visit in (1, 2):
        before = len(origin_saw(box, "www"))
        text = box.out(
            f"{CHROMIUM} --user-data-dir=/tmp/visit-{visit} --dump-dom http://www.test/page.html", timeout=120)
        assert f"pictures shown: {PICTURES}" in text, text[-2000:]
        saw = origin_saw(box, "www")[before:]
        counts.append(len([line for line in saw if "picture-" in line[3]]))
    assert counts == [PICTURES, 0], f"the origin was asked for pictures {counts} times"


@check("CONNECT to a TLS origin")
def connect(box):
    text = box.out(f"curl -sS --cacert /srv/tls/certificate.pem -x http://{PROXY} https://tls.test/file")
    assert text == "a file of the origin", text
    refused = box.run(f"curl -sS -o /dev/null -w '%{{http_connect}}' -x http://{PROXY} https://tls.test:25/", check=False)
    assert refused.stdout == "403", f"CONNECT to port 25: {refused.stdout} {refused.stderr}"


@check("bad requests get a clear answer")
def bad_requests(box):
    answers = {
        "http://nowhere.invalid/": (502, 503, 504),
        "http://www.test:1024/": (502, 503),
        "http://www.test:25/": (403,),
    }
    for url, allowed in answers.items():
        answer = curl(box, url)
        assert answer.status in allowed and answer.content.strip(), f"{url}: {answer.status} {answer.content!r}"
    for raw, status in [("GET http://www.test/file HTTP/1.1\\nHost: www.test\\n\\n", 200),
                        ("GET http://www.test/file HTTP/1.1\\rHost: www.test\\r\\n\\r\\n", 400),
                        ("GET http://www.test/ HTTP/1.1\\r\\nHost : www.test\\r\\n\\r\\n", 400)]:
        sent = f"exec 3<>/dev/tcp/127.0.0.1/3128; printf '{raw}' >&3; timeout 5 head -1 <&3"
        first = box.out(sent, check=False)
        assert f" {status} " in first, f"{raw}: {first!r}"


@check("journalctl -u 'cacheproxy@*': one line a request, from the worker that served it")
def journal_lines(box):
    path = "http://www.test/file?journal"
    for _ in range(24):
        box.run(f"curl -sS -o /dev/null -x http://{PROXY} '{path}'")

    def lines():
        entries = [entry for entry in box.journal("-u 'cacheproxy@*'") if path in str(entry.get("MESSAGE"))]
        return entries if len(entries) >= 24 else None

    entries = wait_for(lines, 10, "24 lines in the journal")
    assert len(entries) == 24, f"{len(entries)} lines for 24 requests"
    for entry in entries:
        unit = f"cacheproxy@{entry['CACHEPROXY_WORKER']}.service"
        assert entry["_SYSTEMD_UNIT"] == unit, f"{unit} logged under {entry['_SYSTEMD_UNIT']}"
        assert entry["SYSLOG_IDENTIFIER"] == unit.removesuffix(".service"), entry["SYSLOG_IDENTIFIER"]
    fields = sorted(name for name in entries[0] if not name.startswith("_"))
    workers = sorted({entry["CACHEPROXY_WORKER"] for entry in entries})
    return f"workers {', '.join(workers)}; {entries[-1]['MESSAGE']}; fields {' '.join(fields)}"


@check("credentials in a URI don't reach the journal")
def masked(box):
    box.run(f"curl -sS -o /dev/null -x http://{PROXY} 'http://jane:sesame@www.test/file?masked'", check=False)
    wait_for(lambda: "file?masked" in box.out("journalctl -b -u 'cacheproxy@*'"), 10, "the line")
    assert "sesame" not in box.out("journalctl -b")
