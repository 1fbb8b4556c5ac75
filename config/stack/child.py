"""Child processes: each in a session of its own, each line of output with its name in front, none outlives its parent.

Which children there are, and in which order they start and end, is said by `config.stack.supervisor`.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def bound_to(parent: int, number: int = signal.SIGTERM) -> Callable[[], None]:
    """A `preexec_fn` for a child of process `parent`: on Linux the kernel then sends it signal `number` when its parent
    dies, however it dies. The parent's main thread must start the child, because the kernel watches that thread.
    """

    def bind() -> None:  # pragma: no cover - between fork and exec nothing is measured
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, number)
            if os.getppid() != parent:  # it died before `prctl` was called
                os._exit(1)

    return bind


def _named(name: str, line: str) -> str:
    """The line with the name of its process; as a field, if it is a JSON object."""
    is_json = line.startswith('{"') and line.endswith("}")
    return f'{{"process": "{name}", {line[1:]}' if is_json else f"{name:>6} | {line}"


class Child:
    """A running child process. Its output goes to `log`, or without one to our output with its name in front."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        stdin: bytes = b"",
        log: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self._is_asked_to_end = False
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(log.open("ab")) if log else subprocess.PIPE
            self.process = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the parent alone, which stops the children in order
                pass_fds=pass_fds,
                preexec_fn=bound_to(os.getpid()),  # noqa: PLW1509 - one system call, in a fork of the main thread
            )
        if stdin and self.process.stdin:
            self.process.stdin.write(stdin)
            self.process.stdin.close()
        self._reader = threading.Thread(target=self._relay, daemon=True)
        self._reader.start()

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    @property
    def ending(self) -> str:
        """How it ended, for a sentence: `ended with exit status 3`, `was ended by SIGKILL`."""
        code = self.process.returncode
        if code is None:
            return "is still running"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit status {code}"

    def ask_to_end(self) -> None:
        """Send SIGTERM once: Celery takes a second one for a person in a hurry."""
        if not self._is_asked_to_end:
            self._is_asked_to_end = True
            self.signal(signal.SIGTERM)

    def stop(self, timeout_s: float, is_hurried: Callable[[], bool] = lambda: False) -> None:
        """Ask it to end; after `timeout_s`, or once `is_hurried` is true, kill it and all that it started."""
        self.ask_to_end()
        deadline = time.monotonic() + timeout_s
        while not self.has_ended() and time.monotonic() < deadline and not is_hurried():
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # no process of its session is left
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(timeout=1)

    def signal(self, number: int) -> None:
        if not self.has_ended():
            self.process.send_signal(number)

    def _relay(self) -> None:
        if self.process.stdout is None:
            return
        with self.process.stdout as lines:
            for line in lines:
                if not (text := line.decode("utf-8", "replace").rstrip()):
                    continue
                with contextlib.suppress(OSError, ValueError):  # our output is closed, but the pipe must be emptied
                    # With its end in one piece, so that the lines of two children stay apart.
                    print(_named(self.name, text) + "\n", end="", flush=True)  # noqa: T201 - this is the output of the command
