"""A real SMTP server on loopback: the other side of every test that writes to people.

It keeps what it takes, can refuse with any answer, and can go away and come back at its port.
`python -m tests.smtp --port 2525` runs it by hand and prints each e-mail with the time at which it came.
"""

import argparse
import email.policy
import logging
import socket
import sys
import time
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller

logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's, with a line for each step


@dataclass(frozen=True)
class Mail:
    to: tuple[str, ...]
    message: EmailMessage
    at: float  # seconds since 1970

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        return self.message.get_content()


class MailServer:
    """`refuse[address]` is what the server answers to that recipient, such as "550 No such user"."""

    def __init__(self, port: int = 0, *, is_shown: bool = False) -> None:
        self.mails: list[Mail] = []
        self.refuse: dict[str, str] = {}
        self.is_shown = is_shown
        self.port = port
        self._controller: Controller | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """At the port that it had before, if it had one."""
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port or _free_port())
        self._controller.start()
        self.port = self._controller.port

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    # --- what aiosmtpd calls -----------------------------------------------------
    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802 - its name
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - its name
        message = BytesParser(policy=email.policy.default).parsebytes(envelope.content)
        self.mails.append(Mail(tuple(envelope.rcpt_tos), message, time.time()))
        if self.is_shown:
            print(f"--- {time.strftime('%H:%M:%S')} to {envelope.rcpt_tos}\n{message}", flush=True)
        return "250 OK"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=2525)
    with MailServer(parser.parse_args().port, is_shown=True):
        sys.stdin.read()


if __name__ == "__main__":
    main()
