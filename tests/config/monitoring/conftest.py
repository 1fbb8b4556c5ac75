import pytest

from tests.smtp import MailServer


@pytest.fixture
def mail_server(settings):
    """A real one, to which EMAIL_URL leads."""
    with MailServer() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.EMAIL_URL = f"smtp://127.0.0.1:{server.port}"
        yield server


@pytest.fixture
def administrator(db, django_user_model):
    return django_user_model.objects.create(username="ann", email="ann@shop.example", is_staff=True, is_superuser=True)
