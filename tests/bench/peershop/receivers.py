"""Notes what is to be told of a new order, and has a task of its own tell it after the commit."""

import uuid
from typing import Any

from django.db import models, transaction


def order_saved(sender: type[models.Model], instance: Any, created: bool, **_: Any) -> None:
    from tests.bench.peershop.models import Callback, Postback  # they connect this function
    from tests.bench.peershop.tasks import tell  # which imports them too

    if not created:
        return
    callback = Callback.objects.filter(affiliate_code=instance.affiliate_code).first()
    if callback is None:
        return
    postback = Postback.objects.create(event_id=uuid.uuid4(), callback=callback, order=instance)
    transaction.on_commit(lambda: tell.delay(postback.pk))
