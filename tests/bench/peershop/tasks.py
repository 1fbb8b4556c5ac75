"""One task for each postback, as one writes it: select, request, insert, update."""

import time
from urllib.parse import urlencode

import requests
from celery import shared_task
from django.db.models import F
from django.utils import timezone

from tests.bench.peershop.models import Attempt, Postback


@shared_task(bind=True, max_retries=10)
def tell(self, postback_id: int) -> None:
    postback = Postback.objects.select_related("order", "callback").get(pk=postback_id)
    order = postback.order
    values = {
        "n": order.number,
        "cid": "fb",
        "payout": order.commission,
        "amount": order.amount,
        "currency": order.currency,
        "txid": postback.event_id,
        "src": "newsletter",
        "status": order.status,
    }
    began = time.monotonic()
    response = requests.get(f"{postback.callback.url}?{urlencode(values)}", timeout=10)
    Attempt.objects.create(
        postback=postback,
        method="GET",
        url=response.request.url,
        request_headers=list(response.request.headers.items()),
        status_code=response.status_code,
        response_headers=list(response.headers.items()),
        response_excerpt=response.text[:4096],
        total_ms=(time.monotonic() - began) * 1000,
    )
    Postback.objects.filter(pk=postback.pk).update(
        status="succeeded" if response.ok else "pending",
        attempt_count=F("attempt_count") + 1,
        last_attempt_at=timezone.now(),
        last_status_code=response.status_code,
    )
    if not response.ok:
        raise self.retry(countdown=5)
