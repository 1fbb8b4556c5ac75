"""A receiver that notes when each order arrived, on the clock that all processes of this machine share.

An order is known by the parameter `n` of the request's target. `GET /arrivals` gives what was noted and forgets it.
What comes to `/hang` is never answered. A process of its own: `python -m tests.bench.arrivals PORT 127.0.0.1 ...`.
"""

import asyncio
import json
import re
import sys
import time
from typing import cast

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
NUMBER = re.compile(rb"[?&]n=([^& ]+)")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

noted: dict[str, float] = {}
repeated: dict[str, int] = {}


class Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            length = int(found[1]) if (found := LENGTH.search(head)) else 0
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            self.answer(head.split(b" ", 2)[1], now)

    def answer(self, target: bytes, now: float) -> None:
        if target.startswith(b"/arrivals"):
            body = json.dumps({"noted": noted, "repeated": repeated}).encode()
            noted.clear()
            repeated.clear()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            return
        if found := NUMBER.search(target):
            number = found[1].decode()
            if number in noted:
                repeated[number] = repeated.get(number, 0) + 1
            noted.setdefault(number, now)
        if not target.startswith(b"/hang"):
            self.transport.write(OK)


async def serve(port: int, hosts: list[str]) -> None:
    loop = asyncio.get_running_loop()
    for host in hosts:
        await loop.create_server(Connection, host, port, backlog=1024)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2:]))
