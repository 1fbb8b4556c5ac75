"""Other systems' placeholders in a pasted URL: where they stand, what they mean, and which of our variables says that.

Networks and trackers write `{sub1}`, `[CLICKID]`, `#s2#`, `##X##`, `${x}`, `%x%`, `<x>`, `!!!x!!!`, `__X__`, or leave
`REPLACE` and `OPTIONAL` behind. Only what stands where a value stands is meant: `data[amount]=` is a name like any
other.
"""

import difflib
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from callbacks.editor import statuses
from callbacks.postback import syntax, variables

CLICK_ID, PAYOUT, AMOUNT, ORDER, STATUS, CURRENCY = (
    "click id",
    "payout",
    "order amount",
    "transaction",
    "status",
    "currency",
)
HOST = "host"  # stands in the tracker's place, where no variable may
VARIABLE_OF = {
    CLICK_ID: "link.sub_id",
    PAYOUT: "order.commission",
    AMOUNT: "order.amount",
    ORDER: "order.number",
    STATUS: "order.status",
    CURRENCY: "order.currency",
}
# What a placeholder or a parameter of that name is for, written without punctuation: Voluum, Keitaro, RedTrack, Binom,
# BeMob, PeerClick, FunnelFlux, ClickFlare, ClickMagick, Everflow, TUNE, Taboola, and the networks they take over from.
MEANINGS: dict[str, str] = {
    name: meaning
    for meaning, names in (
        (CLICK_ID, "clickid click clickref affsub affclickid sub1 subid subid1 externalid s1 s2 clicksubid"),
        (CLICK_ID, "cid hit cnvid u1 dcrdid"),
        (PAYOUT, "payout revenue sum affiliateearnings commissionamount commission price rev amt earnings profit"),
        (AMOUNT, "amount saleamount orderamount ordertotal total orderprice ordervalue value"),
        (
            ORDER,
            "transactionid transid txid tid tx orderid order ordernumber orderno rdtkeventid ref ord conversionid",
        ),
        (STATUS, "status goal eventtype et type cnvstatus orderstatus conversionstatus"),
        (CURRENCY, "currency cnvcurrency currencycode cur"),
    )
    for name in names.split()
}
# At these trackers the parameter holds another thing than its name says: TUNE's and Everflow's transaction_id is the
# click, CAKE's r is the click, Taboola's name is the status.
BY_TRACKER: tuple[tuple[re.Pattern[str], dict[str, str]], ...] = (
    (re.compile(r"/aff_lsr\b|[?&]nid="), {"transactionid": CLICK_ID, "amount": PAYOUT}),
    (re.compile(r"/p\.ashx\b"), {"r": CLICK_ID}),
    (re.compile(r"/s2s-action\b"), {"name": STATUS}),
)

# What these trackers do without, and what takes only words that the tracker's owner chose: Voluum's event type, the
# name of the network at Keitaro.
DISPENSABLE: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    (re.compile(r"/postback/?\?(?:[^#]*&)?cid="), frozenset({"et", *(f"param{n}" for n in range(1, 6))})),
    (statuses.KEITARO, frozenset({"from", "cost", "return", "lead_status", "sale_status", "rejected_status"})),
)

