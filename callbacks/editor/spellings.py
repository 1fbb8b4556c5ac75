"""How other systems write placeholders: `{x}`, `[x]`, `#x#`, `##X(y)##`, `<?=$x?>`, `xxc1xx`, `CLICK_ID` and more.

It only says where a text is written like a placeholder, and which name it holds. What it means is in
`callbacks.editor.macros`.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from callbacks.editor.meanings import meaning_of
from callbacks.editor.url_parts import Value
from callbacks.postback import syntax

OPEN, CLOSE = r"(?:\{|(?i:%(?:25){0,3}7B))", r"(?:\}|(?i:%(?:25){0,3}7D))"  # as such, or encoded on its way
# In any part of a URL.
ANYWHERE = re.compile(
    r"[$%@\#]?(?<!\{)\{[^{}]*\}(?!\})"
    rf"|{OPEN}{{1,4}}(?:%20)*[A-Za-z_][\w.-]*(?:%20)*{CLOSE}{{1,4}}"
    r"|<{1,2}[$:@!]?[A-Za-z_][^<>{}&=/?#]*/?>{1,2}"
    r"|<[?%][^<>]*[?%]>"  # <?=$x?>, <%= x %>
    r"|\#{1,3}[A-Za-z_][\w.:()\[\]-]*\#{1,3}|\#{3,}"
    r"|!{2,3}[A-Za-z_][\w.-]*!{2,3}"  # !!!clickref!!!
    r"|%%[A-Za-z_][\w.:-]*%%|\[%[A-Za-z_][\w.-]*%\]|\[\#[A-Za-z_][\w.-]*\#\]"
    r"|%(?![0-9A-Fa-f]{2})[A-Za-z_][\w.-]*%"  # %click_id%: no escape begins there
    r"|(?<=[=/])%[A-Za-z_][\w.-]{2,}%(?=[&/\#;]|\Z)"  # %affid%: begins like an escape, but ends like none
    r"|\*(?:\||%7[Cc])[A-Za-z_][\w.: -]*(?:\||%7[Cc])\*"  # *|X|*
    r"|\({2,5}(?: |%20)*[A-Za-z_][\w.:-]*(?: |%20)*\){2,5}"
)
# In a value or a segment of the path.
SIGNS = r"[=*%!$#:@~|?]{0,2}"
IN_VALUE = re.compile(
    rf"\[{{1,3}}{SIGNS}[ ]?[A-Za-z_][\w .:|()-]*{SIGNS}\]{{1,3}}"
    r"|(?i:%(?:25){0,3}5B){1,3}[A-Za-z_][\w .-]*(?i:%(?:25){0,3}5D){1,3}"
    r"|(?<![\w.~@])(?:~{1,2}[A-Za-z_][\w.-]*~{1,2}|@{1,2}[A-Za-z_][\w.-]*@{1,2})(?![\w@~])"
)
# In the value of a parameter; elsewhere only with a name whose meaning is known.
IN_PARAMETER = re.compile(
    r"(?<![\w$)\]}])\${1,2}[A-Za-z_]\w*(?:\[[\w'\"]*\])*\${0,2}"  # $tid, $_GET['tid']; not US$ or $5
    r"|\$\([A-Za-z_][\w.-]*\)|\$\[[A-Za-z_][\w.-]*\]"
)
# Several of them as one value: (payout)-(clickid), ~a~~b~, CLICKREF-PAYOUT.
JOINED = re.compile(r"\([\w.-]{1,40}\)|~[\w.-]{1,40}~|@[\w.-]{1,40}@|[Xx]{2}[A-Za-z]\w{0,30}?[Xx]{2}|[A-Z][A-Z0-9_]*")
JOINTS = re.compile(r"[-_:.,|+ ]*")
UNBALANCED = re.compile(r"\{\{|[^{}]*\{[^{}]*\}\}")
JSON = re.compile("[\"',]")
SIGNED = (ANYWHERE, IN_VALUE, IN_PARAMETER)
IN_HOST = re.compile(r"\[(?=[^\[\]]*[G-Zg-z_])[A-Za-z_][^\[\]:]*\]")

SURE_FIELD = r"(?:ID|REF|AMOUNT|CURRENCY|PRICE|PAYOUT|COMMISSION|TOKEN|SUB)"
FIELD = rf"(?:{SURE_FIELD}|NAME|VALUE|KEY|CODE|NUMBER|NO|TYPE|TOTAL|STATUS|SUM)"
OWNER = (
    r"(?:CLICK|SUB|TRANS(?:ACTION)?|TXN?|ORDER|USER|AFF(?:ILIATE|SESSION)?|OFFER|CAMPAIGN|VISIT(?:OR)?|SESSION"
    r"|REQ(?:UEST)?|EVENT|GOAL|LEAD|SALE|CONV(?:ERSION)?|EXTERNAL|PUB(?:LISHER)?|SOURCE|SITE|DEVICE|ADV(?:ERTISER)?"
    r"|NETWORK|PARTNER|TRACK(?:ING)?|AFF_?CLICK|PROMO|COUPON|CUSTOMER)"
)
# A whole value or segment that is a placeholder by its capitals or its form.
WHOLE = re.compile(
    r"REPLACE(?:_?[A-Z0-9])*|OPTIONAL(?:_[A-Z0-9]+)*|X{3,}|MACRO|PLACEHOLDER|CHANGE_?ME|TODO|TBD|FIXME"
    r"|(?:YOUR|INSERT|ENTER|PASTE)[_-][A-Za-z0-9_-]+|(?:your|insert|enter|paste)[_-][a-z0-9_-]+"
    r"|[A-Za-z][A-Za-z0-9_]*_HERE|(?:[a-z0-9]+[_-])*(?:id|amount|key|token|code|domain|value)[_-]here"
    r"|__[A-Z][A-Z0-9_]*__|__[a-z][a-z0-9]*(?:_id|id|ref|sub[0-9]?)__"
    rf"|(?:YOUR)?{OWNER}_?(?:ID|REF)[0-9]?|(?:[A-Z][A-Z0-9]*_)+{SURE_FIELD}[0-9]?|{OWNER}_{FIELD}[0-9]?"
    r"|(?:AFF_?)?SUB_?(?:ID)?_?[0-9]{1,2}|AFF_?SUB"
    r"|(?:SALE_?|ORDER_?|COMMISSION_?)?AMOUNT|PAYOUT|REVENUE|COMMISSION|CURRENCY|STATUS|EVENT_(?:TYPE|NAME)"
    r"|[Xx]{2}[A-Za-z]\w{0,30}?[Xx]{2}"  # xxc1xx
    r"|%(?:[0-9]\$)?[sd]"  # printf
)
# In the place of a value whose parameter says what belongs there.
LEFTOVER = re.compile(rf"replace|optional|x{{3,}}|[^\w\s{syntax.FILLER}]{{2,}}|…|�", re.IGNORECASE)
SIGNS_AROUND = "!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~¤§°«»‹›“”‘’「」【】〈〉⟨⟩¬•"  # noqa: RUF001 - quotes
STRONG = frozenset("*^!|~(")  # around a name of any kind they make a placeholder
MIRRORED = str.maketrans("()[]{}<>«»‹›“”‘’「」【】〈〉⟨⟩", ")(][}{><»«›‹”“’‘」「】【〉〈⟩⟨")  # noqa: RUF001 - quotes
# Of a known name also on one side alone: `:clickid`, `[clickid`.
LED = re.compile(r"[:@$%\\\[<(~|^*]{1,3}[A-Za-z_][\w.-]*|[A-Za-z_][\w.-]*[\]>)~|^*%]{1,3}")
NAME = re.compile(r"[A-Za-z_][\w.-]*")
IDENTIFIER = re.compile(r"(?:id|ref)[0-9]?\Z", re.IGNORECASE)
MOST_SIGNS = 5
SHORTEST_WORD = 3
WORDS_AROUND = re.compile(r"(?:REPLACE|YOUR|INSERT|ENTER|PASTE|OPTIONAL)[_-]|[_-]HERE\Z", re.IGNORECASE)
HIT_PATH = re.compile(r"x{2}(\w+?)x{2}", re.IGNORECASE)
NUMBERED = re.compile(r"(?:aff_?)?sub_?(?:id)?_?[0-9]+", re.IGNORECASE)


def in_text(masked: str) -> Iterator[tuple[int, int]]:
    """Where a masked template holds placeholders that are recognised by their signs alone."""
    for match in ANYWHERE.finditer(masked):
        text = match.group()
        # Braces around nothing but a variable of ours are a brace too many, and two on one side are one too few.
        if set(text.strip("${} ")) != {syntax.FILLER} and ("%" in text or not UNBALANCED.match(text)):
            yield match.span()


def in_value(masked: str, value: Value) -> Iterator[tuple[int, int]]:
    """Where the value of a parameter or a segment of the path is a placeholder, or holds some."""
    text = masked[value.start : value.end]
    if not text:
        return
    if is_whole(text, value.parameter):
        yield value.start, value.end
        return
    joined = list(JOINED.finditer(text))
    are_all = all(IN_VALUE.fullmatch(one.group()) or is_whole(one.group(), value.parameter) for one in joined)
    if len(joined) > 1 and are_all and JOINTS.fullmatch(JOINED.sub("", text)):
        yield from ((value.start + one.start(), value.start + one.end()) for one in joined)
        return
    yield from (match.span() for match in IN_VALUE.finditer(masked, value.start, value.end))
    for match in IN_PARAMETER.finditer(masked, value.start, value.end):
        if value.parameter or is_known(name_in(match.group())):
            yield match.span()


def is_whole(text: str, parameter: str) -> bool:
    """Whether `text` is a placeholder as a whole, where it stands alone in the place of a value."""
    if WHOLE.fullmatch(text) or (meaning_of(parameter) and LEFTOVER.fullmatch(text)):
        return True
    if NAME.fullmatch(text):
        is_underlined = text.startswith("__") and text.endswith("__") and is_known(text.strip("_"))
        return is_underlined or _is_word(text, parameter) or _is_own_name(text, parameter)
    if syntax.FILLER in text or UNBALANCED.match(text):
        return False
    plain = decoded(text)
    # Encoded on its way, as in %23s2%23.
    is_signed = plain != text and not JSON.search(plain) and any(one.fullmatch(plain) for one in SIGNED)
    return is_signed or _is_wrapped(plain, parameter)


def name_in(text: str) -> str:
    """The name in a placeholder, without the signs around it: `clickid` for `<?=$clickid?>`, `X` for `##X(y)##`."""
    inner = decoded(text).strip(f"{SIGNS_AROUND}_ ")
    if found := HIT_PATH.fullmatch(inner):
        inner = found[1]
    if is_known(inner):
        return inner
    if NAME.fullmatch(inner):
        field = inner.rpartition(".")[2]  # {conversion.payout}
        return field if is_known(field) else inner
    names = NAME.findall(inner)
    return next((name for name in reversed(names) if is_known(name)), inner)


def is_known(name: str) -> bool:
    """Whether it is known what a placeholder of this name is for."""
    return bool(meaning_of(name) or NUMBERED.fullmatch(name) or syntax.is_name(name))


def decoded(text: str) -> str:
    """`text` without percent-encoding, however often it was encoded."""
    for _ in range(3):
        before, text = text, unquote(text) if "%" in text else text
        if text == before:
            break
    return text


def _is_own_name(word: str, parameter: str) -> bool:
    """Whether a word in capitals is the name of its parameter, or the end of it: `sscid=SSCID`, `a_token=TOKEN`."""
    return len(word) >= SHORTEST_WORD and word.isupper() and f"_{parameter}".upper().endswith(f"_{word}")


def _is_word(word: str, parameter: str) -> bool:
    """Whether a bare word is what the parameter is for: in capitals (SUM), or an identifier (`clickid=clickId`)."""
    meaning = meaning_of(word)
    is_written_so = word.isupper() or IDENTIFIER.search(word)
    return bool(meaning and is_written_so and meaning_of(parameter) == meaning)


def _is_wrapped(text: str, parameter: str) -> bool:
    """Whether signs stand around a name, or one before it: `(payout)`, `*x*`, `:clickid`."""
    inner = text.strip(f"{SIGNS_AROUND} " if text[:1] in SIGNS_AROUND else SIGNS_AROUND)
    if not NAME.fullmatch(inner):
        return False
    before, _name, after = text.partition(inner)
    if len(before) > MOST_SIGNS or len(after) > MOST_SIGNS or not (before or after):
        return False
    if is_known(inner):
        return bool((before and after) or LED.fullmatch(text))
    return bool(parameter and before) and before[0] in STRONG and after == before[::-1].translate(MIRRORED)
