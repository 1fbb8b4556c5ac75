"""What belongs to no app: what a user logs in with besides the password, which processes run and what they count, and
what people are told by e-mail.
"""

import base64
import binascii
import re
import secrets
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django_otp.models import Device, ThrottlingMixin
from django_otp.oath import TOTP

from config.security.encryption import EncryptedTextField, digest

ISSUER = "Affiliate Postbacks"
RECOVERY_CODES = 10
MOST_FAILURES = 15  # that are counted. The owner waits for 4.6 hours at most, and a guesser needs centuries.
TOTP_CODE = re.compile(r"[0-9]{6}", re.ASCII)


def new_secret() -> str:
    """160 random bits in base32, as authenticator apps take them."""
    return base64.b32encode(secrets.token_bytes(20)).decode("ascii")


class Authenticator(ThrottlingMixin, Device):  # type: ignore[misc]  # django-otp brings no types
    """The second factor of one user: codes of six digits by RFC 6238, or one of the recovery codes.

    It counts from `confirmed` on, when its owner has typed a first code. After a wrong code the next one is looked at
    1, 2, 4, 8 ... seconds later, at most 2^14.
    """

    throttling_failure_count: int  # of ThrottlingMixin

    secret = EncryptedTextField(default=new_secret)
    last_step: Any = models.BigIntegerField(default=-1, help_text="Of the last code that was accepted.")
    recovery_digests = models.JSONField(default=list, help_text="Of the recovery codes that are left.")
    created_at: Any = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("authenticator")
        verbose_name_plural = _("authenticators")
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["user"], name="one_authenticator_of_a_user")]

    def get_throttle_factor(self) -> float:
        return 1

    def verify_token(self, token: str) -> bool:
        """Whether this code is right; it is never right again. The row must be locked, as `verify` does."""
        is_allowed, _ = self.verify_is_allowed()
        if not is_allowed:
            return False
        typed = re.sub(r"[\s-]", "", token).lower()
        is_right = self._take_step(typed) if TOTP_CODE.fullmatch(typed) else self._take_recovery_code(typed)
        if is_right:
            self.throttle_reset(commit=False)
            self.save()
        else:
            self.throttling_failure_count = min(self.throttling_failure_count, MOST_FAILURES - 1)
            self.throttle_increment()
        return is_right

    def _take_step(self, code: str) -> bool:
        try:
            key = base64.b32decode(self.secret)
        except (binascii.Error, ValueError):  # encrypted under another SECRET_KEY
            return False
        totp = TOTP(key)
        is_right = bool(totp.verify(int(code), tolerance=1, min_t=self.last_step + 1))
        if is_right:
            self.last_step = totp.t()
        return is_right

    def _take_recovery_code(self, code: str) -> bool:
        if (found := digest(code)) not in self.recovery_digests:
            return False
        self.recovery_digests = [kept for kept in self.recovery_digests if kept != found]
        return True

    def make_recovery_codes(self) -> list[str]:
        """Ten new ones in the place of all before, unsaved. Only digests are kept; 80 random bits are not guessed."""
        codes = [base64.b32encode(secrets.token_bytes(10)).decode("ascii").lower() for _ in range(RECOVERY_CODES)]
        self.recovery_digests = [digest(code) for code in codes]
        return ["-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in codes]

    @property
    def address(self) -> str:
        """The otpauth: address that authenticator apps read from a QR code."""
        assert isinstance(self.user, User)
        parameters = urlencode({"secret": self.secret, "issuer": ISSUER}, quote_via=quote)
        return f"otpauth://totp/{quote(ISSUER)}:{quote(self.user.get_username())}?{parameters}"


def authenticator_of(user: Any) -> Authenticator | None:
    """The second factor that this user logs in with, if they have one."""
    found: Authenticator | None = Authenticator.objects.filter(user=user.pk, confirmed=True).first()
    return found


def is_verified(user: Any) -> bool:
    """Whether this request's user gave the second factor in this session."""
    return bool(user.is_verified())  # set by django-otp's middleware


def is_required_of(user: Any) -> bool:
    """Whether this user must have a second factor."""
    return bool(settings.REQUIRE_TWO_FACTOR and user.is_staff)


def verify(user: Any, code: str, *, confirmed: bool = True) -> tuple[Authenticator | None, bool]:
    """The user's authenticator and whether it took this code; two requests with one code come after one another."""
    with transaction.atomic():
        found: Authenticator | None
        found = Authenticator.objects.select_for_update().filter(user=user.pk, confirmed=confirmed).first()
        return found, found is not None and found.verify_token(code)


# --- the installation ------------------------------------------------------------
class Process(models.Model):
    """A process of the installation, on whatever machine, and when it last said that it is alive."""

    class Kind(models.TextChoices):
        WEB = "web", "Web"
        WORKER = "worker", "Worker"
        BEAT = "beat", "Beat"

    name: Any = models.CharField(max_length=200, primary_key=True, help_text="Host and process number.")
    kind: Any = models.CharField(max_length=8, choices=Kind)
    version: Any = models.CharField(max_length=32, default="")
    seen_at: Any = models.DateTimeField()
    disk_free: Any = models.FloatField(null=True, help_text="The free share of the fullest disk that it writes to.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class CountedSample(models.Model):
    """A series of `config.monitoring.metrics`, with what all processes have counted together."""

    series: Any = models.CharField(max_length=200, primary_key=True)
    value: Any = models.FloatField(default=0)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.series} {self.value:g}"


class AlarmState(models.Model):
    """What `config.monitoring.alarms` knows of one thing that can be wrong with the installation."""

    kind: Any = models.CharField(max_length=16, primary_key=True)
    is_open: Any = models.BooleanField(default=False, db_default=False)
    began_at: Any = models.DateTimeField(null=True, help_text="Since when it is wrong, as people are told.")
    noticed_at: Any = models.DateTimeField(null=True, help_text="Since when it was found wrong each time.")
    well_at: Any = models.DateTimeField(null=True, help_text="Since when it was found right each time.")
    looked_at: Any = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.kind} {'open' if self.is_open else 'closed'}"


