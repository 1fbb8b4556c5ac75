"""Recognises an answer with 2xx that looks like a refusal: `success=false`, `{"error": ...}`, or a web page.

TUNE answers so (support.tune.com, receiving conversions), CAKE (support.getcake.com, responses to posted leads), Affise
(help-center.affise.com, server postback errors), LinkTrust (help.linktrust.com, lead submission responses), and many
trackers' JSON interfaces. It is a guess and only a hint for people: by the rule, which is 2xx, the delivery has
succeeded and is not sent again.
"""

import json
import re
from collections.abc import Collection, Mapping

from callbacks.egress.wording import Sentence as _

LONGEST = 160  # characters of the answer that are quoted
SHORT = 20  # a page with less text than this is an ordinary answer: `<html><body>OK</body></html>`
NO = frozenset(
    {
        *("error", "err", "fail", "failed", "failure", "invalid", "denied", "declined", "ignored", "expired", "nok"),
        *("not found", "not_found", "not ok", "bad request", "bad_request", "false", "no", "ko", "unsuccessful"),
        *("rejected", "reject", "refused", "duplicate", "duplicated", "inactive", "disabled", "blocked", "forbidden"),
        *("unauthorized", "not authorized", "not_authorized", "not accepted", "not_accepted", "unknown", "missing"),
        *("duplicate lead", "duplicate_lead", "validation failed", "validation_failed", "validation error"),
    }
)
ECHOED = frozenset({"rejected", "reject", "declined"})  # statuses of orders too, which a tracker may repeat
YES = frozenset({"true", "yes", "ok", "success", "accepted"})
# Names in a JSON object, in lower case and without _ or -
FLAGS = ("success", "ok", "accepted", "valid")
VERDICTS = (*FLAGS, "status", "state", "result", "response", "code")
ERRORS = (
    *("error", "errors", "errorcode", "errcode", "errormessage", "errormsg", "errmsg"),
    *("duplicate", "isduplicate", "rejected", "rejectionreasons", "validationerrors"),
)
MESSAGES = ("message", "msg", "reason", "description", "detail")

CLICK = (
    r"(?:click|visit|visitor|transaction|conversion|sub ?id|cid|hit|offer|campaign|token|key|param(?:eter)?s?)"
    r"(?:[ _-]?ids?)?"
)
PARTY = r"(?:offer|campaign|creative|affiliate|publisher|partner|advertiser|account|goal|link|lead|conversion|click)"
DONE = r"(?:exists?|recorded|registered|tracked|processed|received|converted|counted)"
IS = r"[\"']?\s*+[=:>]\s*+[\"']?"
NOTHING = rf"{IS}(?:0\b|(?:none|null|false|no|ok)?[\"']?\s*+(?:[;,&|<.]|$))"  # `error=0`, `Error: none`
# The start, or signs with = or : among them. They are looked through once, from the first: each could be a beginning.
AFRESH = r"(?:^\W*+|(?<=\w)(?=[^\w:=]*+[:=])\W++)"
REFUSAL = re.compile(
    rf"\b(?:success|ok){IS}(?:false|0|no)\b"
    rf"|\b(?:status|result){IS}(?:error|fail(?:ed|ure)?|invalid|denied)\b"
    r"|^\W*(?:[45]\d\d\W+)?(?:(?:fatal )?(?:error|err|fail(?:ed|ure)?|invalid|denied|forbidden|unauthori[sz]ed"
    rf"|nok|not ok|bad request|(?:access|permission) denied)\b(?!{NOTHING})|not found\W*$)"
    rf"|\b(?<!\bno ){CLICK}\W+(?:\w+\W+){{0,4}}?"
    r"(?<!\bnot )(?:not found|not exist|unknown|invalid|missing|expired|empty|required|wrong)\b"
    rf"|\b(?:unknown|invalid|missing|wrong|no such|empty|expired)\W+(?:required )?{CLICK}\b(?!{NOTHING})"
    rf"|\bno {CLICK}\W+(?:found|exists?|match\w*)\b"
    rf"|{AFRESH}no {CLICK}(?: (?:given|provided|specified))?\W*$"
    # Duplicate Lead, Inactive Affiliate, Blocked by …, No Pay Campaign
    r"|^\W*(?:(?:[45]\d\d|0)\W+)?(?:(?:duplicated?|inactive|rejected|declined|refused|blocked|blacklisted|banned"
    rf"|disabled|suspended|unmatched|expired|broken|no pay|not accepted)\b(?!{NOTHING})|already {DONE}\b)"
    rf"|\b{PARTY} (?:id )?(?:is |was |has been |has )?(?:already {DONE}|exists|disabled|inactive|paused|suspended"
    r"|expired|blocked|banned|closed|denied|rejected|over \w+ cap"
    r"|not (?:authori[sz]ed|active|allowed|approved|accepted))\b|\bstatus is not pending\b"
    # Validation Failed, Geotarget Mismatch, Lead Missing Data
    r"|\b(?:validation|verification|authenti[cs]ation|authori[sz]ation|processing|conversion|postback|request) failed\b"
    r"|\b(?:validation|authenti[cs]ation) error\b|\b(?:over|exceeded) (?:\w+ )?cap\b|\bcap (?:reached|exceeded)\b"
    r"|\bmismatch\W*$|\bmissing (?:mandatory |required )?(?:data|fields?|values?|parameters?)\b"
    r"|\bno (?:qualified )?(?:buyers?|affiliates?|offers?) found\b"
    r"|\bip(?:[ -]?address)?(?: \w+){0,2} (?:denied|blocked|rejected|not (?:allowed|whitelisted|authori[sz]ed))\b"
    # <msg>Failure</msg>, <status>Rejected</status>
    r"|<(?:msg|message|status|result|response|state|accepted|success|valid)>\s*+(?:fail(?:ed|ure)?|error|invalid|denied"
    r"|rejected|declined|duplicate|inactive|expired|ignored|refused|false)\b",
    re.IGNORECASE,
)
ACCEPTED = re.compile(rf"\W*(?:ok|okay|success|accepted)\b(?!{IS})", re.IGNORECASE)
PAGE = re.compile(r"\s*(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html|head)\b", re.IGNORECASE | re.DOTALL)
TITLE = re.compile(r"<title[^<>]*>\s*(?P<title>[^<\s][^<]*)", re.IGNORECASE)
TAG = re.compile(r"<[^>]*>?")


