"""Makes and recognises the tokens that programs hand over orders with."""

import hashlib
import secrets

from orders.models import ApiToken

PREFIX = "apb_"


def create(name: str) -> str:
    """Make a token called `name` and return it; it cannot be read again. An existing name gets a new token."""
    token = _new()
    ApiToken.objects.update_or_create(name=name, defaults={"digest": _digest(token)})
    return token


def give(record: ApiToken) -> str:
    """Save `record` with a new token and return that; it cannot be read again."""
    token = _new()
    record.digest = _digest(token)
    record.save()
    return token


def find(token: str) -> ApiToken | None:
    """The record of a token, or None for one that nobody made."""
    return ApiToken.objects.filter(digest=_digest(token)).first()


def _new() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _digest(token: str) -> str:
    """SHA-256 in hex. A token has 256 random bits, so there is nothing to slow down guessing for."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
