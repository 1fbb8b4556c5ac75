"""One response as libcurl hands it over in pieces, and the limits of what is read and kept of it. Pure.

What the kept bytes of the body say is `callbacks.egress.excerpt`.
"""

from dataclasses import dataclass
from functools import lru_cache

from callbacks.egress import excerpt
from callbacks.egress.excerpt import NUL, REPLACEMENT

SHORT = 80  # shorter header lines are often the same in many responses of a server, so parsing them is cached


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one request. `connect_s` is for lookup, connection and TLS, `total_s` for everything.

    Of the body at most `body_bytes` are read, and the first `excerpt_bytes` are kept. Of the headers at most
    `header_bytes` are read, and the first `kept_header_bytes` are kept.
    """

    connect_s: float = 5.0
    total_s: float = 10.0
    body_bytes: int = 65536
    excerpt_bytes: int = 4096
    header_bytes: int = 65536
    kept_header_bytes: int = 8192


class Response:
    """The part of a response that has come so far."""

    __slots__ = ("_body", "_body_size", "_header_size", "_kept_size", "_limits", "_lines", "has_headers")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lines: list[bytes] = []  # the first is the status line
        self._header_size = 0
        self._kept_size = 0
        self._body = b""
        self._body_size = 0
        self.has_headers = False  # all headers of the final response have come

    @property
    def has_begun(self) -> bool:
        return bool(self._lines)

    def add_header(self, line: bytes) -> bool:
        """Add a header line; False if the headers are too long."""
        self._header_size += len(line)
        if self._header_size > self._limits.header_bytes:
            return False
        if self.has_headers:
            if line.startswith(b"HTTP/"):  # the response before was 1xx
                self.has_headers = False
                self._lines = [b""]
                self._kept_size = 0
            return True  # otherwise a trailer
        if line in (b"\r\n", b"\n"):
            self.has_headers = True
        elif self._kept_size < self._limits.kept_header_bytes:
            self._lines.append(line[: self._limits.kept_header_bytes - self._kept_size])
            self._kept_size += len(line)
        return True

    def add_body(self, chunk: bytes) -> bool:
        """Add a piece of the body; False if no more of it is read."""
        missing = self._limits.excerpt_bytes - self._body_size
        if missing > 0:
            self._body += chunk[:missing]
        self._body_size += len(chunk)
        return not self.has_enough

    @property
    def has_enough(self) -> bool:
        """Whether more of the body has come than is read."""
        return self._body_size > self._limits.body_bytes

    def headers(self) -> tuple[tuple[str, str], ...]:
        return tuple([_short_pair(line) if len(line) < SHORT else _pair(line) for line in self._lines[1:]])

    def excerpt(self, headers: tuple[tuple[str, str], ...]) -> str:
        """The beginning of the body, as text that every database can hold."""
        size, is_open = self._body_size, self.has_enough
        if is_open:
            size = self._limits.body_bytes + 1
        return excerpt.text_of(self._body, size, headers, limit=self._limits.excerpt_bytes, is_open=is_open)


@lru_cache(maxsize=256)
def _short_pair(line: bytes) -> tuple[str, str]:
    return _pair(line)


def _pair(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").replace(NUL, REPLACEMENT).partition(":")
    return name.strip(), value.strip()
