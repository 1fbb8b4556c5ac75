"""Makes and recognises the tokens of programs that hand over orders."""

import hashlib
import secrets

from orders.models import ApiToken

PREFIX = "apb_"


def create(name: str) -> str:
    """Make a token called `name` and return it; it cannot be read again. An existing name gets a new token."""
    return issue(ApiToken.objects.filter(name=name).first() or ApiToken(name=name))


def issue(record: ApiToken) -> str:
    """Save `record` with a new token and return the token; it cannot be read again."""
    token = PREFIX + secrets.token_urlsafe(32)
    record.digest = _digest(token)
    record.save()
    return token


def find(token: str) -> ApiToken | None:
    """The record of a token, or None if there is no such token."""
    return ApiToken.objects.filter(digest=_digest(token)).first()


def _digest(token: str) -> str:
    """SHA-256 in hex. A slow hash is not needed: a token has 256 random bits and cannot be guessed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
