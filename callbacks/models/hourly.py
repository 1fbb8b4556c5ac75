"""The requests of each hour, counted once and kept: what the overview's charts are drawn from.

Only the tables are here; who counts is `callbacks.reports.hourly`.
"""

from django.db import models


class Hour(models.Model):
    """How many requests began in one hour, by what became of them."""

    begins_at = models.DateTimeField(primary_key=True)
    delivered = models.PositiveIntegerField(default=0, help_text="Answered 2xx.")
    refused = models.PositiveIntegerField(default=0, help_text="Answered, but not 2xx.")
    unanswered = models.PositiveIntegerField(default=0, help_text="No complete answer came, or nothing could be sent.")

    def __str__(self) -> str:
        return f"{self.begins_at:%Y-%m-%d %H}h"


class Counted(models.Model):
    """How far has been counted: one row, whose lock only one who counts holds at a time."""

    attempt_id = models.BigIntegerField(default=0, help_text="The primary key of the last attempt that is in its hour.")

    def __str__(self) -> str:
        return f"up to {self.attempt_id}"
