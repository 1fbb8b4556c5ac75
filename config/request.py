"""What a view asks about its request: who acts, from where, what they may see, whether one of our scripts sent it."""

import ipaddress
import re

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect


def actor(request: HttpRequest) -> User:
    """The user who is signed in. For views that nobody else reaches."""
    assert isinstance(request.user, User)
    return request.user


# --- from where ----------------------------------------------------------------
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# As proxies write it: an address, perhaps with a port, and then one of IPv6 in brackets.
FORWARDED = re.compile(
    r"\[(?P<six>[0-9A-Fa-f:.]+)\](?::[0-9]+)?|(?P<four>[0-9.]+):[0-9]+|(?P<bare>[0-9A-Fa-f:.]+)", re.ASCII
)


def client_address(request: HttpRequest) -> str:
    """The address of who sent this; "" if it is not known.

    It is the other end of the connection, unless that is one of TRUSTED_PROXIES. Then X-Forwarded-For is read from its
    right end, where each proxy adds whom it got the request from, past trusted proxies and no further: what stands to
    the left of them is the word of a stranger. Nobody but a trusted proxy can choose an address by sending the header.
    """
    found = _parsed(request.META.get("REMOTE_ADDR", ""))
    for hop in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        if found is None or not is_trusted_proxy(found):
            break
        before = _parsed(hop)
        if before is None:  # empty or not an address, so the proxy that wrote it is all that is known
            break
        found = before
    return str(found) if found else ""


def throttled_address(request: HttpRequest) -> str | None:
    """The address that failed log-ins are counted by; None if it is not known.

    With IPv6 it is the first address of its /64, the smallest network that anybody gets: all of it is one person's.
    """
    address = _parsed(client_address(request))
    if isinstance(address, ipaddress.IPv6Address):
        address = ipaddress.IPv6Network((address, 64), strict=False).network_address
    return str(address) if address else None


def is_trusted_proxy(address: Address) -> bool:
    return any(address in network for network in settings.TRUSTED_PROXIES)


def is_shared_address(request: HttpRequest) -> bool:
    """Whether many people may have this address: that of a proxy that did not say, or was not trusted to say, whose
    request it is. Then nobody may be locked out by the address alone.
    """
    address = _parsed(client_address(request))
    is_unnamed = settings.SECURE_PROXY_SSL_HEADER is not None and not settings.TRUSTED_PROXIES
    return address is None or is_unnamed or is_trusted_proxy(address)


def _parsed(text: str) -> Address | None:
    found = FORWARDED.fullmatch(text.strip()[:64])
    try:
        address = ipaddress.ip_address(found["six"] or found["four"] or found["bare"]) if found else None
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}", re.ASCII)


def given_request_id(request: HttpRequest) -> str:
    """The id that one of TRUSTED_PROXIES gave this request in X-Request-ID; "" if none did."""
    caller = _parsed(request.META.get("REMOTE_ADDR", ""))
    given = request.META.get("HTTP_X_REQUEST_ID", "")
    return given if caller and is_trusted_proxy(caller) and REQUEST_ID.fullmatch(given) else ""


# --- what they may ----------------------------------------------------------------
def may_see(request: HttpRequest, model: type[Model]) -> bool:
    """Whether the user may see rows of this model. Who may change them may see them."""
    app, name = model._meta.app_label, model._meta.model_name  # noqa: SLF001 - Django's documented name
    return any(request.user.has_perm(f"{app}.{action}_{name}") for action in ("view", "change"))


def is_fetch(request: HttpRequest) -> bool:
    """Whether one of our scripts sent it, to put the answer into the page that is open."""
    return request.headers.get("X-Requested-With") == "fetch"


def go_to(request: HttpRequest, url: str) -> HttpResponse:
    """A redirect to `url`; for our scripts, JSON that they follow as one."""
    return JsonResponse({"location": url}) if is_fetch(request) else redirect(url)


def allow_going_back(response: HttpResponseBase) -> None:
    """Let the browser keep this answer to a POST, so that its Back button shows the form that was sent.

    The admin forbids that, and the browser would show an error of its own.
    """
    response.headers["Cache-Control"] = "private, no-cache"
