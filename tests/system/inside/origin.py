"""Run inside a container: makes it the origin of everything the test fetches.

Names in /etc/hosts, pages and pictures for www.test, an apt repository of real packages at deb.test, TLS at tls.test;
nginx serves them and writes one access log a name.
"""

import os
import struct
import subprocess
import zlib
from pathlib import Path

NAMES = ["www.test", "deb.test", "tls.test"]
PICTURES = 4
NGINX = """
user www-data;
worker_processes 2;
error_log /var/log/nginx/error.log;
pid /run/nginx.pid;
events { worker_connections 4096; }
http {
    log_format origin '$status $body_bytes_sent $request_method $request_uri "$http_via" "$http_user_agent"';
    default_type application/octet-stream;
    types { text/html html; image/png png; text/plain txt; }
    keepalive_requests 100000;
    keepalive_timeout 20;
    server {
        listen 80 default_server;
        listen [::]:80 default_server;
        server_name www.test;
        root /srv/www;
        access_log /var/log/nginx/www.log origin;
        location / { add_header Cache-Control max-age=3600; }
        location /silent/ { add_header X-Says nothing-of-freshness; }
        location /private/ { add_header Cache-Control no-store; try_files /1k.bin =404; }
        location /unique/ { add_header Cache-Control max-age=600; try_files /100k.bin =404; }
        location /slow/ { limit_rate 150k; add_header Cache-Control max-age=600; try_files /1m.bin =404; }
    }
    server {
        listen 80;
        listen [::]:80;
        server_name deb.test;
        root /srv/repository;
        access_log /var/log/nginx/deb.log origin;
    }
    server {
        listen 443 ssl;
        server_name tls.test;
        ssl_certificate /srv/tls/certificate.pem;
        ssl_certificate_key /srv/tls/key.pem;
        root /srv/www;
        access_log /var/log/nginx/tls.log origin;
    }
}
"""


def picture(red, green, blue, side=64):
    """A PNG of one colour."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + bytes([red, green, blue]) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * side)) + chunk(b"IEND", b"")


def page():
    """A page that says in its own text how many of its pictures loaded."""
    tags = "".join(f'<img src="/picture-{n}.png">' for n in range(PICTURES))
    script = (
        "addEventListener('load', () => { const shown = [...document.images].filter(i => i.naturalWidth == 64).length;"
        "document.getElementById('said').textContent = 'pictures shown: ' + shown; });"
    )
    return f"<!doctype html><title>A page</title><p id=said>not loaded</p>{tags}<script>{script}</script>"


def write_site(www):
    """The files of www.test: random bytes in a few sizes, a page and its pictures."""
    (www / "silent").mkdir(parents=True, exist_ok=True)
    for name, size in [("1k", 1 << 10), ("100k", 100 << 10), ("1m", 1 << 20), ("20m", 20 << 20)]:
        (www / f"{name}.bin").write_bytes(os.urandom(size))
    (www / "file").write_text("a file of the origin\n")
    (www / "headed").write_text("a file that is only asked for by HEAD\n")
    (www / "kept").write_bytes(os.urandom(300_000))
    for name in ("old.txt", "ruled.txt"):
        (www / "silent" / name).write_text("says nothing of its freshness\n")
        os.utime(www / "silent" / name, (1_000_000_000, 1_000_000_000))
    (www / "page.html").write_text(page())
    for n in range(PICTURES):
        (www / f"picture-{n}.png").write_bytes(picture(60 * n, 200 - 40 * n, 90))


def write_repository(repository):
    """A real apt repository, made by apt-ftparchive of the packages in /srv/debs."""
    pool, dist = repository / "pool", repository / "dists" / "test"
    index = dist / "main" / "binary-amd64"
    pool.mkdir(parents=True, exist_ok=True)
    index.mkdir(parents=True, exist_ok=True)
    for package in Path("/srv/debs").glob("*.deb"):
        (pool / package.name).write_bytes(package.read_bytes())
    packages = subprocess.run(["apt-ftparchive", "packages", "pool"], cwd=repository, check=True, capture_output=True)
    (index / "Packages").write_bytes(packages.stdout)
    subprocess.run(["gzip", "-kf9", str(index / "Packages")], check=True)
    names = ["Suite=test", "Codename=test", "Components=main", "Architectures=amd64", "Origin=test", "Label=test"]
    options = [f"-oAPT::FTPArchive::Release::{name}" for name in names]
    release = subprocess.run(["apt-ftparchive", *options, "release", "."], cwd=dist, check=True, capture_output=True)
    (dist / "Release").write_bytes(release.stdout)


def write_certificate(tls):
    """A certificate for tls.test that signs itself."""
    tls.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=tls.test",
         "-addext", "subjectAltName=DNS:tls.test", "-keyout", str(tls / "key.pem"),
         "-out", str(tls / "certificate.pem")],
        check=True, capture_output=True,
    )


def main():
    """Makes the origin and starts it; it starts again by itself at the next boot."""
    hosts = Path("/etc/hosts")
    hosts.write_text("127.0.0.1 localhost\n::1 localhost\n" + "".join(f"127.0.0.1 {name}\n" for name in NAMES))
    write_site(Path("/srv/www"))
    write_repository(Path("/srv/repository"))
    write_certificate(Path("/srv/tls"))
    Path("/etc/nginx/nginx.conf").write_text(NGINX)
    subprocess.run(["systemctl", "enable", "nginx"], check=True, capture_output=True)
    subprocess.run(["systemctl", "restart", "nginx"], check=True)


if __name__ == "__main__":
    main()
