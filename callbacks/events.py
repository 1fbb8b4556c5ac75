"""The kinds of event that a callback can be for."""

from django.db import models


class EventType(models.TextChoices):
    CREATED = "order.created", "Order created"
    UPDATED = "order.updated", "Order updated"
