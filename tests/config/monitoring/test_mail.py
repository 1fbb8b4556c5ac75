"""E-mails against a real SMTP server: told in a transaction, sent once, late, refused, summed up, or not at all."""

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
import structlog
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.utils import timezone

from config.models import Email, EmailChoice
from config.monitoring import mail
from config.monitoring.mail import Notice

NOTICE = Notice("Callback of Joe Media fails", ("HTTP 500 since yesterday.", "12 orders wait."), "/admin/x/1/")
When, Status = EmailChoice.When, Email.Status


# --- who -------------------------------------------------------------------------
def test_staff_to_tell_are_those_who_may_see_deliveries_and_have_an_address(administrator):
    merchant = User.objects.create(username="mia", email="mia@shop.example", is_staff=True)
    merchant.groups.add(Group.objects.get(name="Merchant"))
    for name, values in {
        "no-address": {"email": "", "is_superuser": True},
        "no-role": {"is_staff": True},
        "gone": {"is_superuser": True, "is_active": False},
        "affiliate": {"is_staff": False},
    }.items():
        User.objects.create(**{"username": name, "email": f"{name}@x.example", "is_staff": True} | values)
    assert list(mail.staff_to_tell()) == [administrator, merchant]
    assert list(mail.administrators_to_tell()) == [administrator]


# --- sent ------------------------------------------------------------------------
def test_mail_arrives_with_its_text_and_one_link(administrator, mail_server, settings):
    settings.SITE_URL = "https://panel.example"
    mail.tell([administrator, administrator], NOTICE)
    mail.send_due()
    (found,) = mail_server.mails
    assert found.to == ("ann@shop.example",)
    assert found.subject == NOTICE.subject
    assert found.message.get_content_type() == "text/plain"
    assert found.text.splitlines()[:4] == [*NOTICE.lines, "", "https://panel.example/admin/x/1/"]
    assert found.text.count("https://") == 1
    mail.send_due()
    assert len(mail_server.mails) == 1
    assert Email.objects.get().status == Status.SENT


def test_what_is_rolled_back_is_not_told(administrator, mail_server):
    with transaction.atomic():
        mail.tell([administrator], NOTICE)
        transaction.set_rollback(True)
    mail.send_due()
    assert mail_server.mails == []


def test_names_with_line_breaks_make_no_header(administrator, mail_server):
    mail.tell([administrator], Notice("Joe\r\nBcc: eve@x.example", ("One\nline",), "/"))
    mail.send_due()
    (found,) = mail_server.mails
    assert found.subject == "Joe Bcc: eve@x.example"
    assert found.message["Bcc"] is None
    assert found.text.splitlines()[0] == "One line"


@pytest.mark.django_db(transaction=True)
def test_processes_that_send_at_once_send_each_mail_once(mail_server):
    people = [
        User.objects.create(username=f"p{n}", email=f"p{n}@shop.example", is_staff=True, is_superuser=True)
        for n in range(20)
    ]
    mail.tell(people, NOTICE)
    together = Barrier(3)

    def process():
        together.wait()
        try:
            mail.send_due()
        finally:
            connection.close()

    threads = [Thread(target=process) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found.to[0] for found in mail_server.mails) == sorted(user.email for user in people)


def test_mail_of_a_process_that_died_is_sent_when_its_lease_is_over(administrator, mail_server, time_machine):
    mail.tell([administrator], NOTICE)
    assert mail._moved(Email.objects.get(), timezone.now() + mail.LEASE)
    mail.send_due()
    assert mail_server.mails == []
    time_machine.move_to(timezone.now() + mail.LEASE)
    mail.send_due()
    assert len(mail_server.mails) == 1


# --- the server is away, or refuses --------------------------------------------------
def test_server_that_was_away_gets_the_mail_later_with_growing_pauses(administrator, mail_server, time_machine):
    mail_server.stop()
    mail.tell([administrator], NOTICE)
    pauses = []
    for _ in range(3):
        began = timezone.now()
        mail.send_due()
        mail.send_due()  # not due now
        waiting = Email.objects.get()
        pauses.append(round((waiting.due_at - began).total_seconds()))
        time_machine.move_to(waiting.due_at)
    assert pauses == [10, 30, 60]
    assert "does not answer" in waiting.error
    assert mail.overview()["late"] == 1
    mail_server.start()
    mail.send_due()
    assert len(mail_server.mails) == 1
    assert mail.overview()["late"] == 0


def test_mail_is_given_up_after_three_days(administrator, mail_server, time_machine):
    mail_server.stop()
    mail.tell([administrator], NOTICE)
    time_machine.move_to(timezone.now() + timedelta(days=3, minutes=1))
    mail.send_due()
    assert Email.objects.get().status == Status.REFUSED