# RFC 3986, appendix B. It only tells where values stand; what is called is read by `callbacks.egress.targets`.
PARTS = re.compile(r"(?P<scheme>[^:/?#]+:)?(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?P<rest>.*)", re.DOTALL)
ANYWHERE = re.compile(
    r"[$%@]?(?<!\{)\{[^{}]*\}(?!\})"
    r"|(?i:%7B){1,2}[A-Za-z_][\w.-]*(?i:%7D){1,2}"  # {x}, encoded on its way
    r"|<{1,2}[A-Za-z_][^<>{}&=/?#]*>{1,2}"
    r"|\#{1,3}[A-Za-z_][\w.-]*\#{1,3}|\#{3,}"
    r"|!{2,3}[A-Za-z_][\w.-]*!{2,3}"  # !!!clickref!!!
    r"|%%[A-Za-z_][\w.-]*%%|\[%[A-Za-z_][\w.-]*%\]"
    r"|%(?![0-9A-Fa-f]{2})[A-Za-z_][\w.-]*%"  # %click_id%: no escape begins there
    r"|(?<=[=/])%[A-Za-z_][\w.-]{2,}%(?=[&/\#;]|\Z)"  # %affid%: begins like an escape, but ends like none
)
IN_VALUE = re.compile(r"\[{1,2}[A-Za-z_][\w .-]*\]{1,2}|(?i:%5B){1,2}[A-Za-z_][\w .-]*(?i:%5D){1,2}")
IN_HOST = re.compile(r"\[(?=[^\[\]]*[G-Zg-z_])[A-Za-z_][^\[\]:]*\]")
WHOLE_VALUE = re.compile(
    r"REPLACE(?:_?[A-Z0-9]+)*|OPTIONAL(?:_[A-Z0-9]+)*|X{3,}|MACRO|(?:YOUR|INSERT|ENTER|PASTE)[_-][A-Z0-9_-]+|[A-Z][A-Z0-9_]*_HERE"
    r"|__[A-Z][A-Z0-9_]*__"
    r"|(?:CLICK|TRANSACTION|TRANS|SUB|ORDER|EXTERNAL|CONVERSION|AFF_CLICK|TX)_?ID|AFF_SUB[0-9]?|SUB[1-9]"
    r"|(?:SALE_|ORDER_|COMMISSION_)?AMOUNT|PAYOUT|REVENUE|COMMISSION|CURRENCY|STATUS|EVENT_(?:TYPE|NAME)"
)
LEFTOVER = re.compile("replace|optional", re.IGNORECASE)  # if it stands where something else is known to be due
NUMBERED = re.compile(r"(?P<stem>(?:aff_?)?sub_?(?:id)?_?)[0-9]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Macro:
    """A placeholder that is not ours: template[start:end], its meaning and what to write instead, where known.

    `parameter` is the name of the parameter it is the value of; "" in the path. `can_go`: that parameter can be left
    out; `should_go`: that is better than to send something.
    """

    text: str
    start: int
    end: int
    meaning: str | None
    suggestion: str | None
    parameter: str = ""
    can_go: bool = False
    should_go: bool = False


@dataclass(frozen=True, slots=True)
class _Value:
    """Where a value stands; `parameter` is the name before it ("" in the path)."""

    start: int
    end: int
    parameter: str


def find(template: str) -> tuple[Macro, ...]:
    """All foreign placeholders of `template`, in order; they do not overlap."""
    masked = syntax.masked(template)
    values = tuple(_values(masked))
    # Braces around nothing but a variable of ours are a brace too many, not a placeholder.
    spans = {m.span() for m in ANYWHERE.finditer(masked) if set(m.group().strip("${} ")) != {syntax.FILLER}}
    for value in values:
        spans.update(match.span() for match in IN_VALUE.finditer(masked, value.start, value.end))
        is_left = LEFTOVER.fullmatch(masked, value.start, value.end) and _plain(value.parameter) in MEANINGS
        if is_left or WHOLE_VALUE.fullmatch(masked, value.start, value.end):
            spans.add((value.start, value.end))
    host_start, host_end = authority_span(template)
    spans.update(match.span() for match in IN_HOST.finditer(masked, host_start, host_end))
    found: list[Macro] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if found and start < found[-1].end:
            continue
        if start < host_end:
            found.append(Macro(template[start:end], start, end, HOST, None))
            continue
        parameter = next((v.parameter for v in values if v.start <= start <= v.end), "")
        found.append(_foreign(template, start, end, parameter))
    return tuple(found)


def empty(template: str, parameters: Container[str]) -> tuple[Macro, ...]:
    """Where nothing stands as the value of one of these `parameters`, and a variable would say it."""
    masked = syntax.masked(template)
    blanks = (value for value in _values(masked) if value.start == value.end and value.parameter in parameters)
    ended = (value for value in blanks if masked[value.end : value.end + 1] in {"", "&"})  # `s1=###` is not empty
    found = (_foreign(template, value.start, value.end, value.parameter) for value in ended)
    return tuple(blank for blank in found if blank.suggestion and not blank.should_go)


def authority_span(template: str) -> tuple[int, int]:
    """Where user info, host and port stand, also if no scheme stands before them; (0, 0) if there is no such place."""
    masked = syntax.masked(template)
    parts = _parts(masked)
    if parts["authority"] is not None:
        return parts.span("authority")
    return (0, 0) if parts["scheme"] else (0, len(re.split("[/?#]", masked, maxsplit=1)[0]))


def nearest(name: str) -> str:
    """The variable that somebody who wrote `name` most likely meant."""
    lowered = name.strip().lower() or "order.number"
    if lowered in variables.NAMES:
        return lowered
    if lowered.startswith(variables.LINK_QUERY):
        parameter = syntax.NO_NAME.sub("", name.strip()[len(variables.LINK_QUERY) :])
        return variables.LINK_QUERY + (parameter or "NAME")
    for candidate in (lowered, lowered.partition(".")[2]):
        if known := _known(candidate):
            return known
    family, _, rest = lowered.partition(".")
    if family in {"link", "query"} and rest and not syntax.NO_NAME.search(rest):
        close = difflib.get_close_matches(lowered, variables.NAMES, n=1, cutoff=0.8)
        return close[0] if close else variables.LINK_QUERY + name.strip().partition(".")[2]
    return difflib.get_close_matches(lowered, sorted(variables.NAMES), n=1, cutoff=0.0)[0]


def is_click_id(parameter: str) -> bool:
    """Whether a parameter of this name usually holds a click id."""
    return MEANINGS.get(_plain(parameter)) == CLICK_ID


def _known(name: str) -> str | None:
    """The variable whose name this is but for punctuation, or whose meaning it has."""
    plain = _plain(name)
    for variable in sorted(variables.NAMES):
        if plain and plain in {_plain(variable), _plain(variable.partition(".")[2])}:
            return variable
    return VARIABLE_OF[MEANINGS[plain]] if plain in MEANINGS else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _foreign(template: str, start: int, end: int, parameter: str) -> Macro:
    text = template[start:end]
    name, bar, filters = unquote(text).strip("${}[]#%<>!@ ").partition("|")
    name = name.strip()
    meaning, variable = _meaning(template, name, parameter)
    words = statuses.filters(template) if meaning == STATUS and parameter == "status" and not bar else ""
    if words:
        bar, filters = "|", words
    suggestion = "{{" + variable + bar + filters + "}}" if variable else None
    can_go = meaning != CLICK_ID and _is_whole_parameter(template, start, end, parameter)
    should_go = can_go and (
        any(tracker.search(template) and parameter in names for tracker, names in DISPENSABLE)
        or (text.upper() in {"", "OPTIONAL"} and meaning in {None, STATUS} and not words)
    )
    return Macro(text, start, end, meaning, suggestion, parameter, can_go, should_go)


def _is_whole_parameter(template: str, start: int, end: int, parameter: str) -> bool:
    """Whether it is all that stands between two signs of the query."""
    begins = start - len(f"{parameter}=")
    return bool(parameter) and template[begins - 1 : begins] in {"?", "&"} and template[end : end + 1] in {"", "&", "#"}


def _meaning(template: str, name: str, parameter: str) -> tuple[str | None, str | None]:
    """What a placeholder of this name in this parameter is for, and the variable that says it."""
    for own in (name, name.lower()):
        if syntax.is_name(own):
            return "variable in other signs", own
    meaning = None
    for tracker, meanings in BY_TRACKER:
        if meaning is None and tracker.search(template):
            meaning = meanings.get(_plain(parameter))
    meaning = meaning or MEANINGS.get(_plain(name)) or MEANINGS.get(_plain(parameter))
    if meaning is None and NUMBERED.fullmatch(name):
        return "link parameter", variables.LINK_QUERY + name
    return meaning, VARIABLE_OF[meaning] if meaning else None


def _parts(masked: str) -> re.Match[str]:
    parts = PARTS.match(masked)
    assert parts  # each of them may be empty
    return parts


def _values(masked: str) -> Iterator[_Value]:
    """Where values stand: each segment of the path, and what follows the `=` of a parameter, wherever it is written."""
    parts = _parts(masked)
    for signs, group in (("/;", "path"), ("?&;#", "rest")):
        for match in re.finditer(f"[^{signs}]+", masked[slice(*parts.span(group))]):
            start, end = (parts.start(group) + at for at in match.span())
            equals = masked.find("=", start, end)
            if equals >= 0:
                yield _Value(equals + 1, end, masked[start:equals])
            elif group == "path":
                yield _Value(start, end, "")
