"""Serves the storefront script, with the parameters of referral links in it."""

from functools import cache
from hashlib import sha256
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import condition, require_safe

MAX_AGE_S = 300  # so that a new release reaches every shop soon


def _text() -> str:
    return _source().replace("REFERRAL_PARAMETERS", ",".join(settings.REFERRAL_PARAMETERS))


@cache
def _source() -> str:
    return Path(__file__).with_name("t.js").read_text("utf-8")


def _etag(request: HttpRequest) -> str:
    return f'"{sha256(_text().encode()).hexdigest()[:32]}"'


@require_safe
@condition(etag_func=_etag)
def script(request: HttpRequest) -> HttpResponse:
    headers = {
        "Cache-Control": f"public, max-age={MAX_AGE_S}",
        "Cross-Origin-Resource-Policy": "cross-origin",  # it is for the pages of shops
    }
    return HttpResponse(_text(), content_type="text/javascript; charset=utf-8", headers=headers)
