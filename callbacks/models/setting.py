"""Callback settings: which URL of an affiliate gets which kind of event, and how; and hosts in trouble."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from affiliates.models import Affiliate, validate_text
from callbacks.editor.check import Finding, check
from callbacks.editor.repair import Repair
from callbacks.egress import addresses, targets
from callbacks.models import names, sql
from callbacks.postback import signing
from config.language import translated
from config.security.encryption import EncryptedTextField
from orders.models import Order, validate_statuses

models.BigAutoField.register_lookup(sql.Among)


class EventType(models.TextChoices):
    """The kinds of event that a callback can be for."""

    CREATED = "order.created", _("Order created")
    UPDATED = "order.updated", _("Order updated")


SYSTEM = "system"  # the event of a webhook to the merchant's own systems; no affiliate, and no order behind it
EVENTS = [*EventType.choices, (SYSTEM, _("Webhook"))]


class CallbackSetting(models.Model):
    """One URL of one affiliate for one kind of event: how it is called, and for which orders."""

    class Method(models.TextChoices):
        GET = "GET", "GET"
        POST = "POST", "POST"

    class BodyFormat(models.TextChoices):
        FORM = "form", _("Form: the URL's parameters again")
        JSON = "json", _("JSON: the whole event")

    class PauseReason(models.TextChoices):
        NONE = "", _("not paused")
        PERSON = "person", _("paused by hand")
        GONE = "gone", _("the tracker answered 410 Gone, and again an hour later")
        FAILING = "failing", _("no postback succeeded for days")

    # None only of a webhook to the merchant's own systems. Whoever reads it has chosen by affiliate or by event before.
    affiliate: "models.ForeignKey[Affiliate, Affiliate]" = models.ForeignKey(  # type: ignore[misc]  # as above
        Affiliate, on_delete=models.CASCADE, null=True, related_name="callback_settings"
    )
    event = models.CharField(max_length=16, choices=EVENTS)
    name = models.CharField(max_length=names.LONGEST, blank=True, default=names.DEFAULT, validators=[validate_text])
    method = models.CharField(_("HTTP method"), max_length=4, choices=Method, default=Method.GET)
    url = models.TextField("URL", blank=True)  # blank is refused in clean(), with a code and a sentence of its own
    body_format = models.CharField(_("POST body"), max_length=4, choices=BodyFormat, default=BodyFormat.FORM)
    send_as_typed = models.BooleanField(
        "send as typed",
        default=False,
        help_text="Other networks' placeholders in this URL are plain text and are sent as they stand.",
    )
    host = models.CharField(
        max_length=260, default="", editable=False, help_text="Host and port of the URL; filled when saved."
    )
    only_statuses = models.JSONField("only for statuses", default=list, blank=True, validators=[validate_statuses])
    secret = EncryptedTextField(default=signing.new_secret, editable=False)
    previous_secret = EncryptedTextField(default="", blank=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    is_active = models.BooleanField("active", default=True)
    pause_reason = models.CharField(
        max_length=8, choices=PauseReason, default=PauseReason.NONE, blank=True, editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    request_changed_at = models.DateTimeField(
        null=True, editable=False, help_text="When `request` was last another; empty if it never was."
    )
    held_until = models.DateTimeField(
        null=True, editable=False, help_text="Nothing is sent before, because the tracker asked for it."
    )

    form_token = models.UUIDField(
        null=True,
        unique=True,
        editable=False,
        help_text="Of the form that made it, so that sending it twice makes one.",
    )

    repairs: tuple[Repair, ...] = ()  # what the last clean() repaired in the URL
    known_names: list[str] | None = None  # of the affiliate's other callbacks for this event, if the caller read them

    class Meta:
        verbose_name = _("callback")
        verbose_name_plural = _("callbacks")
        ordering: ClassVar = ["affiliate", "event", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["affiliate", "event", "name"], name="callback_name_once_per_event"),
            models.CheckConstraint(
                condition=Q(event__in=["order.created", "order.updated", SYSTEM]), name="callback_event"
            ),
            models.CheckConstraint(condition=Q(method__in=["GET", "POST"]), name="callback_method"),
            models.CheckConstraint(condition=Q(body_format__in=["form", "json"]), name="callback_body_format"),
            models.CheckConstraint(condition=~Q(url=""), name="callback_url_not_empty"),
        ]

    def __str__(self) -> str:
        if not self.affiliate_id:
            return gettext("Webhook to %(host)s") % {"host": self.host}
        return gettext("%(callback)s of %(affiliate)s") % {"callback": self.title, "affiliate": self.affiliate}

    @property
    def is_webhook(self) -> bool:
        return self.event == SYSTEM

    @property
    def title(self) -> str:
        """`Order created callback`, and the name that a person gave it."""
        title = gettext("%(event)s callback") % {"event": self.get_event_display()}
        return title + (f" “{self.name}”" if self.has_own_name else "")

    @property
    def has_own_name(self) -> bool:
        return self.name != names.DEFAULT

    @property
    def request(self) -> tuple[str, str, str]:
        """What is sent, and where to. After a change, the results of earlier requests say nothing about it."""
        return self.method, self.url, self.body_format if self.method == self.Method.POST else ""

    @property
    def is_paused_by_itself(self) -> bool:
        """Whether no person paused it, so that a test that passes or another URL resumes it."""
        return not self.is_active and self.pause_reason in {self.PauseReason.GONE, self.PauseReason.FAILING}

    @property
    def is_held(self) -> bool:
        """Whether nothing is sent at present, because the tracker asked for it."""
        return self.held_until is not None and self.held_until > timezone.now()

    @property
    def statuses(self) -> list[str]:
        """The labels of the statuses that this is for; empty if it is for all."""
        return [str(label) for value, label in Order.Status.choices if value in self.only_statuses]

    def previous_secret_at(self, moment: datetime) -> str:
        """The secret that was replaced, if it still signs at that time; "" if not."""
        return signing.secret_until(self.previous_secret, self.previous_secret_until, moment)

    def finding(self) -> Finding:
        """What today's rules find in its URL."""
        sends_json = self.method == self.Method.POST and self.body_format == self.BodyFormat.JSON
        policy = addresses.policy_from(settings)
        return check(self.url or "", policy, send_as_typed=self.send_as_typed, sends_json=sends_json)

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self._state.adding:
            self.name = names.free(self.name, self.other_names())
        self.host = targets.host_of(self.url)
        if fields := kwargs.get("update_fields"):
            fields = kwargs["update_fields"] = {*fields, "updated_at"}
        if not self._state.adding and (fields is None or {"method", "url", "body_format"} & {*fields}):
            before = CallbackSetting.objects.only("method", "url", "body_format").filter(pk=self.pk).first()
            if before is not None and before.request != self.request:
                self.request_changed_at, self.held_until = timezone.now(), None
                TroubledHost.forget([self.host])
            if fields is not None:
                fields |= {"host", "request_changed_at", "held_until"}
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Repair the URL and refuse what could not be sent or stored, by field, with the code of each problem."""
        finding = self.finding()
        self.url, self.repairs = finding.template, finding.repairs
        self.name = names.free(self.name, others := self.other_names())
        problems = {"url": finding.problems, "name": names.problems(self.name, others)}
        if self._state.adding and len(others) >= names.AT_MOST:
            problems["url"] = (*finding.problems, names.NO_PLACE_LEFT)
        errors = {
            field: [ValidationError(translated(p.message), code=p.code) for p in found]
            for field, found in problems.items()
        }
        if any(errors.values()):
            raise ValidationError({field: found for field, found in errors.items() if found})

    def resume_if_moved(self, url_before: str) -> bool:
        """Resume it, unsaved, if it paused itself because of the URL that it had before. True if it was."""
        is_resumed = self.is_paused_by_itself and self.url != url_before
        if is_resumed:
            self.is_active, self.pause_reason = True, self.PauseReason.NONE
        return is_resumed

    def other_names(self) -> list[str]:
        if self.known_names is not None:
            return self.known_names
        others = CallbackSetting.objects.filter(affiliate=self.affiliate_id, event=self.event).exclude(pk=self.pk)
        return list(others.values_list("name", flat=True)) if self.affiliate_id else []


class TroubledHost(models.Model):
    """A host that has not answered since its last failures. Written by `callbacks.delivery.circuit_breaker` alone."""

    host = models.CharField(max_length=260, primary_key=True)
    failures = models.PositiveIntegerField(help_text="How many in a row.")
    probe_at = models.DateTimeField(help_text="When the next single request may go there, if it is held.")

    def __str__(self) -> str:
        return self.host

    @classmethod
    def forget(cls, hosts: Collection[str]) -> None:
        """A callback has another request now: that the earlier ones were not answered says nothing about it."""
        cls.objects.filter(host__in=hosts).delete()
