"""How the peers' shop is told of its orders: a view as one writes it, which takes one at a time as JSON."""

import hmac
import json
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import path

from tests.bench.peershop.models import Order


def place_order(request: HttpRequest) -> JsonResponse:
    if not hmac.compare_digest(request.headers.get("Authorization", ""), f"Bearer {settings.PEER_TOKEN}"):
        return JsonResponse({"error": "unauthorized"}, status=401)
    given = json.loads(request.body)
    values = {
        "affiliate_code": parse_qs(urlsplit(given["link"]).query).get("ref", [""])[0],
        "link_url": given["link"],
        "amount": Decimal(given["amount"]),
        "commission": Decimal(given["amount"]) * Decimal("0.15"),
        "currency": given["currency"],
    }
    order, is_new = Order.objects.update_or_create(number=given["number"], defaults=values)
    return JsonResponse({"number": order.number, "status": order.status}, status=201 if is_new else 200)


urlpatterns = [path("orders", place_order)]
