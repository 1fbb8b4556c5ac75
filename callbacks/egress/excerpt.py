"""The beginning of an answer's body as text: unpacked, decoded, and named where it is none. Pure.

What comes out has the size of what went in at most, or of the limit, whatever the body says: nothing is unpacked beyond
it. How the bytes are read, and how many, is `callbacks.egress.response`.
"""

import codecs
import re
import zlib
from collections.abc import Iterable
from encodings.aliases import aliases

NUL, REPLACEMENT = "\0", "\N{REPLACEMENT CHARACTER}"
LATIN = "cp1252"  # which browsers read Latin-1 and ASCII as, too
BOMS = ((codecs.BOM_UTF8, "utf_8"), (codecs.BOM_UTF16_LE, "utf_16_le"), (codecs.BOM_UTF16_BE, "utf_16_be"))
# The codecs that an answer may name: those of texts. Python has others, which unpack, or make what no database holds.
CHARSETS = frozenset(
    {
        *("utf_8", "utf_16", "utf_16_le", "utf_16_be", "utf_32", "koi8_r", "koi8_u", "mac_roman", "mac_cyrillic"),
        *(f"iso8859_{part}" for part in (*range(2, 12), *range(13, 17))),
        *("cp437", "cp850", "cp852", "cp866", "cp874", *(f"cp{page}" for page in range(1250, 1259)), "tis_620"),
        *("gb2312", "gbk", "gb18030", "hz", "big5", "big5hkscs", "cp949", "cp950", "cp932"),
        *("shift_jis", "euc_jp", "iso2022_jp", "euc_kr", "johab"),
    }
)
ZIP_WINDOWS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}  # servers send `deflate` with and without a header
MAX_CODINGS = 3
CODING = re.compile(r"[a-z0-9-]{1,20}")
MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,30}/[a-z0-9.+-]{1,60}")
TEXT_TYPE = re.compile(r"text/|[^;]*(?:json|xml|javascript|x-www-form-urlencoded)")
CHARSET = re.compile(r";\s*+charset\s*+=\s*+[\"']?([A-Za-z0-9_.:-]++)", re.IGNORECASE)
PLAIN = bytes([*b"\t\n\v\f\r", *range(0x20, 0x7F)])
OF_TEXT = PLAIN + b"\x1b" + bytes(range(0x80, 0x100))  # an escape sign may be the start of a color
# A part of JSON: a sign, or a value. The last string may be cut off.
JSON_PART = re.compile(
    r"\s*+(?P<part>(?P<sign>[{}\[\],:])|(?:\"(?:[^\"\\]|\\.)*+(?:\"|\\?\Z)|-?\d++[\d.eE+-]*+|true|false|null))",
    re.DOTALL,
)
MAX_DEPTH = 12


