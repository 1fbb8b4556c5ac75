"""Who may ask what: a token, its scopes, and how often.

Each route names the scope that it needs: `auth=Token(Scope.ORDERS_READ)`.
"""

from django.http import HttpRequest
from ninja.security import HttpBearer

from config.security import security_log
from orders.api import rate_limit, tokens
from orders.models import ApiToken

Scope = ApiToken.Scope


class TokenExpiredError(Exception):
    """The token was right until some day."""


class MissingScopeError(Exception):
    """The token is right, but may not do this."""

    def __init__(self, scope: ApiToken.Scope) -> None:
        super().__init__(scope)
        self.scope = scope


class TooManyRequestsError(Exception):
    """The token was used too often."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


class Token(HttpBearer):
    openapi_description = (
        "A token created in the panel or with `manage.py create_token NAME --scope SCOPE`. Each route names the scope "
        "that it needs; `write` includes `read`."
    )

    def __init__(self, scope: ApiToken.Scope) -> None:
        super().__init__()
        self.scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        """None for an unknown token. Raises the errors above."""
        if isinstance(known := getattr(request, "auth", None), ApiToken):
            return known  # asked before by `idempotency`: it counts once
        found = tokens.find(token)
        if found is None:
            security_log.warn(request, "token_refused", reason="unknown")
            return None
        if found.is_expired:
            security_log.warn(request, "token_refused", reason="expired", token=found.name)
            raise TokenExpiredError
        if not found.allows(self.scope):
            security_log.warn(request, "token_refused", reason="scope", token=found.name, scope=self.scope)
            raise MissingScopeError(self.scope)
        if wait_s := rate_limit.seconds_to_wait(found.digest):
            raise TooManyRequestsError(wait_s)
        tokens.note_use(found)
        return found


def token_of(request: HttpRequest) -> ApiToken:
    """The token of a request that was let in."""
    found = getattr(request, "auth", None)
    assert isinstance(found, ApiToken)
    return found
