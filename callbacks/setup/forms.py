"""The form behind "Setup order created callback": what was typed, what is wrong with it, and what to write instead."""

import re
import uuid
from functools import cached_property
from typing import Any, ClassVar, Self

from django import forms
from django.db import models
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from callbacks.editor import corrections
from callbacks.models import CallbackSetting, EventType, history, names
from callbacks.setup import changes, diagnosis
from config.editing import Difference
from orders.models import Order

PLACEHOLDER = "https://tracker.example/postback?cid={{link.sub_id}}&payout={{order.commission}}"

FILTERS = {
    EventType.CREATED: gettext_lazy("Only for orders with status"),
    EventType.UPDATED: gettext_lazy("Only when the status changes to"),
}
NO_FILTER = {
    EventType.CREATED: gettext_lazy("Tick none to send every new order."),
    EventType.UPDATED: gettext_lazy("Tick none to send every change of an order."),
}

BODY_FORMATS = [
    ("form", gettext_lazy("Form: the same parameters")),
    ("json", gettext_lazy("JSON: the whole event")),
]


# Firefox keeps what is in a field over a reload unless told not to, and only a field of text can be told.
NOT_SHOWN = {"hidden": True, "autocomplete": "off"}


class CallbackSettingForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Saves one callback setting. What a model's `clean()` refuses stands beside the field, with its code."""

    only_statuses = forms.MultipleChoiceField(
        choices=Order.Status.choices, required=False, widget=forms.CheckboxSelectMultiple
    )
    # The fingerprint of what was saved when the form was opened.
    seen = forms.CharField(required=False, widget=forms.TextInput(attrs=NOT_SHOWN))

    form_token = forms.UUIDField(required=False, widget=forms.TextInput(attrs=NOT_SHOWN))

    class Meta:
        model = CallbackSetting
        fields: tuple[str, ...] = ("name", "method", "url", "body_format", "send_as_typed", "only_statuses")
        widgets: ClassVar = {
            "method": forms.RadioSelect,
            "body_format": forms.RadioSelect,
            "url": forms.Textarea(
                attrs={
                    "rows": 3,
                    "spellcheck": "false",
                    "autocapitalize": "off",
                    "autocomplete": "off",
                    "autofocus": True,
                    "placeholder": PLACEHOLDER,
                }
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        body_format, url = self.fields["body_format"], self.fields["url"]
        assert isinstance(body_format, forms.TypedChoiceField)
        body_format.choices = BODY_FORMATS
        body_format.required = False  # a GET has no body to choose a format for
        assert isinstance(url, forms.CharField)
        self.others_for_event = self._others_for_event()
        self.others = [other.name for other in self.others_for_event]
        self.saved_name = self.instance.name if self.instance.pk else ""
        self.saved = history.values_of(self.instance)
        self.initial["seen"] = self.fingerprint
        self.initial["form_token"] = uuid.uuid4()
        name, only_statuses = self.fields["name"], self.fields["only_statuses"]
        name.widget.attrs |= {"placeholder": names.free("", self.others), "autocomplete": "off"}
        if not self.instance.has_own_name:
            self.initial["name"] = ""
        name.label = _("Name")
        name.help_text = _("Helps to tell callbacks for the same event apart, such as “Voluum”.")
        self.fields["send_as_typed"].help_text = _("Placeholders of other systems are sent literally, not replaced.")
        only_statuses.label = FILTERS[EventType(self.instance.event)]
        only_statuses.help_text = NO_FILTER[EventType(self.instance.event)]
        url.strip = False  # what was typed stays as typed until the model has mended it and can say so

    def clean_body_format(self) -> str:
        return str(self.cleaned_data.get("body_format") or self.instance.body_format)

    # --- what others saved meanwhile ------------------------------------------
    @property
    def fingerprint(self) -> str:
        """The fingerprint of the saved values that this form can change; pausing is done elsewhere."""
        return changes.fingerprint({name: value for name, value in self.saved.items() if name != "is_active"})

    @cached_property
    def overwritten(self) -> list[Difference]:
        """What somebody saved since the form was opened and this form would change. For a valid form."""
        if self.instance.pk is None or self.cleaned_data["seen"] in {"", self.fingerprint}:
            return []
        found = changes.differences(history.values_of(self.instance), self.saved)
        return [Difference(change.label, stored=change.new, typed=change.old) for change in found]

    def accept_overwriting(self) -> None:
        """Take what is saved now as seen, so that the form is not refused again when it is submitted once more."""
        assert isinstance(self.data, QueryDict)
        self.data = data = self.data.copy()
        data["seen"] = self.fingerprint

    def made_already(self) -> CallbackSetting | None:
        """The callback that this very form has made, if what stands in the form now is the same. For a new one.

        If something else stands there, somebody went back to make another one, which then has no token.
        """
        token = self.fields["form_token"].clean(self["form_token"].data) if not self["form_token"].errors else None
        made = CallbackSetting.objects.filter(form_token=token).first() if token else None
        self.instance.form_token = None if made else token
        if made is None:
            return None
        again, before = type(self)(self.data, instance=made), history.values_of(made)
        is_same = again.is_valid() and all(
            value == before[name]
            for name, value in history.values_of(made).items()
            if name != "name" or self["name"].data
        )
        return made if is_same else None

    # --- what the template shows beside the fields ---------------------------
    @property
    def asks_for_name(self) -> bool:
        """Whether there is another callback to be told apart from."""
        return bool(self.others)

    @property
    def has_options(self) -> bool:
        """Whether what most callbacks do without is used here, or refused."""
        hidden = [self["only_statuses"]] + ([] if self.asks_for_name else [self["name"]])
        return any(field.value() or field.errors for field in hidden)

    @property
    def typed_url(self) -> str:
        return str(self["url"].value() or "")

    @property
    def url_sentences(self) -> list[tuple[str, str]]:
        """What is wrong with the URL, each with its code: in brief where the corrections stand below."""
        brief = {problem.code: problem.brief for problem in self.diagnosis.problems}
        errors = self._url_errors()
        return [(error.code or "", brief.get(error.code or "") or text) for error in errors for text in error.messages]

    @property
    def has_macros(self) -> bool:
        """Whether the choice to send other systems' placeholders as text is to be offered."""
        if self["send_as_typed"].value():
            return True
        return any(problem.code == "foreign_placeholder" for problem in self.diagnosis.problems)

    @cached_property
    def typed(self) -> CallbackSetting:
        """The setting as it stands in the fields: never saved, and perhaps not valid."""
        values = {name: str(self[name].value() or "") for name in ("method", "body_format")}
        fields = CallbackSetting._meta  # noqa: SLF001 - Django's documented name
        for name, value in values.items():
            field = fields.get_field(name)
            assert isinstance(field, models.Field)
            values[name] = value if value in dict(field.flatchoices) else getattr(self.instance, name)
        return CallbackSetting(
            affiliate=self.instance.affiliate,
            event=self.instance.event,
            url=self.typed_url,
            send_as_typed=bool(self["send_as_typed"].value()),
            secret=self.instance.secret,
            **values,
        )

    @cached_property
    def diagnosis(self) -> diagnosis.Diagnosis:
        """What there is to say of what stands in the fields."""
        if not self.typed_url.strip():
            return diagnosis.Diagnosis(is_half_typed=True)
        return diagnosis.of(self.typed, self.others_for_event)

    def _others_for_event(self) -> list[CallbackSetting]:
        """The affiliate's other callbacks for the same event; none where the caller knows better."""
        if self.instance.known_names is not None or not self.instance.affiliate_id:
            return []
        found = CallbackSetting.objects.filter(affiliate=self.instance.affiliate_id, event=self.instance.event)
        return list(found.exclude(pk=self.instance.pk).only("name", "url"))

    @property
    def corrected_url(self) -> str:
        """What was typed with our variables in the place of what was meant by them; "" if none is known."""
        return self._corrected()

    def pressed(self, data: QueryDict) -> Self | None:
        """The form to show, unsaved, for the button that was pressed; None for Submit, which saves it."""
        if "look" in data:
            return self
        if "correct" in data:
            return self.with_correction()
        if "json" in data:
            return self._with(method="POST", body_format="json")
        if "fix" in data:
            fixed = (hint.fixed for hint in self.diagnosis.hints if hint.warning.code == data["fix"])
            return self._with(url=next(fixed, "") or self.typed_url)
        for button in ("take", "leave_out"):
            if button in data:
                place = re.fullmatch("[0-9]{1,5}", str(data[button]))
                return self.with_correction(int(place[0]) if place else -1, leave_out=button == "leave_out")
        return None

    def with_correction(self, only_at: int | None = None, *, leave_out: bool = False) -> Self:
        """The same form, unsaved, with the corrected URL; with `only_at`, only what starts at that index changes."""
        return self._with(url=self._corrected(only_at, leave_out=leave_out) or self.typed_url, send_as_typed=False)

    def _with(self, **values: object) -> Self:
        """The same form, unsaved, with other values in some fields."""
        form = type(self)(instance=self.instance)
        form.initial = {**form.initial, **{name: self[name].value() for name in self.fields}, **values}
        return form

    def _corrected(self, only_at: int | None = None, *, leave_out: bool = False) -> str:
        if not self.diagnosis.is_readable:
            return ""
        mended = self.diagnosis.mended
        url = corrections.corrected(
            mended,
            send_as_typed=self.typed.send_as_typed,
            only_at=only_at,
            leave_out=leave_out,
            click_id=self.diagnosis.click_id,
        )
        return url if url != mended else ""

    def _url_errors(self) -> list[forms.ValidationError]:
        return self.errors.as_data().get("url", []) if self.is_bound else []
