"""The package, built here or in a root of a Debian release with that release's own Rust and no network."""

import os
import shutil
import subprocess
from pathlib import Path

from . import roots

VENDORED = """
[source.crates-io]
replace-with = "vendored"
[source.vendored]
directory = "/vendor"
[net]
offline = true
"""


def build_here(project, *options):
    """Builds with the machine's own toolchain, as the README says; the path of the package."""
    command = [str(project / "packaging" / "build-deb"), *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    return Path(done.stdout.splitlines()[-1])


def build_in(release, project, work, *options):
    """Builds in a fresh root of `release`; the path of the package, and what its Rust calls itself."""
    tar = roots.tarball(release, "builder", work / "roots")
    root = roots.unpack(tar, work / f"{release}-builder.{os.getpid()}")
    try:
        _copy_project(project, root / "src")
        (root / "root/.cargo").mkdir(parents=True)
        (root / "root/.cargo/config.toml").write_text(VENDORED)
        vendor = _vendor(project)
        out = work / f"{release}-deb"
        out.mkdir(parents=True, exist_ok=True)
        # What cargo compiled stays on the host, so that another version costs only its packaging.
        compiled = work / f"{release}-target"
        compiled.mkdir(parents=True, exist_ok=True)
        enter = [
            "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--pipe",
            f"--bind-ro={vendor}:/vendor", f"--bind={out}:/out", f"--bind={compiled}:/src/target",
            "--setenv=LANG=C.UTF-8", "-D", str(root),
        ]
        rust = _run(enter + ["rustc", "--version"])
        printed = _run(enter + ["/src/packaging/build-deb", "--out", "/out", *options])
        package = out / Path(printed.splitlines()[-1]).name
        complaints = _run(enter + ["bash", "-c", f"lintian --allow-root --fail-on none /out/{package.stem}.changes"])
        return package, rust.strip(), serious(complaints)
    finally:
        roots.remove(root)


def serious(complaints):
    """The lines of lintian's output that are errors or warnings."""
    return [line for line in complaints.splitlines() if line.startswith(("E:", "W:"))]


def lintian(package):
    """What lintian has to say of a package built here, at error and warning level."""
    changes = package.with_suffix(".changes")
    command = ["lintian", "--allow-root", "--fail-on", "none", str(changes)]
    return serious(_run(command))


def _run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command[-4:])} ended with {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def _copy_project(project, into):
    into.mkdir(parents=True)
    command = ["git", "-C", str(project), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    for name in filter(None, names.split("\0")):
        source = project / name
        if not os.path.lexists(source):
            continue
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)


def _vendor(project):
    """The crates of Cargo.lock, unpacked for a build without a network."""
    vendor = project / "target" / "vendor"
    command = '. packaging/toolchain.sh && need_rust_and && cargo vendor --quiet --locked --versioned-dirs "$0" >/dev/null'
    subprocess.run(["bash", "-c", command, str(vendor)], check=True, cwd=project, stdin=subprocess.DEVNULL)
    return vendor
