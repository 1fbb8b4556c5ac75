"""What people are told by e-mail: written down with the change that it tells of, sent later by whatever process lives.

Who is told of what is decided by who calls `tell`. Each person chooses whether they are written to at once, once a day,
or never (`preferences`). An e-mail is sent at least once, and twice only if the process dies between the answer of the
server and writing it down.
"""

import smtplib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMessage, get_connection
from django.db.models import Count, Max, QuerySet
from django.utils import timezone, translation
from django.utils.translation import gettext, ngettext

from config.models import Email, EmailChoice
from config.monitoring import metrics

log = structlog.get_logger(__name__)

When, Status = EmailChoice.When, Email.Status
SUMMARY_AT = time(8)  # in TIME_ZONE
LEASE = timedelta(minutes=2)  # much longer than one e-mail may take: each of its steps ends after EMAIL_TIMEOUT
PAUSES_S = (10, 30, 60, 120, 300, 600)  # the last one again and again
GIVEN_UP_AFTER = timedelta(days=3)
KEPT_FOR = timedelta(days=30)
SHOWN_FOR = timedelta(days=7)  # on the overview
MOST_SHOWN = 5
BATCH = 100
MOST_IN_SUMMARY = 200


@dataclass(frozen=True, slots=True)
class Notice:
    """What somebody is told, in plain text without queries and secrets. `path` is the page of the one link."""

    subject: str
    lines: tuple[str, ...]
    path: str


# --- who -------------------------------------------------------------------------
def staff_to_tell() -> QuerySet[User]:
    """Who may see deliveries and has an e-mail address."""
    staff = User.objects.with_perm("callbacks.view_delivery", backend="django.contrib.auth.backends.ModelBackend")
    return staff.filter(is_staff=True).exclude(email="").order_by("pk")


def administrators_to_tell() -> QuerySet[User]:
    return User.objects.filter(is_active=True, is_staff=True, is_superuser=True).exclude(email="").order_by("pk")


def choice_of(user: Any) -> str:
    """One of `EmailChoice.When`."""
    return str(EmailChoice.objects.filter(user=user.pk).values_list("when", flat=True).first() or When.AT_ONCE)


def language_of(user: Any) -> str:
    """The language of the e-mails to this person: the one last used in the portal; for staff that of the panel."""
    chosen = EmailChoice.objects.filter(user=user.pk).values_list("language", flat=True).first()
    return settings.LANGUAGE_CODE if user.is_staff else chosen or settings.LANGUAGE_CODE


def note_language(user: Any, language: str) -> None:
    """Write to this person in this language from now on."""
    if EmailChoice.objects.filter(user=user.pk, language=language).exists():
        return
    created = {"language": language, "when": When.AT_ONCE}
    EmailChoice.objects.update_or_create(user_id=user.pk, defaults={"language": language}, create_defaults=created)


def choose(user: Any, when: str) -> None:
    """From now on, and for what waits for this person already."""
    EmailChoice.objects.update_or_create(user_id=user.pk, defaults={"when": when})
    waiting, now = Email.objects.filter(user=user.pk, status=Status.WAITING), timezone.now()
    if when == When.NEVER:
        waiting.delete()
    elif when == When.DAILY:
        waiting.filter(is_summary=False).update(is_summary=True, due_at=next_summary(now))
    else:
        waiting.filter(is_summary=True).update(is_summary=False, due_at=now)


# --- told ------------------------------------------------------------------------
def tell(people: Iterable[User], notice: Notice) -> None:
    """Write to them, if the transaction of the caller is committed, as each of them has chosen.

    Without EMAIL_URL it is written down for the overview and never sent, also if there is nobody to write to.
    """
    keys = list(dict.fromkeys(user.pk for user in people if user.is_active and user.email))
    choices = dict(EmailChoice.objects.filter(user__in=keys).values_list("user_id", "when"))
    told: list[tuple[int | None, str]] = [(pk, choices.get(pk, When.AT_ONCE)) for pk in keys]
    if not keys and not settings.EMAIL_URL:
        told = [(None, When.AT_ONCE)]
    now = timezone.now()
    Email.objects.bulk_create(
        Email(
            user_id=pk,
            subject=" ".join(notice.subject.split())[:200],
            body="\n".join(" ".join(line.split()) for line in notice.lines),
            path=notice.path,
            is_summary=when == When.DAILY,
            status=Status.WAITING if settings.EMAIL_URL else Status.NOT_SENT,
            created_at=now,
            due_at=next_summary(now) if when == When.DAILY else now,
        )
        for pk, when in told
        if when != When.NEVER
    )


def next_summary(now: datetime) -> datetime:
    """The next eight o'clock of TIME_ZONE."""
    local = timezone.localtime(now)
    day = local.date() if local.time() < SUMMARY_AT else local.date() + timedelta(days=1)
    return timezone.make_aware(datetime.combine(day, SUMMARY_AT))


# --- sent ------------------------------------------------------------------------
def send_due() -> None:
    """Send what is due. Any number of processes may do this at the same time."""
    if not settings.EMAIL_URL:
        return
    found = list(_due().order_by("user_id", "pk")[:BATCH])
    if not found:
        return
    server = get_connection()
    try:
        server.open()  # before anything is claimed: it may take long
    except OSError as error:
        log.warning("mail_server_failed", error=type(error).__name__, code=_code_of(error))
        _put_off(found, _said(error))
        return
    try:
        for together in _together(found):
            if not _send(server, together):
                break
    finally:
        with suppress(OSError):
            server.close()


