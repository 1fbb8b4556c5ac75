"""Forms of the admin about an affiliate: who they are, their links, the password of their portal login."""

import re
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from affiliates import search
from affiliates.models import LINK_MAX_LENGTH, LINK_STAYS, Affiliate, Coupon, Link, folded_coupon, read_decimal
from affiliates.portal import access
from config.editing import EditingForm
from config.listing.keys import key_in
from config.theme.templatetags.theme import percent

COUPONS_MAX_LENGTH = 10_000  # of all that are added at once
MOST_ERRORS = 10
MOST_SHOWN = 60  # characters of a code in an error
PERCENT_PLACES = 4  # of a percentage; the column keeps two more of the fraction


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
        except ValidationError:
            return True


class PercentField(forms.DecimalField):
    """A share that is typed and shown in percent, `12.5 %` for 0.125; its value is the fraction."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def to_python(self, value: Any) -> Decimal | None:  # type: ignore[override]  # the stubs inherit that of integers
        text = str(value if value is not None else "").strip()
        if not text:
            return None
        number = text.removesuffix("%").rstrip()
        if len(number.split()) > 1:
            raise ValidationError(_("Enter the percentage without spaces, such as 15 or 12.5."), code="spaces")
        try:
            typed = read_decimal(number.replace(",", "."))
        except ValidationError as error:
            raise ValidationError(_("Enter a percentage, such as 15 or 12.5."), code="invalid") from error
        if not 0 <= typed <= 100:
            raise ValidationError(_("Enter a percentage from 0 to 100."), code="not_a_share")
        if typed != round(typed, PERCENT_PLACES):
            message = _("Enter at most %(count)d digits after the point.")
            raise ValidationError(message, code="too_many_decimals", params={"count": PERCENT_PLACES})
        if 0 < typed < 1 and not text.endswith("%"):
            meant = {"typed": percent(typed / 100), "meant": percent(typed), "number": f"{(typed * 100).normalize():f}"}
            message = _("For %(meant)s, enter %(number)s. For %(typed)s, enter it with the percent sign.")
            raise ValidationError(message, code="fraction", params=meant)
        return typed / 100

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return self.to_python(initial) != self.to_python(data)
        except ValidationError:
            return True


class AffiliateForm(EditingForm):
    commission_rate = PercentField(
        label=gettext_lazy("Commission rate"),
        help_text=gettext_lazy("Percentage of each order, such as 15 or 12.5."),
    )

    class Meta:
        model = Affiliate
        fields = ("name", "email", "code", "status", "commission_rate")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "code" in self.fields:  # which are empty without the permission to change
            example = format_html("<code>?{}=joe</code>", settings.REFERRAL_PARAMETERS[0])
            text = format_html(_("Identifies the affiliate in referral links, such as {}."), example)
            if self.instance.pk:
                text = format_html("{} {}", text, _("Links with the old code keep working after a change."))
            self.fields["code"].help_text = text
        if isinstance(rate := self.initial.get("commission_rate"), Decimal):
            self.initial["commission_rate"] = percent(rate)

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"])
        if self.instance.user_id is not None:
            access.check_name_is_free(self.instance, email)
        return email


class LinkForm(EditingForm):
    affiliate = AffiliateField(label=gettext_lazy("Affiliate"), help_text=gettext_lazy("Code, name or e-mail."))
    url = forms.CharField(
        label=gettext_lazy("URL"), max_length=LINK_MAX_LENGTH, widget=forms.TextInput(attrs={"inputmode": "url"})
    )

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


class CouponsForm(forms.Form):
    """Codes of discounts, one or several, that an affiliate is to get."""

    codes = forms.CharField(
        label=gettext_lazy("Add coupons"),
        max_length=COUPONS_MAX_LENGTH,
        widget=forms.Textarea(attrs={"rows": 2, "autocomplete": "off", "spellcheck": "false"}),
        help_text=gettext_lazy("One or several, separated by commas or lines. Upper and lower case do not matter."),
    )

    def __init__(self, affiliate: Affiliate, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.affiliate = affiliate

    def clean_codes(self) -> list[Coupon]:
        """New coupons, each code once. An error names its code if several were typed."""
        typed = re.split(r"[,;\n]", str(self.cleaned_data["codes"]).replace("\r", "\n"))
        codes = {folded_coupon(code): code.strip() for code in typed if folded_coupon(code)}
        if not codes:
            raise ValidationError(_("Enter a code."), code="blank")
        coupons = [Coupon(affiliate=self.affiliate, code=code) for code in codes.values()]
        errors: list[ValidationError] = []
        for coupon in coupons:
            try:
                coupon.full_clean(exclude={"affiliate", "folded"})
            except ValidationError as error:
                errors += [_about(coupon, each, is_named=len(coupons) > 1) for each in error.error_dict["code"]]
        if errors:
            raise ValidationError(errors[:MOST_ERRORS])
        return coupons

    def save(self) -> list[Coupon]:
        """Raises `IntegrityError` if somebody else has just added one of them."""
        with transaction.atomic():
            return Coupon.objects.bulk_create(self.cleaned_data["codes"])


def _about(coupon: Coupon, error: ValidationError, *, is_named: bool) -> ValidationError:
    said = " ".join(error.messages)
    return ValidationError(f"{coupon.code[:MOST_SHOWN]}: {said}" if is_named else said, code=error.code)


def _password(label: Any, **attrs: Any) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": "new-password", **attrs})
    return forms.CharField(label=label, strip=False, max_length=1000, widget=widget)


class PortalPasswordForm(forms.Form):
    """The password that the merchant gives to an affiliate's login."""

    new_password1 = _password(gettext_lazy("Password"), autofocus=True)
    new_password2 = _password(gettext_lazy("Repeat password"))

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
            raise ValidationError(_("The passwords do not match."), code="password_mismatch")
        return again

    def save(self, by: User) -> bool:
        """False, with the sentence among the errors, if the affiliate's e-mail cannot be a login."""
        try:
            access.grant(self.affiliate, self.cleaned_data["new_password1"], by)
        except ValidationError as error:
            self.add_error(None, error)
            return False
        return True
