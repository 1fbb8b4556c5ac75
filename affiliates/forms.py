"""What is typed about an affiliate: who they are, and the password of their portal login."""

from typing import Any, ClassVar

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from affiliates import access
from affiliates.models import LINK_MAX_LENGTH, Affiliate, Link


class AffiliateSelect(forms.Select):
    """One of thousands: written at once, because a template for each of them takes most of a second."""

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        chosen = self.format_value(value)
        rows = ((key, " selected" if str(key) in chosen else "", label) for key, label in self.choices)
        options = format_html_join("\n", '<option value="{}"{}>{}</option>', rows)
        return format_html(
            "<select{}>\n{}\n</select>", flatatt(self.build_attrs(self.attrs, {"name": name, **(attrs or {})})), options
        )


class AffiliateForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    class Meta:
        model = Affiliate
        fields = ("name", "email", "code", "status", "commission_rate")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["commission_rate"] = f"{self.instance.commission_rate.normalize():f}"  # not 0.150000

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"])
        if self.instance.user_id is not None:
            access.check_name_is_free(self.instance, email)
        return email


class LinkForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    url = forms.CharField(label="URL", max_length=LINK_MAX_LENGTH, widget=forms.TextInput(attrs={"inputmode": "url"}))

    class Meta:
        model = Link
        fields = ("affiliate", "url")
        widgets: ClassVar = {"affiliate": AffiliateSelect}

    def _get_validation_exclusions(self) -> set[str]:
        """The digest is not typed, but it is what says that the affiliate has this link already."""
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

    def clean(self) -> None:
        access.check_name_is_free(self.affiliate, self.affiliate.email)

    def save(self) -> None:
        access.grant(self.affiliate, self.cleaned_data["new_password1"])
