"""Every text of the portal and the panel is marked for translation: nothing but data stands outside of the marks."""

from collections.abc import Iterator

import pytest
from django.test import Client
from django.utils import timezone

from affiliates.portal import access
from callbacks.egress.outcome import KINDS
from callbacks.models import Attempt, CallbackSetting, Delivery, EndpointHealth
from tests.factories import OrderFactory, callbacks_for, in_state
from tests.roles import world as worlds
from tests.roles.matrix import seen_by
from tests.untranslated import marked_language, stored, untranslated

pytestmark = [pytest.mark.django_db, pytest.mark.once]
URL = "https://tracker.example/postback?order={{order.number}}&s={{link.sub_id}}"
PASSWORD = "a long enough passphrase"


def said_outside(pages: dict[str, str]) -> dict[str, str]:
    """The texts that are not marked, each with the first page that says it."""
    data = stored()
    found: dict[str, str] = {}
    for name, page in pages.items():
        for text in untranslated(page, data):
            found.setdefault(text, name)
    return found


def refuse(found: dict[str, str]) -> None:
    if found:
        lines = [f"{page or '(page)'}: {text}" for text, page in found.items()]
        pytest.fail("Not marked for translation:\n" + "\n".join(lines), pytrace=False)


# --- the portal --------------------------------------------------------------------------
@pytest.fixture
def joe(world):
    """An affiliate with a delivery in every state, with every kind of failure and for every reason."""
    affiliate = world.joe
    access.grant(affiliate, PASSWORD)
    affiliate.callback_settings.all().delete()
    created, updated = callbacks_for(affiliate, URL)
    now = timezone.now()
    for number, kind in enumerate(KINDS):
        _delivery(affiliate, created, f"KIND-{number}", kind, in_state("failed" if kind else "succeeded"))
    for status in ("pending", "sending", "succeeded"):
        _delivery(affiliate, created, status.upper(), "", in_state(status))
    _delivery(affiliate, updated, "RETRY", "status", in_state("pending"), last_error_kind="status")
    for reason in Delivery.SkipReason.values:
        if reason:
            _delivery(affiliate, created, reason.upper(), "", in_state("skipped", skip_reason=reason))
    _delivery(affiliate, updated, "FAILED", "timeout", in_state("failed"), last_error_kind="timeout")
    Delivery.objects.filter(affiliate=affiliate, setting=None).delete()
    EndpointHealth.objects.create(setting=updated, state="failing", since=now)
    return affiliate


def _delivery(affiliate, setting, number, kind, state, **fields) -> Delivery:
    order = OrderFactory(affiliate=affiliate, number=number)
    Delivery.objects.filter(order=order).delete()
    now = timezone.now()
    delivery = Delivery.objects.create(
        affiliate=affiliate, setting=setting, order=order, event=setting.event, attempt_count=3, last_attempt_at=now,
        variables={"order.number": number, "order.status": "approved"}, **state | fields,
    )  # fmt: skip
    code = {"status": 502, "redirect": 302}.get(kind, None if kind else 200)
    Attempt.objects.create(
        delivery=delivery, trigger="retry", method="GET", url="https://tracker.example/x", error_kind=kind,
        status_code=code, detail="Stored in English.", created_at=now, total_ms=12.5, first_byte_ms=3.5,
        request_headers=[["X-A", "b"]], response_headers=[["Location", "https://x.example/"]], response_excerpt="ok",
        request_body="a=b", remote_address="192.0.2.1",
    )  # fmt: skip
    return delivery


def portal_pages(client: Client, affiliate) -> Iterator[tuple[str, str]]:
    def page(path: str) -> tuple[str, str]:
        return path, client.get(path).content.decode()

    yield page("/portal/login/")
    yield "no log-in", client.post("/portal/login/", {}).content.decode()
    yield "a wrong log-in", client.post("/portal/login/", {"username": "x", "password": "x"}).content.decode()
    client.post("/portal/login/", {"username": affiliate.email, "password": PASSWORD})
    paths = [f"deliveries/{pk}/" for pk in Delivery.objects.filter(affiliate=affiliate).values_list("pk", flat=True)]
    for path in ("", "?page=2", "verify/", "email-notifications/", "deliveries/0/", *paths):
        yield page(f"/portal/{path}")
    choice = "/portal/email-notifications/"
    yield "no choice", client.post(choice, {"when": "hourly"}).content.decode()
    yield "a choice", client.post(choice, {"when": "never"}, follow=True).content.decode()
    for reason in CallbackSetting.PauseReason.values:
        affiliate.callback_settings.update(is_active=False, pause_reason=reason)
        yield f"paused: {reason}", client.get("/portal/").content.decode()
    affiliate.callback_settings.update(is_active=True, pause_reason="", only_statuses=["approved"])
    yield "filtered", client.get("/portal/").content.decode()
    affiliate.callback_settings.all().delete()
    Delivery.objects.all().delete()
    yield "empty", client.get("/portal/").content.decode()


def test_portal_says_nothing_that_is_not_marked(client: Client, joe, settings) -> None:
    settings.EMAIL_URL = "smtp://127.0.0.1:1"
    with marked_language():
        found: dict[str, str] = {}
        for name, page in portal_pages(client, joe):
            found = said_outside({name: page}) | found
    refuse(found)


def test_portal_viewed_by_staff_says_nothing_that_is_not_marked(admin_client: Client, joe) -> None:
    access.revoke(joe)
    with marked_language():
        pages = {path: admin_client.get(f"/portal/as/{joe.pk}/{path}").content.decode() for path in ("", "verify/")}
        joe.status = "blocked"
        joe.save()
        pages["blocked"] = admin_client.get(f"/portal/as/{joe.pk}/email-notifications/").content.decode()
        found = said_outside(pages)
    refuse(found)


# --- the panel ---------------------------------------------------------------------------
def test_every_page_of_the_panel_says_nothing_that_is_not_marked(world) -> None:
    client = world.client("administrator")
    routes = [route for route in seen_by("administrator") if route.startswith("admin/")]
    with marked_language():
        answers = {route: client.get(worlds.path_of(route, world)) for route in routes}
        pages = {
            route: answer.content.decode()
            for route, answer in answers.items()
            if not answer.streaming and answer.headers["Content-Type"].startswith("text/html")
        }
        found = said_outside(pages)
    refuse(found)


# --- the proof itself ----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("<p>⟦Saved⟧</p>", []),
        ("<p>Saved</p>", ["Saved"]),
        ("<p>⟦We write to <strong>joe</strong>.⟧ And more.</p>", ["And more."]),
        ('<a title="Open" href="/x">⟦a⟧</a>', ["Open"]),
        ('<input type="submit" value="Send"><input type="text" value="typed">', ["Send"]),
        ("<p>12 of 13 · <code>curl</code> Joe</p>", ["12 of 13"]),
        ("<p>Joe Orders</p><script>let words</script>", ["Orders"]),
    ],
)
def test_text_outside_the_marks_is_found(page, found) -> None:
    assert untranslated(page, {"Joe"}) == found
