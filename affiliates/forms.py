"""Forms of the admin about an affiliate: who they are, their links, the password of their portal login."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.urls import reverse
from django.utils.html import format_html

from affiliates import search
from affiliates.models import LINK_MAX_LENGTH, LINK_STAYS, Affiliate, Link
from affiliates.portal import access
from config.editing import EditingForm
from config.listing.keys import key_in


class AffiliateInput(forms.TextInput):
    """A text field with suggestions, because a list of all affiliates would be too long."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Add the address of the suggestions, which is not known yet when forms are imported."""
        suggested = {"data-suggest": reverse("admin:affiliates_affiliate_suggest")}
        return super().get_context(name, value, (attrs or {}) | suggested)


class AffiliateField(forms.CharField):
    """An affiliate by code, name or e-mail address; None if nothing was typed."""

    widget = AffiliateInput

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=search.MAX_LENGTH, **kwargs)
        self.widget.attrs |= {"autocomplete": "off", "spellcheck": "false"}

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        return search.identify(text) if text else None

    @staticmethod
    def label_of(affiliate: Any) -> str:
        """What the field shows for an affiliate, or for the primary key of one, as the address of a form has it."""
        if not isinstance(affiliate, Affiliate):
            known = key_in(str(affiliate))
            affiliate = None if known is None else Affiliate.objects.filter(pk=known).first()
        return search.label_of(affiliate) if affiliate else ""

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return self.label_of(self.clean(data)) != (initial or "")
        except forms.ValidationError:
            return True


class AffiliateForm(EditingForm):
    class Meta:
        model = Affiliate
        fields = ("name", "email", "code", "status", "commission_rate")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "code" in self.fields:  # which are empty without the permission to change
            example = format_html("<code>?{}=joe</code>", settings.REFERRAL_PARAMETER)
            text = format_html("What names them in a referral link, such as {}.", example)
            if self.instance.pk:
                text = format_html("{} Links with the old one still name them after a change.", text)
            self.fields["code"].help_text = text
        if self.instance.pk:
            self.initial["commission_rate"] = f"{self.instance.commission_rate.normalize():f}"  # not 0.150000

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"])
        if self.instance.user_id is not None:
            access.check_name_is_free(self.instance, email)
        return email


class LinkForm(EditingForm):
    affiliate = AffiliateField(help_text="Their code, name or e-mail.")
    url = forms.CharField(label="URL", max_length=LINK_MAX_LENGTH, widget=forms.TextInput(attrs={"inputmode": "url"}))

    class Meta:
        model = Link
        fields = ("affiliate", "url")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["affiliate"] = AffiliateField.label_of(self.initial.get("affiliate"))
        if "url" in self.fields and self.instance.has_orders:
            self.fields["url"].disabled, self.fields["url"].help_text = True, LINK_STAYS

    def _get_validation_exclusions(self) -> set[str]:
        """Validate the digest too, which is not typed: it is unique for each affiliate."""
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # the stubs leave it out
        return excluded - {"digest"}


def _password(label: str, **attrs: Any) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": "new-password", **attrs})
    return forms.CharField(label=label, strip=False, max_length=1000, widget=widget)


class PortalPasswordForm(forms.Form):
    """The password that the merchant gives to an affiliate's login."""

    new_password1 = _password("Password", autofocus=True)
    new_password2 = _password("Password again")

    def __init__(self, affiliate: Affiliate, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.affiliate = affiliate

    def clean_new_password1(self) -> str:
        password = str(self.cleaned_data["new_password1"])
        validate_password(password, access.login_of(self.affiliate))
        return password

    def clean_new_password2(self) -> str:
        again = str(self.cleaned_data["new_password2"])
        if again != self.data.get(self.add_prefix("new_password1")):
            raise forms.ValidationError("This is not the same password.", code="password_mismatch")
        return again

    def save(self, by: User) -> bool:
        """False, with the sentence among the errors, if the affiliate's e-mail cannot be a login."""
        try:
            access.grant(self.affiliate, self.cleaned_data["new_password1"], by)
        except forms.ValidationError as error:
            self.add_error(None, error)
            return False
        return True
