"""An affiliate's login for the portal: given, changed and taken away by the merchant.

The login's name is the affiliate's e-mail, and it opens the portal only: it is no member of staff.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from affiliates.models import Affiliate
from config.models import EmailChoice
from config.monitoring import mail

USERNAME_MAX_LENGTH = 150


def check_name_is_free(affiliate: Affiliate, email: str) -> None:
    """Raise `ValidationError` (`login_taken`, `login_too_long`) if this e-mail cannot be the affiliate's login."""
    if len(email) > USERNAME_MAX_LENGTH:
        raise ValidationError(
            _("This e-mail address is too long for portal access. Use at most %(limit)d characters."),
            code="login_too_long",
            params={"limit": USERNAME_MAX_LENGTH},
        )
    holders = User.objects.filter(Q(username__iexact=email) | Q(email__iexact=email)).values_list("pk", flat=True)
    if set(holders) - {affiliate.user_id}:
        raise _taken(email)


def _taken(email: str) -> ValidationError:
    return ValidationError(
        _("Another user already logs in as %(email)s. Change the e-mail address of this affiliate first."),
        code="login_taken",
        params={"email": email},
    )


def login_of(affiliate: Affiliate) -> User:
    """The affiliate's login, or a new one that is not saved yet."""
    assert affiliate.user is None or isinstance(affiliate.user, User)
    return affiliate.user or User(username=affiliate.email, email=affiliate.email)


def written_address(affiliate: Affiliate) -> str:
    """Where e-mails about the affiliate's callbacks go; "" if none go to them."""
    user = affiliate.user
    if not settings.EMAIL_URL or user is None or not user.is_active or affiliate.status != Affiliate.Status.APPROVED:
        return ""
    return "" if mail.choice_of(user) == EmailChoice.When.NEVER else str(user.email)


def may_be_managed_by(actor: User, affiliate: Affiliate) -> bool:
    """Whether `actor` may change the affiliate's login. That of a member of staff is for administrators."""
    user = affiliate.user
    return actor.is_superuser or user is None or not (user.is_staff or user.is_superuser)


def grant(affiliate: Affiliate, password: str, by: User | None = None) -> User:
    """Let the affiliate sign in with this password. Sessions that began with an earlier password end.

    Raises `ValidationError` if the e-mail cannot be a login, `PermissionDenied` if `by` may not manage the login that
    there is now, `Affiliate.DoesNotExist` if somebody deleted the affiliate meanwhile.
    """
    hashed = make_password(password)  # slow on purpose, so not under the lock
    with transaction.atomic():
        _lock(affiliate)
        if by is not None and not may_be_managed_by(by, affiliate):
            raise PermissionDenied
        check_name_is_free(affiliate, affiliate.email)
        user = login_of(affiliate)
        user.username = user.email = affiliate.email
        user.is_active, user.password = True, hashed
        _save_login(user)
        if affiliate.user_id is None:
            affiliate.user = user
            affiliate.save(update_fields=["user"])
    return user


def revoke(affiliate: Affiliate) -> None:
    """Take the affiliate's login away. A member of staff keeps the account, without the portal."""
    with transaction.atomic():
        _lock(affiliate)
        user, affiliate.user = affiliate.user, None
        affiliate.save(update_fields=["user"])
        if user is not None and not user.is_staff:
            user.delete()


def follow_email(affiliate: Affiliate) -> None:
    """Rename the login after the affiliate's e-mail changed. A member of staff keeps their name.

    Raises `ValidationError` if the e-mail cannot be a login.
    """
    with transaction.atomic():
        _lock(affiliate)
        user = affiliate.user
        if user is not None and not user.is_staff and user.username != affiliate.email:
            check_name_is_free(affiliate, affiliate.email)
            user.username = user.email = affiliate.email
            _save_login(user, update_fields=["username", "email"])


def _lock(affiliate: Affiliate) -> None:
    """Lock the affiliate's row, and take from it what others may have changed since it was read."""
    row = Affiliate.objects.select_for_update(no_key=True).get(pk=affiliate.pk)
    # The login is read by a statement of its own, which sees what was committed while this one waited for the lock.
    affiliate.user, affiliate.email = row.user, row.email


def _save_login(user: User, **kwargs: Any) -> None:
    """Another user may have got this name since it was found to be free."""
    try:
        with transaction.atomic():
            user.save(**kwargs)
    except IntegrityError as error:
        raise _taken(user.username) from error
