"""Pages of the admin for rows that others may change meanwhile, and forms that are drawn from what is stored.

A page carries what it showed. Where something else is stored by the time that it is saved, and saving would undo that,
it is refused and says so field by field; then it may be saved on purpose. The history says what each save changed.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django import forms
from django.contrib import messages
from django.core import signing
from django.db import connection, models
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext as _

from config.listing.pages import BaseAdmin

SEEN = "seen"  # the name of the hidden field
SALT = "config.editing"
MAX_KEPT = 200  # characters of a value in the history


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that was changed since the page was opened: its label, what is stored now and what was typed."""

    label: str
    stored: str
    typed: str


class EditingForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A form that knows what its page showed when it was opened. Without that, for a script, it is saved as ever."""

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.changed_meanwhile:
            changed = forms.ValidationError(_("This was changed while the page was open."), code="changed_meanwhile")
            self.add_error(None, changed)
        return cleaned

    @property
    def seen(self) -> str:
        """The value of the hidden field: what is stored now, unless that is still to be looked at."""
        if self.is_bound and not self.changed_meanwhile:
            return str(self.data.get(SEEN, ""))
        return signing.dumps(self.stored, salt=SALT, compress=True) if self.instance.pk else ""

    @cached_property
    def changed_meanwhile(self) -> list[Difference]:
        """What others saved since the page was opened and saving this form would undo."""
        try:
            seen = signing.loads(str(self.data.get(SEEN, "")), salt=SALT) if self.is_bound else {}
        except signing.BadSignature:
            seen = {}
        return [
            Difference(str(self[name].label), self.words(name, stored), self.words(name, self[name].data))
            for name, stored in self.stored.items()
            if stored != seen.get(name, stored) and self._would_change(name)
        ]

    def changes_to(self, after: "EditingForm") -> str:
        """What another form of this kind shows differently, for the history: `Amount: 58.00 → 60.00.`"""
        with translation.override(None):
            return " ".join(
                f"{self[name].label}: {self.words(name, stored)} → {after.words(name, after.stored[name])}."
                for name, stored in self.stored.items()
                if stored != after.stored.get(name, stored)
            )

    def _would_change(self, name: str) -> bool:
        field, shown = self.fields[name], self.initial.get(name)
        if isinstance(field, forms.DecimalField):
            shown = field.to_python(shown)  # so that 58 is 58.00
        return name not in self.cleaned_data or field.has_changed(shown, self[name].data)

    @cached_property
    def stored(self) -> dict[str, str]:
        """What the fields show of the row as it was read for this form. What cannot be changed is no part of it."""
        shown = {n: self.get_initial_for_field(field, n) for n, field in self.fields.items() if not field.disabled}
        return {name: _as_text(value) for name, value in shown.items()}

    def words(self, name: str, value: Any) -> str:
        """A value of a field as people read it."""
        choices = {str(key): str(label) for key, label in getattr(self.fields[name], "choices", ())}
        parts = _as_text(value).split(", ") if choices else [_as_text(value)]
        return ", ".join(choices.get(part, part) for part in parts)[:MAX_KEPT] or _("empty")


def _as_text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(sorted(_as_text(part) for part in value))
    if isinstance(value, models.Model):
        return str(value.pk)
    return "" if value is None else str(value)


class EditingAdmin(BaseAdmin):
    """Whoever saves holds the row's lock from the moment that it is read."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is None or request.method != "POST" or not connection.in_atomic_block:
            return found
        rows = self.model._base_manager.select_for_update(no_key=True, of=("self",))  # noqa: SLF001 - Django's name
        return super().get_object(request, object_id, from_field) if rows.filter(pk=found.pk).first() else None

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Around the form stands what is stored: the object itself has what was typed, even if it has errors."""
        if obj := kwargs.get("obj"):
            stored = self.model._default_manager.get(pk=obj.pk)  # noqa: SLF001 - Django's documented name
            context |= {"original": stored, "subtitle": str(stored)}
        return super().render_change_form(request, context, *args, **kwargs)

    # --- the history ---------------------------------------------------------
    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """What is stored now and was not before; empty if that is nothing."""
        if add or not isinstance(form, EditingForm):
            return super().construct_change_message(request, form, formsets, add)
        stored = self.model._default_manager.get(pk=form.instance.pk)  # noqa: SLF001 - Django's documented name
        return form.changes_to(type(form)(instance=stored))

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        obj.is_unchanged = not message
        return super().log_change(request, obj, message) if message else None

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Django says that it was changed, whatever was saved."""
        if not getattr(obj, "is_unchanged", False):
            return super().response_change(request, obj)
        messages.info(request, _("Nothing was changed."))
        return self.response_post_save_change(request, obj)
