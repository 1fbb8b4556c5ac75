"""The built-in receiver by itself; in a running demo it is `tests/e2e/test_echo.py`."""

import logging
from typing import Any

import pytest
from django.test import Client
from django.urls import path

from config import echo

urlpatterns = [path("echo/<path:path>", echo.receive)]


@pytest.mark.parametrize("status", [404, 503])
def test_error_that_the_receiver_is_asked_for_is_no_line_of_the_log(
    status: int, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ROOT_URLCONF = "tests.config.test_echo"
    with caplog.at_level(logging.WARNING, "django.request"):
        assert Client().get(f"/echo/x?status={status}").status_code == status
    assert not caplog.records
