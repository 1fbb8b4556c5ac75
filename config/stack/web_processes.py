"""Several web processes at one socket, for more than one core (WEB_CONCURRENCY): starts them, and again when one dies.

What one of them does is `config.stack.web`. This process answers nothing itself and knows no Django.
"""

import os
import signal
import socket
import subprocess
import sys
import time

from config.stack import web
from config.stack.child import bound_to

WATCH_EVERY_S = 0.1
STARTED_AGAIN_AFTER_S = 1.0  # one that dies at once is not started a hundred times a second


def command(listener: socket.socket, count: int) -> list[str]:
    """The command of a process that inherits `listener` and serves the site at it with `count` processes."""
    if count == 1:
        return web.command(listener)
    return [sys.executable, "-m", "config.stack.web_processes", str(listener.fileno()), str(count)]


def run(listener: socket.socket, count: int) -> None:
    """Serve the site with `count` processes until SIGTERM or SIGINT; a single one is this one."""
    if count == 1:
        web.serve(listener)
        return
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: ended.append(number))
    processes = [_start(listener) for _ in range(count)]
    while not ended:
        time.sleep(WATCH_EVERY_S)
        dead = [process for process in processes if process.poll() is not None]
        if dead:
            print(f"{len(dead)} of {count} web processes ended. Restarting them.", file=sys.stderr, flush=True)  # noqa: T201 - before any logging
            time.sleep(STARTED_AGAIN_AFTER_S)
        for process in dead:
            processes[processes.index(process)] = _start(listener)
    _stop(processes)


def _start(listener: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        web.command(listener),
        stdin=subprocess.DEVNULL,
        pass_fds=[listener.fileno()],
        preexec_fn=bound_to(os.getpid()),  # noqa: PLW1509 - one system call, in a fork of the main thread
    )


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + web.STOP_S + 1
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    run(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
