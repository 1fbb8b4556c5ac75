"""Recognises an answer that says 200 and means no: `success=false`, `{"error": ...}`, a web page where a word was due.

Pure, and a guess: such a delivery has succeeded by the only rule there is, 2xx, and is not sent again. It is for a
person to read. TUNE answers so (support.tune.com, receiving conversions), and so do many trackers' JSON interfaces.
"""

import json
import re
from collections.abc import Mapping

LONGEST = 160  # signs of the answer that are quoted
NO = frozenset(
    {"error", "err", "fail", "failed", "failure", "invalid", "denied", "not found", "not_found", "false", "no"}
)
VERDICTS = ("success", "ok", "accepted", "valid", "status", "state", "result", "response", "code")
MESSAGES = ("message", "msg", "err_msg", "error_message", "reason", "description", "detail")
CLICK = r"(?:click|visit|visitor|transaction|conversion|sub ?id|cid|hit|offer|campaign|token|key)(?:[ _-]?ids?)?"
TEXT = re.compile(
    r"^.*?(?:"
    r"\bsuccess[\"']?\s*[=:]\s*[\"']?(?:false|0|no)\b"
    r"|^\W*(?:fatal )?(?:error|err|fail(?:ed|ure)?|invalid|denied|forbidden|unauthori[sz]ed)\b"
    rf"|\b{CLICK}\W+(?:\w+\W+){{0,4}}?(?:not found|not exist|unknown|invalid|missing|expired|empty|required|wrong)\b"
    rf"|\b(?:unknown|invalid|missing|wrong|no such|no|empty|expired)\W+{CLICK}\b"
    r").*$",
    re.IGNORECASE | re.MULTILINE,
)
PAGE = re.compile(r"\s*(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html|head)\b", re.IGNORECASE | re.DOTALL)
TITLE = re.compile(r"<title[^>]*>\s*(?P<title>.*?)\s*</title", re.IGNORECASE | re.DOTALL)


def doubt(excerpt: str) -> str:
    """What speaks against an answer that counts as a success, in a sentence; "" if nothing does."""
    if not excerpt or excerpt.isspace():
        return ""
    if PAGE.match(excerpt):
        title = TITLE.search(excerpt)
        named = f" (“{_short(title['title'])}”)" if title and title["title"] else ""
        return f"The answer is a web page{named}, where trackers answer with a word or nothing. Is the address right?"
    said = _of_json(excerpt)
    if said is None:
        line = TEXT.search(excerpt[:1000])
        said = line[0] if line else ""
    return (
        f"But the answer reads like a refusal: “{_short(said)}”. The tracker may not have counted it." if said else ""
    )


def _of_json(excerpt: str) -> str | None:
    """The part of a JSON object that says no, "" if none does; None if this is no such object."""
    try:
        found = json.loads(excerpt)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, Mapping):
        return None
    by_name = {str(name).lower(): (name, value) for name, value in found.items()}
    parts = [by_name[name] for name in VERDICTS if name in by_name and _says_no(name, by_name[name][1])]
    parts += [by_name[name] for name in ("error", "errors") if name in by_name and _is_said(by_name[name][1])]
    if not parts:
        return ""
    parts += [by_name[name] for name in MESSAGES if name in by_name and _is_said(by_name[name][1])]
    return ", ".join(f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in parts)


def _says_no(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return 400 <= value < 600 if name in {"status", "code", "result", "response"} else value == 0
    return isinstance(value, str) and value.strip().lower() in NO


def _is_said(value: object) -> bool:
    """Whether there is anything in it: `"error": null` and `"errors": []` say that all is well."""
    nothing: tuple[object, ...] = (None, False, 0, "", "0", "none", "null", "false", "no", "ok")
    return bool(value) and (value.strip().lower() if isinstance(value, str) else value) not in nothing


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rstrip()}…"
