"""Takes a URL out of what it was copied with: quotes, brackets, a list, a sentence, HTML, a curl command, JSON.

Text before a URL is dropped only where no URL can begin in it, so that the host is never that of a URL in a value.
What is damaged in the URL itself is repaired by `callbacks.editor.repair`.
"""

import re

from callbacks.postback import syntax

MAX_ROUNDS = 16
QUOTES = "\"'`\u00b4\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033\u2039\u203a\u00ab\u00bb「」『』"
OPENERS = {"”": "“„", "’": "‘‚", "»": "«", "«": "»", "“": "„“", "‘": "‚‘", "›": "‹", "‹": "›"}  # noqa: RUF001 - quotes
OPENERS |= {"」": "「", "』": "『"}

WEB = re.compile(r"https?:", re.IGNORECASE)
BULLET = re.compile(r"(?:[-*•–>]|[0-9]{1,3}[.)]|GET|POST)[ ]+(?=[\"'<`“]?https?:)")  # noqa: RUF001 - a dash
MARKDOWN_LINK = re.compile(r"!?\[[^\[\]]*\]\(<?(?P<url>https?://[^\s()<>]*)>?(?:[ ]\"[^\"()]*\")?\)", re.IGNORECASE)
# Where a URL begins in a text; not after what could be a part of another URL.
BEGINNING = re.compile(r"(?<![\w%/?&])https?:(?://|\\/\\/)", re.IGNORECASE)
# A host with a path: the URL may be the value of its parameter.
OTHER_URL = re.compile(r"://|\w\.\w[^\s/?]{0,80}[/?]")
SENDS_BODY = re.compile(r"\s(?:-d|-F|--data[a-z-]*|--form)\b")  # a body is more than the URL says
# What may stand after a URL that has no quotes: words, or the options of a command.
REMARK = re.compile(r"[\w ~`|.,:;!?'’()-]*\Z|(?:\\\s*)?-{1,2}[A-Za-z]|['\"]")  # noqa: RUF001 - quote
BLANK = re.compile(r"[ \t]|\n(?=--?[A-Za-z]|~~~|```)")
PAIRS = ("()", "[]", "{}", "<>")
CLOSERS: dict[str, tuple[str, ...]] = {"<": ("<", ">", "|"), ">": ("</",)} | {quote: (quote,) for quote in "\"'`"}
FENCES = ("```", "~~~")
REQUEST_LINE = re.compile(r"\s(?:HTTP/[0-9.]{1,3}|\((?:GET|POST)\))\s*\Z", re.IGNORECASE)
LABEL_OF_CHAT = re.compile(r"<(?P<url>https?://[^<>|\s]*)\|[^|<>&=]*>", re.IGNORECASE)
# The last value, if it is a placeholder and nothing else, and signs after it.
END_OF_VALUE = re.compile(
    rf"=(?:{syntax.FILLER}++|\{{[^{{}}=&]*+\}}|\[[^\[\]=&]*+\]|\#\w++\#)(?P<signs>[\s\"'`´′’”)\]>|\\;:,،!！?；*.…\ufffd]++)\Z"  # noqa: RUF001
)
# The end of a text in quotes: of a command, a list, an object.
END_OF_STRING = re.compile(r"(?P<quote>[\"'`”])[)\]}]{0,4}[;,]{1,2}\Z|(?P<other>[\"`”])[)\]}]{1,4}\Z")


def url_in(text: str) -> str:
    """The one URL of a text that holds more than it, such as a sentence, a tag or a command; else the text itself."""
    stripped = text.strip()
    for _round in range(MAX_ROUNDS):
        if not (stripped.startswith(FENCES) and "\n" in stripped):
            break
        text = stripped = stripped.partition("\n")[2].rstrip("`~ \r\n")
    if chat := LABEL_OF_CHAT.fullmatch(stripped):
        return chat["url"]
    begin = BEGINNING.search(stripped)
    if begin is None:
        return text
    before, rest = stripped[: begin.start()], stripped[begin.start() :]
    if not any(sign.isprintable() and sign != " " for sign in before):
        return _without_end(text)
    opening = before.rstrip(" ")
    if (opening == "<" and ">" not in rest) or (opening == "(" and ")" not in rest):
        return rest
    if set(opening) <= set(f"{QUOTES}<(（[【《> ") or MARKDOWN_LINK.match(stripped) or BULLET.match(stripped):  # noqa: RUF001
        return text  # what stands around all of it is taken away by `without`
    last_word = "" if before[-1].isspace() else before.split()[-1]
    if "?" in last_word or OTHER_URL.search(before):
        return text
    url = _until_closed(rest, before[-1], is_tag="<" in before)
    return text if url is None else url


