"""Forms about a shop: what is typed to connect one, the key that Shopify shows, the settings with the status map."""

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from config.editing import EditingForm
from orders.intake import statuses
from orders.models import Order, Shop
from orders.models.shop import checked_secret

OURS = [*Order.Status.choices, (statuses.IGNORED, gettext_lazy("Ignored"))]
NOT_CHOSEN = ("", gettext_lazy("New, not chosen yet"))  # of a status that nobody has assigned
STATUS = "status_"  # how the fields of the status map begin


class ConnectForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """The next page says everything else."""

    kind = forms.ChoiceField(label=gettext_lazy("Kind of shop"), choices=Shop.Kind, widget=forms.RadioSelect)

    class Meta:
        model = Shop
        fields = ("kind", "name")
        help_texts: ClassVar = {"name": gettext_lazy("As you call it, such as Main shop.")}


class KeyForm(forms.Form):
    """The key that a page of Shopify shows."""

    secret = forms.CharField(
        label=gettext_lazy("Key from Shopify"),
        max_length=500,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_secret(self) -> str:
        return checked_secret(Shop.Kind.SHOPIFY, self.cleaned_data["secret"])


class ShopForm(EditingForm):
    """The settings. Each status of the shop has a field; only what differs from the default is stored."""

    address = forms.URLField(
        label=gettext_lazy("Address"),
        required=False,
        max_length=200,
        assume_scheme="https",
        widget=forms.URLInput(attrs={"placeholder": "https://shop.example"}),
        help_text=gettext_lazy("The public address of the shop. It completes links that are only a path."),
        error_messages={"invalid": gettext_lazy("Enter a web address, such as https://shop.example.")},
    )

    class Meta:
        model = Shop
        fields = (
            "name",
            "address",
            "is_active",
            "accepts_test_orders",
            "commission_base",
            "first",
            "leaves_out_self_referrals",
        )
        widgets: ClassVar = {
            "commission_base": forms.RadioSelect,
            "first": forms.RadioSelect,
        }
        labels: ClassVar = {
            "is_active": gettext_lazy("Active"),
            "commission_base": gettext_lazy("Commission is calculated from"),
            "first": gettext_lazy("If link and coupon name different affiliates, this decides"),
            "accepts_test_orders": gettext_lazy("Accept test orders"),
            "leaves_out_self_referrals": gettext_lazy("No commission for self-referrals"),
        }
        help_texts: ClassVar = {
            "is_active": gettext_lazy(
                "If not, messages change nothing. They are kept for 7 days, and you can apply them later."
            ),
            "accepts_test_orders": gettext_lazy("If not, test orders are listed under Messages and create no order."),
            "leaves_out_self_referrals": gettext_lazy(
                "If the customer has the affiliate's e-mail address, the order gets no affiliate. Otherwise it is only "
                "marked."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Without the permission to change there are no fields.
        self.status_map = status_map_of(self.instance) if "name" in self.fields else {}
        for theirs, ours in self.status_map.items():
            choices = OURS if ours else [NOT_CHOSEN, *OURS]
            field = forms.ChoiceField(label=theirs, choices=choices, initial=ours, required=False)
            self.fields[status_field(theirs)] = field

    @property
    def status_fields(self) -> list[forms.BoundField]:
        return [self[status_field(theirs)] for theirs in self.status_map]

    def words(self, name: str, value: Any) -> str:
        if isinstance(self.fields[name], forms.BooleanField):
            return str(_("on") if str(value) in {"True", "on"} else _("off"))
        return super().words(name, value)

    def save(self, commit: bool = True) -> Any:
        """A status that appeared while the page was open stays as it is."""
        defaults = statuses.DEFAULTS[self.instance.kind]
        chosen = {theirs: self.cleaned_data[status_field(theirs)] or ours for theirs, ours in self.status_map.items()}
        self.instance.status_map = {theirs: ours for theirs, ours in chosen.items() if ours != defaults.get(theirs)}
        return super().save(commit)


def status_field(theirs: str) -> str:
    """The name of a status's field, in letters and digits whatever the shop calls the status."""
    return STATUS + theirs.encode("utf-8", "surrogatepass").hex()


def status_map_of(shop: Shop) -> dict[str, str]:
    """What each status of the shop becomes: those that are known, then those that others brought in, by name.

    "" is one that nobody has assigned.
    """
    defaults = statuses.DEFAULTS[shop.kind]
    others = sorted(shop.status_map.keys() - defaults.keys())
    return defaults | {theirs: shop.status_map.get(theirs, defaults.get(theirs, "")) for theirs in [*defaults, *others]}
