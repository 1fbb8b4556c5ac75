"""Takes out what names a person, before anything that a shop sent is stored."""

import base64
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

from django.conf import settings

from affiliates.models import kept
from affiliates.referral import MAX_READ
from orders.intake.attribution import customer_hash

LONGEST_URL: Final = 10_000
_EMAIL = re.compile(r"@[\w-]{1,63}\.")
_USER = re.compile(r"\A([^/?#]{0,20}//)[^/?#]{0,2000}@")
_BASE64 = re.compile(r"[A-Za-z0-9_-]{8,14000}={0,2}")
_NO_LETTER = re.compile("[^a-z0-9]+")
_SEPARATOR = re.compile("([?&;#])")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
# Parameters of an address, without what is no letter and no digit in their names.
_PERSONAL: Final = {
    "auth", "birthday", "city", "company", "contact", "customer", "dob", "fname", "ip", "jwt", "lname", "login", "mail",
    "mobile", "name", "otp", "passwd", "postalcode", "postcode", "pwd", "recipient", "sig", "street", "surname", "tel",
    "user", "username", "zip", "zipcode",
}  # fmt: skip
_PERSONAL_PARTS: Final = (
    "address", "customername", "email", "firstname", "fullname", "lastname", "password", "phone", "secret", "signature",
    "token",
)  # fmt: skip


def customer(email: Any) -> str | None:
    """The shape of a customer's e-mail address, of which only the keyed hash is kept (see `json_body.pick`)."""
    return customer_hash(email[:1000]) or None if isinstance(email, str) else None


def address(value: Any) -> str | None:
    """The shape of a URL or a path (see `json_body.pick`), without the parameters that hold personal data."""
    if not isinstance(value, str):
        return None
    text = _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value[:MAX_READ].strip())
    head, *rest = _SEPARATOR.split(_USER.sub(r"\1", text))
    if _holds_email(head):
        head = "/".join([*head.split("/")[:3], ""]) if "//" in head else "/"
    found, held = [head], ""
    for separator, part in zip(rest[::2], rest[1::2], strict=True):
        held = "" if separator == "#" else held
        if _is_personal(part):
            held = separator if separator in "?#" else held
        else:
            found += [held or separator, part]
            held = ""
    text = "".join(found)
    return text if len(text) <= LONGEST_URL else kept(text)


def cart_link(value: Any) -> str | None:
    """As `address`, of a landing URL that our own script left in a cart: plain, or in base64url, which shops let be."""
    if isinstance(value, str) and _BASE64.fullmatch(value):
        with suppress(ValueError):  # it is no base64, or holds no text
            value = base64.urlsafe_b64decode(value.rstrip("=") + "===").decode()
    return address(value) if isinstance(value, str) and value.startswith(("http://", "https://", "/")) else None


def _is_personal(part: str) -> bool:
    """Whether this parameter, or one of an address in its value, names a person or is a key."""
    return any(_EMAIL.search(text) or any(map(_is_personal_name, _SEPARATOR.split(text))) for text in _readings(part))


def _is_personal_name(part: str) -> bool:
    name = _NO_LETTER.sub("", unquote_plus(part.partition("=")[0]).casefold())
    if not (name in _PERSONAL or name.endswith("key") or any(word in name for word in _PERSONAL_PARTS)):
        return False
    return name not in {_NO_LETTER.sub("", parameter.casefold()) for parameter in settings.REFERRAL_PARAMETERS}


def _holds_email(text: str) -> bool:
    return any(_EMAIL.search(reading) for reading in _readings(text))


def _readings(text: str) -> Iterator[str]:
    """As it is, and decoded as often as software on the way encodes once more."""
    yield text
    for _again in range(3):
        text = unquote(text)
        yield text
