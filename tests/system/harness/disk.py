"""A disk of its own for a container: a file system in a file, which can be frozen as a disk that doesn't answer."""

import subprocess
from pathlib import Path


class LoopDisk:
    """An ext4 file system, mounted outside and bound into a container."""

    SIZE = 8 << 30

    def __init__(self, directory):
        self.image = Path(f"{directory}.disk")
        self.mounted = Path(f"{directory}.mounted")
        self.mounted.mkdir(parents=True, exist_ok=True)
        with open(self.image, "wb") as image:
            image.truncate(self.SIZE)
        _do("mkfs.ext4", "-q", self.image)
        _do("mount", "-o", "loop", self.image, self.mounted)

    def freeze(self):
        """Whatever writes waits from now on."""
        _do("fsfreeze", "--freeze", self.mounted)

    def thaw(self):
        """It goes on."""
        _do("fsfreeze", "--unfreeze", self.mounted)

    def remove(self):
        """Unmounts and deletes it."""
        subprocess.run(["fsfreeze", "--unfreeze", self.mounted], capture_output=True)
        _do("umount", self.mounted)
        self.mounted.rmdir()
        self.image.unlink()


def _do(*command):
    subprocess.run(command, check=True, capture_output=True, text=True)
