"""The door of the shops: takes a message, and stores what it says and what became of it.

The signature is checked by `verify`, on the bytes as they came; `shopify`, `woocommerce` and `signed` know what each
kind of shop sends; `place` saves the orders.
"""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from orders.models import Message


@csrf_exempt
def receive(request: HttpRequest, kind: str, uuid: str) -> HttpResponse:
    """Answer a shop's message."""
    return HttpResponse(status=503)


def apply(message: Message) -> Message:
    """Apply a kept message, once more if it was applied before, and store what became of it."""
    return message