def find(excerpt: str) -> str:
    """A sentence about what looks like a refusal in the answer to a successful delivery; "" if nothing does."""
    if PAGE.match(excerpt):
        title = TITLE.search(excerpt)
        shown = TAG.sub(" ", excerpt).strip()
        if title or len(shown) >= SHORT:
            if not title:
                return _("The answer is a web page. Trackers usually answer with one word or nothing. Check the URL.")
            return _(
                "The answer is a web page (“{title}”). Trackers usually answer with one word or nothing. "
                "Check the URL.",
                title=_short(title["title"]),
            )
        excerpt = shown
    said = _refusal_in_json(excerpt)
    if said is None:
        said = _refusal_in_text(excerpt)
    if not said:
        return ""
    return _("The answer reads like a refusal: “{answer}”. The tracker may not have counted it.", answer=_short(said))


def _refusal_in_text(text: str) -> str:
    """The first line that looks like a refusal; "" if none does."""
    lines = text[:1000].splitlines()
    return next((line for line in lines if not ACCEPTED.match(line) and REFUSAL.search(line)), "")


def _refusal_in_json(excerpt: str) -> str | None:
    """The refusing part of a JSON object or of one directly inside it; "" if it has none; None for other texts."""
    try:
        found = json.loads(excerpt)
        found = found[0] if isinstance(found, list) and len(found) == 1 else found
        if not isinstance(found, Mapping):
            return None
        for level in (found, *(value for value in found.values() if isinstance(value, Mapping))):
            by_name = {re.sub("[_-]", "", name.lower()): (name, value) for name, value in level.items()}
            parts = _parts_of_refusal(by_name)
            if parts:
                return ", ".join(
                    f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in parts
                )
            if _says_yes({name: value for name, (_as_sent, value) in by_name.items()}, VERDICTS):
                return ""
    except (ValueError, RecursionError):
        return None
    return ""


def _parts_of_refusal(by_name: Mapping[str, tuple[str, object]]) -> list[tuple[str, object]]:
    """The members that refuse, with the messages beside them. An error beside a clear yes is no refusal."""
    here = {name: value for name, (_as_sent, value) in by_name.items()}
    verdicts = [name for name in VERDICTS if name in here and _says_no(name, here[name])]
    if _says_yes(here, FLAGS):
        verdicts = [name for name in verdicts if str(here[name]).strip().lower() not in ECHOED]
    errors = [name for name in ERRORS if name in here and _is_said(here[name])]
    messages = [name for name in MESSAGES if name in here and _is_said(here[name])]
    if not verdicts:
        if errors and _says_yes(here, FLAGS):
            return []
        refused = any(_refusal_in_text(str(here[name])) for name in messages) and not _says_yes(here, VERDICTS)
        if not errors and not refused:
            return []
    return [by_name[name] for name in (*verdicts, *errors, *messages)]


def _says_yes(here: Mapping[str, object], names: Collection[str]) -> bool:
    found = {name: here[name] for name in names if name in here}
    return any(str(value).strip().lower() in YES or (value == 1 and name in FLAGS) for name, value in found.items())


def _says_no(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value == 0 if name in FLAGS else value < 0 or 400 <= value < 600
    return isinstance(value, str) and value.strip().lower() in NO


def _is_said(value: object) -> bool:
    """Whether the value has content: `"error": null` and `"errors": []` have none."""
    nothing: tuple[object, ...] = (None, False, 0, "", "0", "none", "null", "false", "no", "ok", "success")
    return bool(value) and (value.strip().lower() if isinstance(value, str) else value) not in nothing


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rstrip()}…"
