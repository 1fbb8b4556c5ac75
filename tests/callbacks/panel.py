"""The addresses of the pages of an affiliate's callbacks, and how a script of ours asks for them."""

from typing import Any

from django.test import Client

from affiliates.models import Affiliate

BY_SCRIPT = {"X-Requested-With": "fetch"}
URL = "https://tracker.example/postback?order={{order.number}}&cid={{link.sub_id}}"


def settings_of(affiliate: Affiliate) -> str:
    return f"/admin/affiliates/affiliate/{affiliate.pk}/settings/"


def of(affiliate: Affiliate, rest: str = "created/") -> str:
    return f"{settings_of(affiliate)}callbacks/{rest}"


def text_of(client: Client, path: str) -> str:
    return " ".join(client.get(path).content.decode().split())


def check(client: Client, affiliate: Affiliate, url: str, **fields: Any) -> str:
    """What is said of a URL while it is typed in the form of a new callback."""
    answer = client.post(of(affiliate, "created/check/"), {"method": "GET", "url": url} | fields)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())
