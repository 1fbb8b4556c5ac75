"""The forms of many callbacks at once: the one of a single callback with its event and a rule; another host."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from affiliates.models import Affiliate
from callbacks.editor import check
from callbacks.egress import addresses
from callbacks.models import CallbackSetting, EventType, names
from callbacks.setup.bulk import hosts
from callbacks.setup.bulk.same_callback import Existing
from callbacks.setup.forms import CallbackSettingForm
from config.language import translated


class SameCallbackForm(CallbackSettingForm):
    """What is to be set up for many affiliates.

    It does not ask whether one has room for it, or which callback it changes. `affiliate` is for the preview only.
    """

    seen = None  # type: ignore[assignment]  # leaves the field out; the preview has the fingerprints of all that it shows
    existing = forms.ChoiceField(choices=Existing.choices, initial=Existing.CHANGE, widget=forms.RadioSelect)

    class Meta(CallbackSettingForm.Meta):
        fields: tuple[str, ...] = ("event", *CallbackSettingForm.Meta.fields)
        widgets: ClassVar = CallbackSettingForm.Meta.widgets | {"event": forms.RadioSelect}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        event, only_statuses = self.fields["event"], self.fields["only_statuses"]
        assert isinstance(event, forms.TypedChoiceField)
        event.choices = EventType.choices
        self.fields["name"].help_text = _(
            "Affiliates can have several callbacks for one event, told apart by name. Leave empty for “%(name)s”."
        ) % {"name": names.DEFAULT}
        only_statuses.label = _("Only for these statuses")
        only_statuses.help_text = _(
            "Tick none to send all. For “order created” this is the status of the order; for “order updated”, the "
            "status that it changes to."
        )

    @property
    def asks_for_name(self) -> bool:
        """Always, because a callback that exists is found by its name."""
        return True

    @property
    def rules(self) -> list[tuple[Any, str]]:
        """The choices about affiliates who have a callback for the event already, each with a sentence."""
        sentences = {
            Existing.CHANGE: _("Affiliates without a callback of this name get an additional one."),
            Existing.KEEP: _("Affiliates without a callback of this name get an additional one."),
            Existing.ABSENT: _("Only affiliates without any callback for this event get a new one."),
        }
        return [(radio, sentences[Existing(radio.data["value"])]) for radio in self["existing"]]

    @property
    def carried(self) -> list[Any]:
        """All fields, which the preview keeps as hidden ones."""
        return [self[name] for name in self.fields]


def pattern_for(affiliate: Affiliate, event: str) -> CallbackSetting:
    """An empty setting to fill: of this affiliate, whose values the preview shows, and with no others beside it."""
    is_known = event in EventType.values
    setting = CallbackSetting(affiliate=affiliate, event=EventType(event) if is_known else EventType.CREATED)
    setting.known_names = []
    return setting


class ReplaceHostForm(forms.Form):
    """A host that callbacks have, and the one to put in its place."""

    old = forms.CharField(
        label=gettext_lazy("Current host"), max_length=260, widget=forms.TextInput(attrs={"list": "hosts-in-use"})
    )
    new = forms.CharField(label=gettext_lazy("New host"), max_length=260)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("old", "new"):
            field = self.fields[name]
            assert isinstance(field, forms.CharField)
            field.widget.attrs |= {"spellcheck": "false", "autocapitalize": "off", "autocomplete": "off"}
            field.error_messages["required"] = hosts.ALONE
        self.fields["old"].help_text = _("Include the port if the URLs have one.")
        self.fields["new"].help_text = _(
            "Only the host, such as tracker.example or tracker.example:8443. The rest of the URL does not change."
        )

    def clean_old(self) -> str:
        return self._host("old")

    def clean_new(self) -> str:
        host = self._host("new")
        finding = check.check(f"https://{host}/", addresses.policy_from(settings), send_as_typed=True)
        if finding.problems:
            raise forms.ValidationError(
                [forms.ValidationError(translated(p.message), code=p.code) for p in finding.problems]
            )
        return host

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        old, new = cleaned.get("old"), cleaned.get("new")
        if old and old == new:
            self.add_error(
                "new", forms.ValidationError(_("The new host is the same as the current one."), code="same_host")
            )
        return cleaned

    def _host(self, name: str) -> str:
        host = hosts.bare(self.cleaned_data[name])
        if problem := hosts.problem_of(host):
            raise forms.ValidationError(translated(problem.message), code=problem.code)
        return host
