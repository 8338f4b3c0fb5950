"""Root file systems of the Debian releases under test, made once by mmdebstrap and kept as tarballs.

A tarball's name holds the hash of everything it was made from, so a changed recipe makes a new one
and an unchanged recipe costs nothing.
"""

import hashlib
import shutil
import subprocess
from pathlib import Path

COMMON = ["ca-certificates", "iproute2", "procps"]
BOOTED = COMMON + [
    "systemd", "systemd-sysv", "dbus", "curl", "nginx", "python3", "apt-utils", "openssl", "chromium",
    "postgresql",
]
BUILDER = COMMON + ["build-essential", "debhelper", "dpkg-dev", "fakeroot", "lintian"]
# Debian 12 has a Rust that is new enough under other names, for its browsers.
RUST = {"bookworm": ["cargo-web", "rustc-web"], "trixie": ["cargo", "rustc"]}

# Real packages for the local repository, with whatever they need that a minimal root lacks.
SERVED = "hello tree jq"
FETCH_SERVED = (
    'mkdir -p "$1/srv/debs/partial" && chroot "$1" apt-get install -y --download-only --no-install-recommends '
    f"-o Dir::Cache::archives=/srv/debs {SERVED} && rm -rf \"$1/srv/debs/partial\" \"$1/srv/debs/lock\""
)

RECIPES = {
    "booted": {"include": BOOTED, "hook": FETCH_SERVED, "rust": False},
    "builder": {"include": BUILDER, "hook": None, "rust": True},
}


def _command(suite, recipe):
    include = recipe["include"] + (RUST[suite] if recipe["rust"] else [])
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=" + ",".join(include)]
    if recipe["hook"]:
        command.append("--customize-hook=" + recipe["hook"])
    return command + [suite]


def tarball(suite, kind, cache):
    """The path of the tarball of `suite` made by the recipe `kind`; it is made when it isn't in `cache` yet."""
    command = _command(suite, RECIPES[kind])
    digest = hashlib.sha256("\0".join(command).encode()).hexdigest()[:16]
    path = Path(cache) / f"{suite}-{kind}-{digest}.tar"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.tar")
    print(f"making the {kind} root of {suite}, once", flush=True)
    subprocess.run(command + [str(partial)], check=True, stdin=subprocess.DEVNULL)
    partial.rename(path)
    return path


def unpack(tar, into):
    """A fresh root file system at `into`, from the tarball `tar`."""
    into = Path(into)
    remove(into)
    into.mkdir(parents=True)
    subprocess.run(["tar", "-C", str(into), "-xf", str(tar)], check=True)
    return into


def remove(root):
    """Removes a root file system that nothing runs in any more."""
    root = Path(root)
    if root.exists():
        shutil.rmtree(root)
