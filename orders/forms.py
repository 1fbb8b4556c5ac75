"""The form of an order: the referral link is typed as a URL, and the commission may be left empty."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from affiliates.forms import AffiliateField
from affiliates.referral import without_blanks
from config.editing import EditingForm
from orders import money
from orders.api import tokens
from orders.intake import attribution
from orders.models import ApiToken, Order


class OrderForm(EditingForm):
    """Finds or makes the link with the typed URL, which also names the affiliate if none is chosen."""

    link = forms.CharField(
        label=gettext_lazy("Referral link"),
        required=False,
        max_length=None,
        widget=forms.TextInput(
            attrs={"inputmode": "url", "autocomplete": "off", "placeholder": "https://shop.example/?ref=joe&sub_id=fb"}
        ),
        help_text=gettext_lazy("The full URL that the customer used. Its ref parameter identifies the affiliate."),
    )

    affiliate = AffiliateField(
        label=gettext_lazy("Affiliate"),
        required=False,
        help_text=gettext_lazy("Code, name or e-mail. Leave empty to use the affiliate of the link."),
    )

    class Meta:
        model = Order
        fields = ("number", "affiliate", "amount", "currency", "commission", "status")
        # No <input type=number>: a browser submits nothing for "58,00" in it.
        widgets: ClassVar = {
            name: forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
            for name in ("amount", "commission")
        }

    field_order = ("number", "status", "link", "affiliate", "amount", "currency", "commission")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.before = (self.instance.affiliate_id, self.instance.amount)
        link = self.instance.link if self.instance.pk else None
        self.initial["link"] = link.url if link else ""
        self.initial["affiliate"] = AffiliateField.label_of(self.initial.get("affiliate"))
        if self.instance.pk:
            self._show_amounts(self.instance)

    def _show_amounts(self, order: Order) -> None:
        """Show amounts with the currency's digits, and a commission that follows the amount as an empty field."""
        self.initial["amount"] = money.plain(order.amount, order.currency)
        commission = money.plain(order.commission, order.currency)
        self.initial["commission"] = commission if order.commission_given else None
        if not order.commission_given and "commission" in self.fields:
            calculated = _("Leave empty to calculate it from the affiliate's rate: %(commission)s.")
            self.fields["commission"].help_text = calculated % {"commission": commission}

    def _get_validation_exclusions(self) -> set[str]:
        """A shop is never typed, but a number is unique within it."""
        exclude: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # not in the stubs
        return exclude - {"shop"}

    def clean_number(self) -> str:
        """What is typed is without blanks at its ends; the number of an old row may have some, and keeps them."""
        typed, stored = str(self.cleaned_data["number"]), str(self.initial.get("number", ""))
        return stored if typed == without_blanks(stored) else typed

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        # The URL is checked now; if the link is new, it is made when the order is saved.
        self.typed_link, cleaned["link"] = cleaned.get("link", ""), None
        self.typed_affiliate = cleaned.get("affiliate")
        try:
            with transaction.atomic():
                affiliate, _link = attribution.resolve_link(cleaned.get("affiliate"), self.typed_link)
                transaction.set_rollback(True)
        except ValidationError as error:
            # While the affiliate has an error, whom the link names says nothing yet.
            if "affiliate" in cleaned or error.code == "bad_link":
                self.add_error("link", error)
        else:
            if "affiliate" in cleaned:
                cleaned["affiliate"] = affiliate
        return cleaned

    def save(self, commit: bool = True) -> Any:
        order = self.instance
        affiliate, order.link = attribution.resolve_link(order.affiliate, self.typed_link)
        affiliate_before, amount_before = self.before
        if order.affiliate_id != affiliate_before:
            attribution.choose(order, affiliate, "" if self.typed_affiliate or not order.link else order.link.url)
        elif order.pk is None:
            order.source = Order.Source.MANUAL
        if order.amount != amount_before:
            order.subtotal = order.commission_on = None  # they are of another amount
        return super().save(commit)


class ApiTokenForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    allowed = forms.MultipleChoiceField(
        label=gettext_lazy("It may"),
        choices=ApiToken.Scope.choices,
        initial=[ApiToken.Scope.ORDERS_WRITE],
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Tick only what the program needs."),
        error_messages={"required": gettext_lazy("Tick what the program needs.")},
    )
    days = forms.IntegerField(
        label=gettext_lazy("Valid for (days)"),
        required=False,
        min_value=1,
        max_value=tokens.MOST_DAYS,
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value"), gettext_lazy("Enter a whole number of days, from 1 to 3650.")
        ),
        help_text=gettext_lazy("Leave empty for a token that is valid until it is revoked."),
    )

    class Meta:
        model = ApiToken
        fields = ("name",)
        help_texts: ClassVar = {"name": gettext_lazy("The program that will use it, such as shop.")}