def without(text: str) -> str:
    """`text` without the quotes, brackets and bullets around it, and the signs after it."""
    text = text.strip()
    text = _without_brackets(BULLET.sub("", text, count=1) if BULLET.match(text) else text)
    for _round in range(MAX_ROUNDS):
        if not text or text[0] not in QUOTES:
            break
        opener, text = text[0], text[1:].lstrip()
        if text and text[-1] in QUOTES and (text[-1] == opener or opener in OPENERS.get(text[-1], "")):
            text = text[:-1].rstrip()
    # A single quote character at the end came with the paste, except an apostrophe, which a URL may end in.
    for _round in range(MAX_ROUNDS):
        if not text or text[-1] not in QUOTES or text[-1] == "'" or _is_paired(text):
            break
        text = text[:-1].rstrip()
    return _without_end_of_value(text)


def _until_closed(rest: str, opening: str, *, is_tag: bool) -> str | None:
    """The URL at the beginning of `rest`, which `opening` opened; None if its end is not known."""
    masked = syntax.masked(rest)
    closers = CLOSERS.get(opening, (">",) if opening == "=" and is_tag else ())
    ends = [end for closer in closers if (end := masked.find(closer)) > 0]
    if closers:
        end = min(ends, default=-1)
        return None if end < 0 or SENDS_BODY.search(masked, end) else rest[:end]
    for pair in PAIRS:
        if opening == pair[0]:
            end = masked.rfind(pair[1])
            return rest[:end] if end > 0 else None
    if opening in "*_~":
        return rest.rstrip(opening)
    blank = BLANK.search(masked)
    if blank is None:
        return rest
    head, tail = masked[: blank.start()], masked[blank.start() :].strip(" \t\\")
    is_whole = all(head.count(pair[0]) == head.count(pair[1]) for pair in PAIRS)
    if not is_whole or SENDS_BODY.search(masked) or BEGINNING.search(tail) or not REMARK.match(tail.strip()):
        return None
    return rest[: blank.start()].rstrip(";,|")


def _without_end(text: str) -> str:
    """`text`, which begins with a URL, without the end of a line of HTTP, and without the same URL again."""
    text = REQUEST_LINE.sub("", text)
    head, mark, again = text.partition(" <")
    if mark and again.rstrip(">") == head:
        return head
    half, odd = divmod(len(text), 2)
    if not odd and half and WEB.match(text) and text[:half] == text[half:]:
        return text[:half]
    masked = syntax.masked(text)
    end = END_OF_STRING.search(masked)
    return text[: end.start()] if end and masked.count(end["quote"] or end["other"]) % 2 == 1 else text


def _without_end_of_value(text: str) -> str:
    """`text` without signs after its last value, if that is a placeholder alone and the signs close nothing."""
    end = END_OF_VALUE.search(syntax.masked(text))
    if end is None:
        return text
    signs = text[end.start("signs") :].strip()
    before = text[: end.start("signs")]
    if any(sign == pair[1] and pair[0] in before for sign in signs for pair in PAIRS[:2]):
        return text
    if any(sign in before for sign in signs if sign not in ")]>.?\\'\":`") or (signs == "?" and "?" not in before):
        return text
    return before


def _without_brackets(text: str) -> str:
    """`text` without brackets around all of it, and without those of Markdown around its beginning."""
    if link := MARKDOWN_LINK.match(text):
        return (link["url"] + text[link.end() :]).strip()
    if text.startswith("<"):
        inside, closing, rest = text[1:].partition(">")
        if closing and WEB.match(inside) and "<" not in inside:  # <https://host>?a=1
            return (inside + rest).strip()
        if text.endswith(">"):
            return text[1:-1].strip()
    if text[:1] + text[-1:] in {"()", "[]", "（）", "【】", "《》"} and WEB.match(text, 1):  # noqa: RUF001 - brackets
        return text[1:-1].strip()
    return text


def _is_paired(text: str) -> bool:
    """Whether the quote at the end of `text` belongs to one before it."""
    rest = text[:-1]
    if text[-1] in OPENERS:
        return any(opener in rest for opener in OPENERS[text[-1]])
    return rest.count(text[-1]) % 2 == 1
