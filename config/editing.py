"""Pages of the admin for rows that others may change meanwhile, and forms that are drawn from what is stored.

A page carries what it showed. Where something else is stored by the time that it is saved, and saving would undo that,
it is refused and says so field by field; then it may be saved on purpose.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django import forms
from django.core import signing
from django.db import connection
from django.http import HttpRequest, HttpResponse

from config.listing.pages import BaseAdmin

SEEN = "seen"  # the name of the hidden field
SALT = "config.editing"
NOTHING = "empty"


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
            self.add_error(None, forms.ValidationError("It was changed meanwhile.", code="changed_meanwhile"))
        return cleaned

    @property
    def seen(self) -> str:
        """The value of the hidden field: what is stored now, unless that is still to be looked at."""
        if self.is_bound and not self.changed_meanwhile:
            return str(self.data.get(SEEN, ""))
        return signing.dumps(self._stored, salt=SALT, compress=True) if self.instance.pk else ""

    @cached_property
    def changed_meanwhile(self) -> list[Difference]:
        """What others saved since the page was opened and saving this form would undo."""
        try:
            seen = signing.loads(str(self.data.get(SEEN, "")), salt=SALT) if self.is_bound else {}
        except signing.BadSignature:
            seen = {}
        return [
            Difference(str(self[name].label), self._words(name, stored), self._words(name, self[name].data))
            for name, stored in self._stored.items()
            if stored != seen.get(name, stored) and self._would_change(name)
        ]

    def _would_change(self, name: str) -> bool:
        field, shown = self.fields[name], self.initial.get(name)
        if isinstance(field, forms.DecimalField):
            shown = field.to_python(shown)  # so that 58 is 58.00
        return name not in self.cleaned_data or field.has_changed(shown, self[name].data)

    @cached_property
    def _stored(self) -> dict[str, str]:
        """What the fields show of the row as it was read for this form."""
        shown = {name: self.get_initial_for_field(field, name) for name, field in self.fields.items()}
        return {name: "" if value is None else str(value) for name, value in shown.items()}

    def _words(self, name: str, value: Any) -> str:
        choices: Any = getattr(self.fields[name], "choices", ())
        return str(dict(choices).get(value, value) or "") or NOTHING


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
