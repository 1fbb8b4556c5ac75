"""The forms of the pages that start a job: which orders, how fast, and what else is confirmed."""

import uuid
from datetime import date
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

from callbacks.models import Delivery
from callbacks.models.job import RATES, USUAL_RATE
from config.listing.keys import LARGEST_KEY
from orders.models import Order


class StartForm(forms.Form):
    """What is confirmed: up to which key of the model whose rows the job goes through, and how fast.

    Each page has a token of its own, so that pressing its button twice starts one job.
    """

    token = forms.UUIDField(widget=forms.HiddenInput)
    last = forms.IntegerField(min_value=0, max_value=LARGEST_KEY, widget=forms.HiddenInput)
    rate = forms.TypedChoiceField(
        label="At most",
        coerce=int,
        choices=[(rate, f"{rate} a second") for rate in RATES],
        help_text="Slower leaves more room for new orders, and for their tracker.",
    )

    def __init__(self, data: Any, model: type[Delivery] | type[Order]) -> None:
        self.model = model
        newest = model.objects.order_by("-pk").values_list("pk", flat=True).first()
        super().__init__(data, initial={"token": uuid.uuid4(), "last": newest or 0, "rate": USUAL_RATE})

    @property
    def last_key(self) -> int:
        """The newest key when the page was shown first, which the form brings back; never one that is still to come."""
        newest = int(self.initial["last"])
        return min(newest, self.cleaned_data["last"]) if self.is_valid() else newest

    def say_how_long(self, count: int) -> None:
        """Name the time that `count` rows take beside each of the rates."""
        field = self.fields["rate"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(rate, f"{rate} a second, about {_duration(count / rate)}") for rate in RATES]


class ResendForm(StartForm):
    with_delivered = forms.BooleanField(required=False, label="Also those that were delivered before")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60):,} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"


def _day(label: str) -> forms.DateField:
    bounds = [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2999, 12, 31))]
    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    return forms.DateField(label=label, required=False, validators=bounds, widget=widget)


class PeriodForm(forms.Form):
    """Days of the installation's zone, as in the filters of the lists."""

    first, last_day = _day("From"), _day("Through")
    again = forms.BooleanField(required=False, label="Also orders that this callback was told of already")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        first, last = cleaned.get("first"), cleaned.get("last_day")
        if first and last and last < first:
            self.add_error("last_day", "This is before the first day.")
        if not self.errors and first is None and last is None:
            self.add_error("first", "Choose at least the first day, or the last.")
        return cleaned

    @property
    def chosen(self) -> dict[str, Any]:
        """As a job keeps it."""
        first, last = self.cleaned_data["first"], self.cleaned_data["last_day"]
        return {
            "from": first.isoformat() if first else "",
            "to": last.isoformat() if last else "",
            "again": self.cleaned_data["again"],
        }
