"""A file system that is soon full, in memory; it takes root to mount one."""

import contextlib
import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

STEPS = (1 << 20, 1 << 12, 1)  # bytes


class SmallDisk:
    def __init__(self, directory: Path, mib: int) -> None:
        self.directory = directory
        directory.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0755", "none", str(directory)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert not done.returncode, f"A full disk can be tried by root alone, who may mount one: {done.stderr}"

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.directory)], check=True)

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Nothing more can be written there."""
        ballast = self.directory / "ballast"
        try:
            with ballast.open("ab", buffering=0) as file:
                for step in STEPS:
                    self._fill(file, bytes(step))
            yield
        finally:
            ballast.unlink()

    def _fill(self, file, piece: bytes) -> None:
        while True:
            try:
                file.write(piece)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                return
