"""Nonsense in the body of an order that is handed over: refused, and never an error."""

import json

import pytest
from django.test import Client

from orders.api import tokens

pytestmark = pytest.mark.django_db
NONSENSE = ["\0", "a\0b", "\ud800", "9" * 5000, "1e999", "NaN", "-1", "(.*)*x$", "", None, [], {}, True, 10**400, 1e308]
FIELDS = ("number", "amount", "commission", "currency", "status", "affiliate", "link")


@pytest.mark.parametrize("field", FIELDS)
def test_nonsense_in_an_order_is_no_error(broker, field):
    client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {tokens.create('shop')}"})
    good = {"number": "#1", "amount": "58.00", "link": "https://shop.example/?ref=joe"}
    statuses = [
        (str(value)[:20], client.post("/api/orders", json.dumps(good | {field: value}), "application/json").status_code)
        for value in NONSENSE
    ]
    assert [found for found in statuses if found[1] >= 500] == []
