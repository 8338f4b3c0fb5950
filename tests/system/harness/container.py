"""A booted Debian in systemd-nspawn with a loopback network of its own, and commands run in it."""

import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

from . import roots
from .disk import LoopDisk

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "SYSTEMD_PAGER": "cat",
    "TERM": "dumb",
}


class CommandFailed(AssertionError):
    """A command in the container ended with another exit code than was expected."""


class Container:
    """One root file system, booted, shut down and booted again as a test asks for."""

    def __init__(self, name, root):
        self.name = name
        self.root = Path(root)
        self.console = self.root.parent / f"{self.root.name}.console"
        self.nspawn = None
        self.leader = None
        self.disk = LoopDisk(root)

    def boot(self):
        """Starts systemd in the root file system and waits until it says that it's up."""
        command = [
            "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--resolv-conf=off",
            "--timezone=off", "--link-journal=no", f"--machine={self.name}", "-D", str(self.root), "-b",
        ]
        command.insert(-1, f"--bind={self.disk.mounted}:/mnt/disk")
        with open(self.console, "ab") as console:
            self.nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        try:
            self.leader = wait_for(self._find_leader, 60, "PID 1 of the container")
            wait_for(self._is_running, 120, "systemd in the container to be up")
        except CommandFailed as problem:
            console = self.console.read_text(errors="replace")[-3000:]
            raise CommandFailed(f"{problem}; its console:\n{console}") from None

    def _find_leader(self):
        if self.nspawn.poll() is not None:
            raise CommandFailed(f"systemd-nspawn ended with {self.nspawn.returncode}")
        children = subprocess.run(["pgrep", "-P", str(self.nspawn.pid)], capture_output=True, text=True).stdout.split()
        return next(filter(_is_first_of_its_own, children), None)

    def _is_running(self):
        state = self.run("systemctl is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")

    def shut_down(self):
        """Powers the container off in the orderly way, and waits for it."""
        if self.nspawn is None:
            return
        self.nspawn.send_signal(signal.SIGTERM)
        try:
            self.nspawn.wait(timeout=120)
        except subprocess.TimeoutExpired:
            self.nspawn.kill()
            self.nspawn.wait()
        self.nspawn = None

    def reboot(self):
        """Shuts down and boots again: memory and /run are gone, the disk stays."""
        self.shut_down()
        self.boot()

    def _entered(self, command):
        enter = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-C", "-r"]
        return enter + ["/bin/bash", "-c", "cd /root; " + command]

    def run(self, command, check=True, timeout=300):
        """Runs a shell command in the container; with `check`, an exit code other than 0 fails the test."""
        bounded = f"exec timeout --kill-after=5 {timeout} bash -c {shlex.quote(command)}"
        done = subprocess.run(
            self._entered(bounded), capture_output=True, text=True, errors="replace", env=ENVIRONMENT,
            stdin=subprocess.DEVNULL, cwd="/",
        )
        if check and done.returncode != 0:
            raise CommandFailed(
                f"`{command}` ended with {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
            )
        return done

    def out(self, command, **how):
        """What a command prints, without the last line's end."""
        return self.run(command, **how).stdout.strip()

    def start(self, command):
        """Starts a command in the container and returns its process, with its output on a pipe."""
        return subprocess.Popen(
            self._entered("exec " + command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=ENVIRONMENT, stdin=subprocess.DEVNULL, cwd="/",
        )

    def write(self, path, text, mode=0o644):
        """Writes a file of the container. Not for /run and /tmp, which are mounts that only exist inside."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        os.chmod(target, mode)

    def read(self, path):
        """Reads a file of the container."""
        return (self.root / path.lstrip("/")).read_text(errors="replace")

    def exists(self, path):
        """Whether the container has a file at `path`."""
        return os.path.lexists(self.root / path.lstrip("/"))

    def copy(self, source, path, mode=0o644):
        """Copies a file of the host into the container."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(source).read_bytes())
        os.chmod(target, mode)

    def is_active(self, unit):
        """Whether systemd in the container has `unit` active."""
        return self.out(f"systemctl is-active '{unit}'", check=False) == "active"

    def property(self, unit, name):
        """One property of a unit as `systemctl show` prints it."""
        return self.out(f"systemctl show -P {name} '{unit}'")

    def units(self, pattern="cacheproxy*"):
        """The names of the active units that match `pattern`."""
        listed = self.out(f"systemctl list-units --plain --no-legend --state=active,activating,deactivating '{pattern}'")
        return [line.split()[0] for line in listed.splitlines()]

    def journal(self, arguments):
        """The journal's entries of this boot as dictionaries."""
        lines = self.out(f"journalctl -b -o json --all {arguments}").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def remove(self):
        """Shuts down and deletes the root file system."""
        self.shut_down()
        self.disk.remove()
        roots.remove(self.root)


def _is_first_of_its_own(process):
    """Whether a process is PID 1 of another PID namespace. systemd-nspawn has a helper first, which soon ends."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return False
    numbers = next(line.split()[1:] for line in lines if line.startswith("NSpid:"))
    return len(numbers) > 1 and numbers[-1] == "1"


def wait_for(condition, seconds, what):
    """Asks `condition` again and again until it returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise CommandFailed(f"waited {seconds} s in vain for {what}")
        time.sleep(0.1)
