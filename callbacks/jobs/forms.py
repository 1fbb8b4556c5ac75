"""The forms of the pages that start a job: which orders, how fast, and what else is confirmed."""

import uuid
from datetime import date
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from callbacks.models import Delivery
from callbacks.models.job import RATES, USUAL_RATE
from config.listing.keys import LARGEST_KEY
from orders.models import Order

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise as StrOrPromise


def _rate(rate: int) -> "StrOrPromise":
    return format_lazy(_("{rate} per second"), rate=rate)


class StartForm(forms.Form):
    """What is confirmed: up to which key of the model whose rows the job goes through, and how fast.

    Each page has a token of its own, so that pressing its button twice starts one job.
    """

    token = forms.UUIDField(widget=forms.HiddenInput)
    last = forms.IntegerField(min_value=0, max_value=LARGEST_KEY, widget=forms.HiddenInput)
    rate = forms.TypedChoiceField(
        label=_("Rate"),
        coerce=int,
        choices=[(rate, _rate(rate)) for rate in RATES],
        help_text=_("The highest rate. A lower rate leaves more capacity for new orders and for the trackers."),
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
        said = gettext("%(rate)s, about %(time)s")
        field.choices = [(rate, said % {"rate": _rate(rate), "time": _duration(count / rate)}) for rate in RATES]


class ResendForm(StartForm):
    with_delivered = forms.BooleanField(required=False, label=_("Also resend deliveries that succeeded"))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60):,} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"


def _day(label: "StrOrPromise") -> forms.DateField:
    bounds = [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2999, 12, 31))]
    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    return forms.DateField(label=label, required=False, validators=bounds, widget=widget)


class PeriodForm(forms.Form):
    """Days of the installation's zone, as in the filters of the lists."""

    first, last_day = _day(_("From")), _day(_("Through"))
    again = forms.BooleanField(required=False, label=_("Also orders that were already sent to this callback"))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        first, last = cleaned.get("first"), cleaned.get("last_day")
        if first and last and last < first:
            self.add_error("last_day", gettext("The last day is before the first day."))
        if not self.errors and first is None and last is None:
            self.add_error("first", gettext("Choose the first day, the last day or both."))
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
