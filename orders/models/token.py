"""Tokens of the API, and the answers that are repeated for an Idempotency-Key."""

from typing import ClassVar

from django.db import models
from django.db.models import Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


def orders_write() -> list[str]:
    """The scopes of a token from before tokens had scopes."""
    return ["orders:write"]


class ApiToken(models.Model):
    """Lets a program use the API. Only the digest is kept: the token itself is shown once, when it is made."""

    class Scope(models.TextChoices):
        """What a token may do. Who may write may read."""

        ORDERS_READ = "orders:read", _("Read orders")
        ORDERS_WRITE = "orders:write", _("Read and write orders")
        AFFILIATES_READ = "affiliates:read", _("Read affiliates")
        AFFILIATES_WRITE = "affiliates:write", _("Read and write affiliates")
        CALLBACKS_READ = "callbacks:read", _("Read callbacks")
        CALLBACKS_WRITE = "callbacks:write", _("Read and write callbacks")
        DELIVERIES_READ = "deliveries:read", _("Read deliveries")
        DELIVERIES_WRITE = "deliveries:write", _("Read and resend deliveries")

    name = models.CharField(_("name"), max_length=100, unique=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False, help_text="To the minute.")
    expires_at = models.DateTimeField(null=True, editable=False, help_text="Empty if it never does.")
    scopes = models.JSONField(
        _("scopes"),
        default=orders_write,
        db_default=Value(orders_write(), models.JSONField()),
        editable=False,
        help_text="A list of values of Scope.",
    )

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return self.name

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def scope_labels(self) -> list[str]:
        return [str(scope.label) for scope in ApiToken.Scope if scope in self.scopes]

    def allows(self, scope: str) -> bool:
        """Whether it has this scope, or the one that includes it."""
        return scope in self.scopes or scope.replace(":read", ":write") in self.scopes


class IdempotentAnswer(models.Model):
    """The answer to a request with an Idempotency-Key, to be given again for 24 hours."""

    token = models.ForeignKey(ApiToken, models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of method, path and body.")
    status = models.PositiveSmallIntegerField()
    body = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["token", "key"], name="idempotency_key_once_per_token"),
        ]

    def __str__(self) -> str:
        return self.key