def _due() -> QuerySet[Email]:
    return Email.objects.filter(status=Status.WAITING, due_at__lte=timezone.now()).select_related("user")


def _together(emails: Sequence[Email]) -> Iterable[list[Email]]:
    """What leaves in one e-mail: each by itself, and all of somebody's summary."""
    for (user_id, is_summary), own in groupby(emails, attrgetter("user_id", "is_summary")):
        if is_summary:
            yield list(_due().filter(user_id=user_id, is_summary=True).order_by("pk"))
        else:
            yield from ([email] for email in own)


def _send(server: Any, emails: list[Email]) -> bool:
    """Whether the server may be asked for the next one at once."""
    claimed = [email for email in emails if _moved(email, timezone.now() + LEASE)]
    if not claimed:
        return True
    try:
        server.send_messages([_message(claimed)])
    except OSError as error:  # all of smtplib's are
        code = _code_of(error)
        if code is None or code < 500:
            log.warning("mail_failed", error=type(error).__name__, code=code)
            _put_off(claimed, _said(error))
            return False
        log.warning("mail_refused", error=type(error).__name__, code=code)
        _refuse(claimed, _said(error))
    except ValueError as error:  # such as an address that no e-mail can go to
        log.warning("mail_refused", error=type(error).__name__)
        _refuse(claimed, "The address cannot be used.")
    else:
        metrics.MAILS.labels("sent").inc()
        _note(claimed, status=Status.SENT, sent_at=timezone.now(), error="")
        log.info("mail_sent", notices=len(claimed))
    return True


def _moved(email: Email, due_at: datetime, **values: Any) -> bool:
    """Make it due later, unless somebody else has moved it or it was sent or deleted since it was read."""
    mine = Email.objects.filter(pk=email.pk, status=Status.WAITING, due_at=email.due_at)
    email.due_at = due_at
    return bool(mine.update(due_at=due_at, **values))


def _refuse(emails: Iterable[Email], error: str) -> None:
    metrics.MAILS.labels("failed").inc()
    _note(emails, status=Status.REFUSED, error=error)


def _put_off(emails: Iterable[Email], error: str) -> None:
    metrics.MAILS.labels("failed").inc()
    now = timezone.now()
    for email in emails:
        if now - email.created_at > GIVEN_UP_AFTER:
            _note([email], status=Status.REFUSED, error=error)
        else:
            pause_s = PAUSES_S[min(email.attempt_count, len(PAUSES_S) - 1)]
            _moved(email, now + timedelta(seconds=pause_s), attempt_count=email.attempt_count + 1, error=error)


def _note(emails: Iterable[Email], **values: Any) -> None:
    Email.objects.filter(pk__in=[email.pk for email in emails], status=Status.WAITING).update(**values)


def _code_of(error: OSError) -> int | None:
    """The three digits of what the server answered; None if it did not."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return next((int(code) for code, _ in error.recipients.values()), None)
    return int(error.smtp_code) if isinstance(error, smtplib.SMTPResponseException) else None


def _said(error: OSError) -> str:
    code = _code_of(error)
    if code is None:
        return f"The mail server does not answer ({type(error).__name__})."
    return f"The mail server answered {code} ({type(error).__name__})."


def _message(emails: Sequence[Email]) -> EmailMessage:
    first = emails[0]
    with translation.override(language_of(first.user)):
        subject, body = _summary(emails) if first.is_summary else (first.subject, f"{first.body}\n\n{_link(first)}")
        footer = gettext("To change how often you get these e-mails, open the page E-mail notifications.")
    host = urlsplit(settings.SITE_URL).hostname
    return EmailMessage(
        subject,
        f"{body}\n\n{footer}\n",
        to=[first.user.email],
        headers={"Message-ID": f"<postbacks-{first.pk}@{host}>", "Auto-Submitted": "auto-generated"},
    )


def _summary(emails: Sequence[Email]) -> tuple[str, str]:
    count = len(emails)
    subject = ngettext("Summary: %(count)d notice", "Summary: %(count)d notices", count) % {"count": count}
    shown = [f"{email.subject}\n{email.body}\n{_link(email)}" for email in emails[:MOST_IN_SUMMARY]]
    if count > len(shown):
        more = count - len(shown)
        shown.append(ngettext("And %(count)d more.", "And %(count)d more.", more) % {"count": more})
    return subject, "\n\n".join(shown)


def _link(email: Email) -> str:
    return f"{settings.SITE_URL}{email.path}"


# --- shown -----------------------------------------------------------------------
def overview() -> dict[str, Any]:
    """What the overview says of e-mails: what would have been sent, what was refused, what waits for the server."""
    now = timezone.now()
    lately = Email.objects.filter(created_at__gte=now - SHOWN_FOR)
    waiting = Email.objects.filter(status=Status.WAITING, attempt_count__gt=0)
    return {
        "not_sent": [] if settings.EMAIL_URL else _notices(lately.filter(status=Status.NOT_SENT)),
        "refused": _notices(lately.filter(status=Status.REFUSED)),
        "late": waiting.count() if settings.EMAIL_URL else 0,
        "late_because": waiting.order_by("-pk").values_list("error", flat=True).first(),
    }


def _notices(emails: QuerySet[Email]) -> list[dict[str, Any]]:
    """The latest, each once however many people it went to."""
    same = emails.values("created_at", "subject", "body", "path").annotate(people=Count("user"), error=Max("error"))
    return list(same.order_by("-created_at")[:MOST_SHOWN])
