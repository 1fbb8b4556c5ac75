"""The values that columns of an order choose from, and their words. Code says `Order.Status` and so on."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Status(models.TextChoices):
    NEW = "new", _("New")
    APPROVED = "approved", _("Approved")
    REJECTED = "rejected", _("Rejected")


class NoAffiliate(models.TextChoices):
    """Why an order that named an affiliate has none."""

    LINK_TOO_LONG = "link_too_long", _("The link is longer than 2,000 characters.")
    LINK_HAS_SPACE = "link_has_space", _("The link contains a space.")
    LINK_IS_PATH = "link_is_path", _("The link is only a path, without the address of a shop.")
    BAD_LINK = "bad_link", _("The link is not a web address.")
    NO_REFERRAL = "no_referral", _("The link contains no affiliate code.")
    UNKNOWN_REFERRAL = "unknown_referral", _("No affiliate has the code in the link.")
    UNKNOWN_AFFILIATE = "unknown_affiliate", _("No affiliate has this code.")
    NOTHING_GIVEN = "nothing_given", _("The order came with no referral link and no coupon.")
    UNKNOWN_COUPON = "unknown_coupon", _("The coupon belongs to no affiliate.")
    SELF_REFERRAL = "self_referral", _("The customer is the affiliate.")


class Source(models.TextChoices):
    """What decided to whom an order belongs."""

    LINK = "link", _("Referral link")
    COUPON = "coupon", _("Coupon")
    API = "api", _("API")
    CSV = "csv", _("CSV file")
    MANUAL = "manual", _("Entered by hand")
