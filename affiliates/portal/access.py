"""An affiliate's login for the portal: given, changed and taken away by the merchant.

The login's name is the affiliate's e-mail, and it opens the portal only: it is no member of staff.
"""

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from affiliates.models import Affiliate

USERNAME_MAX_LENGTH = 150


def check_name_is_free(affiliate: Affiliate, email: str) -> None:
    """Raise `ValidationError` (`login_taken`, `login_too_long`) if this e-mail cannot be the affiliate's login."""
    if len(email) > USERNAME_MAX_LENGTH:
        raise ValidationError(
            "This e-mail is too long for a login: at most %(limit)d characters.",
            code="login_too_long",
            params={"limit": USERNAME_MAX_LENGTH},
        )
    holders = User.objects.filter(Q(username__iexact=email) | Q(email__iexact=email)).values_list("pk", flat=True)
    if set(holders) - {affiliate.user_id}:
        raise ValidationError(
            "%(email)s is the login of another user already. Give this affiliate another e-mail first.",
            code="login_taken",
            params={"email": email},
        )


def login_of(affiliate: Affiliate) -> User:
    """The affiliate's login, or a new one that is not saved yet."""
    assert affiliate.user is None or isinstance(affiliate.user, User)
    return affiliate.user or User(username=affiliate.email, email=affiliate.email)


def may_be_managed_by(actor: User, affiliate: Affiliate) -> bool:
    """Whether `actor` may change the affiliate's login. That of a member of staff is for administrators."""
    user = affiliate.user
    return actor.is_superuser or user is None or not (user.is_staff or user.is_superuser)


def grant(affiliate: Affiliate, password: str) -> User:
    """Let the affiliate sign in with this password. Sessions that began with an earlier password end."""
    with transaction.atomic():
        user = login_of(affiliate)
        user.username = user.email = affiliate.email
        user.is_active = True
        user.set_password(password)
        user.save()
        if affiliate.user_id is None:
            affiliate.user = user
            affiliate.save(update_fields=["user"])
    return user


def revoke(affiliate: Affiliate) -> None:
    """Take the affiliate's login away. A member of staff keeps the account, without the portal."""
    with transaction.atomic():
        user, affiliate.user = affiliate.user, None
        affiliate.save(update_fields=["user"])
        if user is not None and not user.is_staff:
            user.delete()


def follow_email(affiliate: Affiliate) -> None:
    """Rename the login after the affiliate's e-mail changed. A member of staff keeps their name."""
    user = affiliate.user
    if user is not None and not user.is_staff and user.username != affiliate.email:
        user.username = user.email = affiliate.email
        user.save(update_fields=["username", "email"])