def text_of(body: bytes, size: int, headers: Iterable[tuple[str, str]], *, limit: int, is_open: bool = False) -> str:
    """The text of the first bytes of a body, or what it is in square brackets, such as `[image/gif, 43 bytes, …]`.

    `size` is how much of it came, and `is_open` says that there is more than was read. At most `limit` bytes are
    decoded.
    """
    if not body.translate(None, PLAIN):  # nothing that is packed looks so
        return body.decode("ascii")
    given: dict[str, str] = {}
    for name, value in headers:
        if (name := name.lower()) in {"content-type", "content-encoding"}:  # one that is repeated is a list
            given[name] = f"{given[name]},{value}" if name in given else value
    length = f"more than {size - 1:,} bytes" if is_open else f"{size:,} byte{'' if size == 1 else 's'}"
    is_cut = size > len(body)
    if codings := _codings(given.get("content-encoding", "")):
        unpacked = _unpacked(body, codings, limit)
        if unpacked is None:
            return f"[compressed ({', '.join(codings)}), {length}, not shown]"
        is_cut = is_cut or len(unpacked) == limit
        body = unpacked
    media_type = given.get("content-type", "").strip().lower()
    text = _decoded(body, media_type, is_cut=is_cut)
    strange = len(text.encode().translate(None, OF_TEXT)) + text.count(REPLACEMENT)
    if strange > max(1, len(text) // 20):
        named = MEDIA_TYPE.match(media_type)
        return f"[{named[0] if named and not TEXT_TYPE.match(media_type) else 'binary data'}, {length}, not shown]"
    return text.replace(NUL, REPLACEMENT)


def _codings(header: str) -> list[str]:
    """The codings that were applied, in their order. What is not shaped like the name of one is called unknown."""
    named = [part.strip() for part in header.lower().split(",", MAX_CODINGS)]
    found = [part if CODING.fullmatch(part) else "unknown" for part in named if part]
    return [coding for coding in found if coding != "identity"]


def _unpacked(body: bytes, codings: list[str], limit: int) -> bytes | None:
    """The first `limit` bytes of what is packed in `body`; None if it cannot be unpacked."""
    if not ZIP_WINDOWS.keys() >= set(codings) or len(codings) > MAX_CODINGS:
        return None
    for coding in reversed(codings):
        for window in ZIP_WINDOWS[coding]:
            unpacking = zlib.decompressobj(window)
            try:
                unpacked = unpacking.decompress(body, limit)
            except zlib.error:
                continue
            if unpacked or unpacking.eof:  # else it was cut off before anything of it could be read
                break
        else:
            return None
        body = unpacked
    return body


def _decoded(body: bytes, content_type: str, *, is_cut: bool) -> str:
    """By its byte order mark, the charset of its type, as UTF-8, or as a browser reads Latin-1.

    A few bytes that are wrong do not make another charset of UTF-8.
    """
    for mark, charset in BOMS:
        if body.startswith(mark):
            return _as(charset, body[len(mark) :], "replace", is_cut=is_cut)
    for charset in (_charset(content_type), "utf_8"):
        try:
            return _as(charset, body, "strict", is_cut=is_cut)
        except UnicodeError:
            continue
    text = _as("utf_8", body, "replace", is_cut=is_cut)
    is_mostly_right = 2 * text.count(REPLACEMENT) < len(text) - len(text.encode("ascii", "ignore"))
    return text if is_mostly_right else _as(LATIN, body, "replace", is_cut=is_cut)


def _as(charset: str, body: bytes, errors: str, *, is_cut: bool) -> str:
    """Decoded, without a character that was cut in half."""
    if not is_cut:
        return body.decode(charset, errors)
    return codecs.getincrementaldecoder(charset)(errors).decode(body)


def _charset(content_type: str) -> str:
    """The codec for the charset that the type names; that for UTF-8 if it names none, or one that is not known.

    `codecs.lookup` would look for a file of each unknown name, and remember it for ever.
    """
    found = CHARSET.search(content_type)
    name = re.sub("[-.:]", "_", found[1].lower()) if found else ""
    codec = aliases.get(name, name)
    if codec in {"latin_1", "ascii", "iso8859_1"}:
        return LATIN
    return codec if codec in CHARSETS else "utf_8"


def indented(text: str) -> str:
    """JSON with a line for each member, all of it as it came; any other text unchanged.

    It need not be whole, because an excerpt may end anywhere.
    """
    if not text.lstrip().startswith(("{", "[")):
        return text
    lines, depth, before, at = [""], 0, ":", 0
    while found := JSON_PART.match(text, at):
        part, at = found["part"], found.end()
        if not found["sign"] and before not in "{[,:":
            return text
        is_closing = part in "}]"
        depth = max(0, depth - is_closing)
        if before == "," or (before in "{[") != is_closing:
            lines.append("  " * min(depth, MAX_DEPTH))
        lines[-1] += f"{part} " if part == ":" else part
        depth += part in "{["
        before = part
    return text if text[at:].strip() else "\n".join(lines)
