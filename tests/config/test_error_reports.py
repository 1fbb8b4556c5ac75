"""What Django shows of an error: everything but secrets."""

import pytest
from django.test import RequestFactory
from django.views.debug import ExceptionReporter


@pytest.mark.parametrize(
    "name", ["CALLBACKS_PROXY_URL", "REDIS_URL", "CELERY_BROKER_URL", "DATABASE_URL", "SECRET_KEY"]
)
def test_page_of_an_error_does_not_show_a_password(settings, rf: RequestFactory, name: str) -> None:
    secret = "http://us:s3cret@host:3128"
    setattr(settings, name, secret)
    reporter = ExceptionReporter(rf.get("/", **{name: secret}), RuntimeError, RuntimeError("something else"), None)
    for page in (reporter.get_traceback_html(), reporter.get_traceback_text()):
        assert name in page
        assert "s3cret" not in page
