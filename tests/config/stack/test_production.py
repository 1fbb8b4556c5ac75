"""What production refuses to start with, and what it warns of."""

import threading

import pytest
from django.db import OperationalError, connection

from config.stack import production


@pytest.mark.parametrize(
    ("host", "is_behind_proxy", "warns"),
    [
        ("0.0.0.0", False, True),
        ("::", False, True),
        ("panel.example", False, True),
        ("0.0.0.0", True, False),
        ("127.0.0.1", False, False),
        ("::1", False, False),
        ("localhost", False, False),
    ],
)
def test_address_that_others_reach_without_tls_is_warned_of(settings, host, is_behind_proxy, warns):
    settings.BEHIND_PROXY = is_behind_proxy
    assert bool(production.exposed(host)) == warns


@pytest.mark.django_db
def test_worker_waits_for_a_database_that_is_away(monkeypatch, caplog):
    tries = []

    def connect():
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError

    monkeypatch.setattr(connection, "ensure_connection", connect)
    monkeypatch.setattr(production.time, "sleep", lambda _: None)
    production.wait_for_database()
    assert len(tries) == 3
    assert caplog.text.count("event=database_awaited") == 1  # once, not each second


def test_worker_that_waits_for_a_database_can_be_ended(monkeypatch):
    ended = threading.Event()

    def refuse():
        ended.set()
        raise OperationalError

    monkeypatch.setattr(connection, "ensure_connection", refuse)
    monkeypatch.setattr(production.time, "sleep", lambda _: None)
    production.wait_for_database(ended.is_set)
    assert ended.is_set()
