"""What comes back on the wire, of which no more is read and kept than our limits say; pure."""

import codecs
from dataclasses import dataclass
from functools import lru_cache

UTF_8 = codecs.getincrementaldecoder("utf-8")
SHORT = 80  # a header line that most answers of a server have in common, so that reading it once will do
NUL, REPLACEMENT = "\0", "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request. `connect_s` is for lookup, connection and TLS, `total_s` for all of it.

    Of body and headers so many bytes are read at most, and the first of them are kept.
    """

    connect_s: float = 5.0
    total_s: float = 10.0
    body_bytes: int = 65536
    excerpt_bytes: int = 4096
    header_bytes: int = 65536
    kept_header_bytes: int = 8192


class Answer:
    """One answer so far, as libcurl hands it over in pieces."""

    __slots__ = ("_body", "_body_size", "_header_size", "_kept_size", "_limits", "_lines", "is_complete")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lines: list[bytes] = []  # the first is the status line
        self._header_size = 0
        self._kept_size = 0
        self._body = b""
        self._body_size = 0
        self.is_complete = False  # the final answer's headers came to their end

    @property
    def has_begun(self) -> bool:
        return bool(self._lines)

    def take_header(self, line: bytes) -> bool:
        """Whether there may be more of it."""
        self._header_size += len(line)
        if self._header_size > self._limits.header_bytes:
            return False
        if self.is_complete:
            if line.startswith(b"HTTP/"):  # what came before was 1xx
                self.is_complete = False
                self._lines = [b""]
                self._kept_size = 0
            return True  # otherwise a trailer
        if line in (b"\r\n", b"\n"):
            self.is_complete = True
        elif self._kept_size < self._limits.kept_header_bytes:
            self._lines.append(line[: self._limits.kept_header_bytes - self._kept_size])
            self._kept_size += len(line)
        return True

    def take_body(self, chunk: bytes) -> bool:
        """Whether there may be more of it."""
        missing = self._limits.excerpt_bytes - self._body_size
        if missing > 0:
            self._body += chunk[:missing]
        self._body_size += len(chunk)
        return not self.has_enough

    @property
    def has_enough(self) -> bool:
        """Whether more of the body came than is read."""
        return self._body_size > self._limits.body_bytes

    def headers(self) -> tuple[tuple[str, str], ...]:
        return tuple([_short_pair(line) if len(line) < SHORT else _pair(line) for line in self._lines[1:]])

    def excerpt(self) -> str:
        """The body's beginning as text that every database can hold. A character that our cut halved is left out."""
        is_cut = self._body_size > len(self._body)
        text = UTF_8("replace").decode(self._body) if is_cut else self._body.decode("utf-8", "replace")
        return text.replace(NUL, REPLACEMENT)


@lru_cache(maxsize=256)
def _short_pair(line: bytes) -> tuple[str, str]:
    return _pair(line)


def _pair(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").replace(NUL, REPLACEMENT).partition(":")
    return name.strip(), value.strip()