def test_refusal_for_good_is_noted_and_the_others_get_theirs(administrator, mail_server):
    ben = User.objects.create(username="ben", email="ben@shop.example", is_staff=True, is_superuser=True)
    mail_server.refuse["ann@shop.example"] = "550 No such user"
    with structlog.testing.capture_logs() as lines:
        mail.tell([administrator, ben], NOTICE)
        mail.send_due()
        mail.send_due()
    assert [found.to for found in mail_server.mails] == [("ben@shop.example",)]
    assert Email.objects.get(user=administrator).error == "The mail server answered 550 (SMTPRecipientsRefused)."
    (refused,) = mail.overview()["refused"]
    assert refused["subject"] == NOTICE.subject
    assert [line["event"] for line in lines] == ["mail_refused", "mail_sent"]
    assert "@" not in str(lines)
    assert "Joe" not in str(lines)


def test_refusal_for_now_is_tried_again(administrator, mail_server, time_machine):
    mail_server.refuse["ann@shop.example"] = "450 Later"
    mail.tell([administrator], NOTICE)
    mail.send_due()
    mail_server.refuse.clear()
    time_machine.move_to(Email.objects.get().due_at)
    mail.send_due()
    assert len(mail_server.mails) == 1


def test_address_that_cannot_be_one_holds_nobody_up(administrator, mail_server):
    User.objects.filter(pk=administrator.pk).update(email="ann@shop.example\nBcc: eve@x.example")
    ben = User.objects.create(username="ben", email="ben@shop.example", is_staff=True, is_superuser=True)
    mail.tell([administrator, ben], NOTICE)
    mail.send_due()
    assert [found.to for found in mail_server.mails] == [("ben@shop.example",)]
    assert Email.objects.get(user=administrator).status == Status.REFUSED


# --- as each person chooses ------------------------------------------------------------
def test_summary_comes_once_a_day_at_eight(administrator, mail_server, time_machine, settings):
    time_machine.move_to(datetime(2026, 11, 27, 9, 0, tzinfo=UTC))
    mail.choose(administrator, When.DAILY)
    mail.tell([administrator], NOTICE)
    time_machine.move_to(datetime(2026, 11, 28, 7, 30, tzinfo=UTC))
    mail.tell([administrator], Notice("Second", ("It is over.",), "/admin/"))
    mail.send_due()
    assert mail_server.mails == []
    time_machine.move_to(datetime(2026, 11, 28, 8, 0, 1, tzinfo=UTC))
    mail.send_due()
    mail.send_due()
    (found,) = mail_server.mails
    assert found.subject == "Summary: 2 notices"
    assert found.text.index(NOTICE.subject) < found.text.index("Second")
    time_machine.move_to(datetime(2026, 11, 29, 8, 0, 1, tzinfo=UTC))
    mail.send_due()
    assert len(mail_server.mails) == 1


@pytest.mark.parametrize(
    ("now", "then"), [("2026-03-28T07:30Z", "2026-03-29T06:00Z"), ("2026-03-29T05:59Z", "2026-03-29T06:00Z")]
)
def test_eight_is_that_of_the_zone_also_when_its_clock_changes(settings, now, then):
    settings.TIME_ZONE = "Europe/Berlin"
    assert mail.next_summary(datetime.fromisoformat(now)) == datetime.fromisoformat(then)


def test_choice_counts_for_what_waits_already(administrator, mail_server):
    mail.choose(administrator, When.DAILY)
    mail.tell([administrator], NOTICE)
    mail.choose(administrator, When.AT_ONCE)
    mail.send_due()
    assert len(mail_server.mails) == 1
    mail.tell([administrator], NOTICE)
    mail.choose(administrator, When.NEVER)
    mail.tell([administrator], NOTICE)
    mail.send_due()
    assert len(mail_server.mails) == 1
    assert mail.choice_of(administrator) == When.NEVER


def test_without_email_url_nothing_is_sent_and_the_overview_says_what_would_have_been(administrator, settings):
    settings.EMAIL_URL = ""
    ben = User.objects.create(username="ben", email="ben@shop.example", is_staff=True, is_superuser=True)
    mail.tell([administrator, ben], NOTICE)
    mail.send_due()
    (found,) = mail.overview()["not_sent"]
    assert (found["subject"], found["people"]) == (NOTICE.subject, 2)
    settings.EMAIL_URL = "smtp://127.0.0.1:1"
    mail.send_due()  # what was not sent then is not sent now
    assert set(Email.objects.values_list("status", flat=True)) == {Status.NOT_SENT}
