"""The number of requests in each quarter of an hour, for the overview. `callbacks.reports.hourly` counts them."""

from django.db import models


class Hour(models.Model):
    """Imported as `HourlyCount`. How many requests began in a quarter of an hour, by their outcome.

    Rows of earlier releases have a whole hour.
    """

    begins_at = models.DateTimeField(primary_key=True)
    delivered = models.PositiveIntegerField(default=0, help_text="Answered 2xx.")
    refused = models.PositiveIntegerField(default=0, help_text="Answered, but not 2xx.")
    unanswered = models.PositiveIntegerField(default=0, help_text="No complete answer came, or nothing could be sent.")

    def __str__(self) -> str:
        return f"{self.begins_at:%Y-%m-%d %H:%M}"


class Counted(models.Model):
    """Imported as `CountedUpTo`. How far the attempts are counted: one row, which is locked while somebody counts."""

    attempt_id = models.BigIntegerField(default=0, help_text="The primary key of the last attempt that is in its hour.")

    def __str__(self) -> str:
        return f"up to {self.attempt_id}"