# --- e-mail ----------------------------------------------------------------------
class EmailChoice(models.Model):
    """How often somebody wants e-mails, and in which language. Who has chosen nothing is written to at once."""

    class When(models.TextChoices):
        AT_ONCE = "at_once", "At once"
        DAILY = "daily", "One summary a day"
        NEVER = "never", "Never"

    user: Any = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+")
    when: Any = models.CharField(max_length=8, choices=When)
    language: Any = models.CharField(max_length=8, default="", db_default="", help_text="Last used in the portal.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.when)


class Email(models.Model):
    """One notice to one person, or to nobody if nobody could be told. Those of a daily summary leave in one e-mail."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        REFUSED = "refused", "Refused"
        NOT_SENT = "not_sent", "Not sent"  # there was no EMAIL_URL

    user: Any = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    subject: Any = models.CharField(max_length=200)
    body: Any = models.TextField()
    path: Any = models.CharField(max_length=500, help_text="Of the page that the e-mail leads to.")
    is_summary: Any = models.BooleanField(default=False, db_default=False)
    status: Any = models.CharField(max_length=8, choices=Status, default=Status.WAITING)
    created_at: Any = models.DateTimeField()
    due_at: Any = models.DateTimeField(help_text="Who sends it moves this on, so that nobody else does meanwhile.")
    attempt_count: Any = models.PositiveSmallIntegerField(default=0, db_default=0)
    error: Any = models.CharField(max_length=200, default="", db_default="")
    sent_at: Any = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=Q(status="waiting"), name="emails_due"),
            models.Index(fields=["created_at"], name="emails_by_age"),
        ]

    def __str__(self) -> str:
        return str(self.subject)
