"""Ends a wait for sockets from elsewhere: a pipe that is waited for beside them, and says no more than that."""

import contextlib
import os


class Wakeup:
    """For the threads of one process."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)

    def fileno(self) -> int:
        """What becomes readable."""
        return self._reading

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of what nobody has heard yet
            os.write(self._writing, b"!")

    def hear(self) -> bool:
        """Whether somebody woke us since the last time, however often."""
        try:
            return bool(os.read(self._reading, 1 << 16))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)
