"""Serves the storefront script, with the parameters of referral links in it, and the plugin for WooCommerce."""

import io
import zipfile
from functools import cache
from hashlib import sha256
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import condition, require_safe

MAX_AGE_S = 300  # so that a new release reaches every shop soon
PLUGIN = "affiliate-postbacks"


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


@require_safe
def plugin(request: HttpRequest) -> HttpResponse:
    """As WordPress installs it: a ZIP with a folder, and in the file the address of this installation."""
    source = Path(__file__).with_name(f"{PLUGIN}.php").read_text("utf-8")
    # Django lets no host pass that has a quote in it.
    there = source.replace("https://panel.example", request.build_absolute_uri("/").rstrip("/"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{PLUGIN}/{PLUGIN}.php", there)
    headers = {"Content-Disposition": f'attachment; filename="{PLUGIN}.zip"', "Cache-Control": "no-store"}
    return HttpResponse(packed.getvalue(), content_type="application/zip", headers=headers)
