"""Where the pages of an affiliate's callbacks are, for the tests that look at them."""

from django.test import Client

from affiliates.models import Affiliate

URL = "https://tracker.example/postback?order={{order.number}}&cid={{link.sub_id}}"


def settings_of(affiliate: Affiliate) -> str:
    return f"/admin/affiliates/affiliate/{affiliate.pk}/settings/"


def of(affiliate: Affiliate, rest: str) -> str:
    return f"{settings_of(affiliate)}callbacks/{rest}"


def text_of(client: Client, path: str) -> str:
    return " ".join(client.get(path).content.decode().split())
