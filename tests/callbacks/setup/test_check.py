"""What is said of a callback while it is typed: its tracker, repairs, what to write instead; for whom, at what cost."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from affiliates.models import Affiliate
from callbacks.models import CallbackSetting
from callbacks.setup import diagnosis
from tests.callbacks.panel import check, of
from tests.factories import AffiliateFactory, CallbackSettingFactory, client_with

pytestmark = pytest.mark.django_db

VOLUUM = "https://joe.voluumtrk.com/postback"


def diagnosed(url: str, **fields: Any) -> diagnosis.Diagnosis:
    return diagnosis.of(CallbackSetting(event="order.created", url=url, **fields))


def codes(found: diagnosis.Diagnosis) -> list[str]:
    return [warning.code for warning in found.warnings]


# --- the diagnosis ---------------------------------------------------------------
def test_diagnosis_of_foreign_placeholder_gives_the_url_after_taking_it() -> None:
    found = diagnosed(f"{VOLUUM}?cid={{clickid}}&payout=OPTIONAL")
    assert [(offer.correction.text, offer.used, offer.left_out) for offer in found.offers] == [
        ("{clickid}", f"{VOLUUM}?cid={{{{link.sub_id}}}}&payout=OPTIONAL", f"{VOLUUM}?cid={{clickid}}&payout=OPTIONAL"),
        ("OPTIONAL", f"{VOLUUM}?cid={{clickid}}&payout={{{{order.commission}}}}", f"{VOLUUM}?cid={{clickid}}"),
    ]
    assert found.template == f"{VOLUUM}?cid={{{{link.sub_id}}}}&payout={{{{order.commission}}}}"
    assert (found.is_corrected, found.tracker_names, codes(found)) == (True, "Voluum", [])
    assert found.summary == "Voluum recognized. 2 values to correct. 1 problem."


def test_diagnosis_of_good_url_is_silent() -> None:
    found = diagnosed("https://tracker.example/x?c={{link.sub_id}}")
    assert (found.template, found.is_corrected) == ("https://tracker.example/x?c={{link.sub_id}}", False)
    assert (found.problems, found.warnings, found.corrections, found.summary) == ((), (), (), "")


def test_diagnosis_of_what_nobody_knows_has_no_template() -> None:
    found = diagnosed("https://tracker.example/x?c={weather}&d={{link.sub_id}}")
    assert [(offer.correction.text, offer.used) for offer in found.offers] == [("{weather}", found.mended)]
    assert found.offers[0].left_out == "https://tracker.example/x?d={{link.sub_id}}"
    assert found.template == ""


def test_diagnosis_of_send_as_typed_leaves_placeholders_alone() -> None:
    url = "https://tracker.example/x?c={sub1}&d={{link.sub_id}}"
    found = diagnosed(url, send_as_typed=True)
    assert (found.template, found.corrections) == (url, ())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://tracker.example/x?c={{link.sub_id}}", ["plain_http"]),
        ("https://tracker.example/x?c={{link.sub_id}}#{{order.number}}", ["variable_in_fragment"]),
        ("https://tracker.example/x?o={{order.number}}", ["no_click_id"]),
        (f"{VOLUUM}?txid={{{{order.number}}}}", ["click_id_elsewhere"]),
        (f"{VOLUUM}?cid={{{{order.number}}}}&x={{{{link.sub_id}}}}", ["click_id_elsewhere"]),
        (f"{VOLUUM}?cid={{{{link.query.click}}}}", []),
    ],
)
def test_diagnosis_warns(url: str, expected: list[str]) -> None:
    assert codes(diagnosed(url)) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("h", True),
        ("https://", True),
        ("https://tracker.exa", True),
        ("tracker.example", True),
        ("https://tracker.example/", False),
        ("tracker.example/x", False),
        ("https://tracker.example?x", False),
        ("javascript:alert(1)/", False),
    ],
)
def test_diagnosis_of_beginning_waits_for_more(url: str, expected: bool) -> None:
    assert diagnosed(url).is_half_typed is expected


def test_diagnosis_of_a_paste_too_long_says_only_that() -> None:
    found = diagnosed("https://tracker.example/" + "{sub1}" * 10_000)
    assert [problem.code for problem in found.problems] == ["too_long"]
    assert found.corrections == ()


# --- the answer --------------------------------------------------------------------
def test_check_names_tracker_repairs_and_suggestion_and_saves_nothing(admin_client: Client, joe: Affiliate) -> None:
    text = check(admin_client, joe, f" {VOLUUM}?cid={{clickid}}\n&amp;payout={{{{order.commission}}}}")
    for expected in (
        "<strong>Voluum</strong>",
        'data-repair="line_breaks"',
        'data-repair="entities"',
        f'data-take="{VOLUUM}?cid={{{{link.sub_id}}}}&amp;payout={{{{order.commission}}}}"',
        'data-code="foreign_placeholder"',
    ):
        assert expected in text
    assert not CallbackSetting.objects.exists()


def test_check_of_a_beginning_or_nothing_says_nothing(admin_client: Client, joe: Affiliate) -> None:
    for typed in ("", " ", "https://track"):
        assert "data-code" not in check(admin_client, joe, typed)


def test_check_escapes_what_was_typed(admin_client: Client, joe: Affiliate) -> None:
    text = check(admin_client, joe, 'https://tracker.example/?a=<b>"><script>alert(1)</script>{sub1}')
    assert "<script>" not in text
    assert "<b>" not in text


@pytest.mark.parametrize("fields", [{"method": "PUT", "body_format": "xml"}, {"only_statuses": "x"}, {"method": ""}])
def test_check_of_bad_input_answers_all_the_same(admin_client: Client, joe: Affiliate, fields: dict[str, str]) -> None:
    assert "Voluum" in check(admin_client, joe, f"{VOLUUM}?cid={{{{link.sub_id}}}}\0", **fields)


def test_check_of_a_saved_callback_is_of_that_affiliate_only(admin_client: Client, joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe)
    own = admin_client.post(of(joe, f"created/{setting.pk}/check/"), {"url": VOLUUM})
    assert own.status_code == 200
    for path in (
        of(AffiliateFactory(), f"created/{setting.pk}/check/"),
        of(joe, f"updated/{setting.pk}/check/"),
        of(joe, "created/999999/check/"),
    ):
        assert admin_client.post(path, {"url": VOLUUM}).status_code == 404
    setting.refresh_from_db()
    assert setting.url != VOLUUM


def test_check_is_for_those_who_may_save_the_form_by_post_with_a_token(client: Client, joe: Affiliate) -> None:
    new, saved = of(joe, "created/check/"), of(joe, f"created/{CallbackSettingFactory(affiliate=joe).pk}/check/")
    assert client.post(new, {"url": VOLUUM}).status_code == 302  # to the login
    for permissions, expected in (
        (["view_callbacksetting"], [403, 403]),
        (["change_callbacksetting"], [403, 200]),
        (["add_callbacksetting"], [200, 403]),
    ):
        client = client_with(*permissions)
        assert [client.post(path, {"url": VOLUUM}).status_code for path in (new, saved)] == expected
    assert client.get(new).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.latest("pk"))
    assert strict.post(new, {"url": VOLUUM}).status_code == 403


# --- taking a suggestion without a script ----------------------------------------------
def test_take_replaces_the_one_that_was_pressed(admin_client: Client, joe: Affiliate) -> None:
    typed = "https://tracker.example/?a={sub1}&b={sub1}"
    page = admin_client.post(of(joe, "created/"), {"method": "GET", "url": typed, "take": str(typed.rindex("{"))})
    assert page.status_code == 200
    assert page.context["form"]["url"].value() == "https://tracker.example/?a={sub1}&b={{link.sub_id}}"
    assert not CallbackSetting.objects.exists()


def test_leave_out_removes_the_parameter_that_was_pressed(admin_client: Client, joe: Affiliate) -> None:
    typed = f"{VOLUUM}?cid={{{{link.sub_id}}}}&et=OPTIONAL&payout=OPTIONAL"
    assert 'name="leave_out"' in check(admin_client, joe, typed)
    pressed = {"method": "GET", "url": typed, "leave_out": str(typed.index("OPTIONAL"))}
    page = admin_client.post(of(joe, "created/"), pressed)
    assert page.context["form"]["url"].value() == f"{VOLUUM}?cid={{{{link.sub_id}}}}&payout=OPTIONAL"
    click = f"{VOLUUM}?cid={{clickid}}"
    page = admin_client.post(of(joe, "created/"), {"url": click, "leave_out": str(click.index("{"))})
    assert page.context["form"]["url"].value() == click  # the click id is never left out
    assert not CallbackSetting.objects.exists()


@pytest.mark.parametrize("place", ["999", "-1", "x", "9" * 5000])
def test_take_of_no_placeholder_changes_nothing(admin_client: Client, joe: Affiliate, place: str) -> None:
    typed = "https://tracker.example/?a={sub1}"
    page = admin_client.post(of(joe, "created/"), {"method": "GET", "url": typed, "take": place})
    assert page.status_code == 200
    assert not CallbackSetting.objects.exists()


# --- what a press does about a warning ----------------------------------------------
SENT = "https://tracker.example/x?cid={{link.sub_id}}"
KEITARO = "https://k.example/12a34b5/postback?subid={{link.sub_id}}"
MAP = '{{order.status|map:"new=lead,approved=sale,rejected=rejected"}}'


@pytest.mark.parametrize(
    ("url", "code", "fixed"),
    [
        (SENT.replace("https", "http"), "plain_http", SENT),
        (KEITARO, "status_missing", f"{KEITARO}&status={MAP}"),
        (f"{KEITARO}&status={{{{order.status}}}}&x=1", "status_words", f"{KEITARO}&status={MAP}&x=1"),
        (f"{VOLUUM}?txid=1#top", "click_id_elsewhere", f"{VOLUUM}?txid=1&cid={{{{link.sub_id}}}}#top"),
        (f"{VOLUUM}?cid=7&x={{{{event}}}}", "click_id_elsewhere", f"{VOLUUM}?cid={{{{link.sub_id}}}}&x={{{{event}}}}"),
        (VOLUUM + "?x={{event}}", "click_id_elsewhere", VOLUUM + "?x={{event}}&cid={{link.sub_id}}"),
    ],
)
def test_press_at_a_warning_takes_its_reason_away(
    admin_client: Client, joe: Affiliate, url: str, code: str, fixed: str
) -> None:
    if "{{" not in url:
        url, fixed = url.replace("txid=1", "txid={{order.number}}"), fixed.replace("txid=1", "txid={{order.number}}")
    assert code in codes(diagnosed(url))
    page = admin_client.post(of(joe, "created/"), {"method": "GET", "url": url, "fix": code})
    assert page.context["form"]["url"].value() == fixed
    assert code not in codes(diagnosed(fixed))
    assert not CallbackSetting.objects.exists()


def test_warning_has_no_button_that_would_take_other_suggestions_too() -> None:
    found = diagnosed("http://tracker.example/x?cid={clickid}")
    assert [(hint.warning.code, hint.fixed) for hint in found.hints] == [("plain_http", "")]


def test_url_without_variables_is_offered_post_json(admin_client: Client, joe: Affiliate) -> None:
    typed = {"method": "GET", "url": "https://hooks.zapier.example/hooks/catch/1/"}
    assert codes(diagnosed(typed["url"])) == ["no_variables"]
    page = admin_client.post(of(joe, "created/"), typed | {"json": "1"})
    form = page.context["form"]
    assert [form[name].value() for name in ("method", "body_format", "url")] == ["POST", "json", typed["url"]]
    assert codes(diagnosed(typed["url"], method="POST", body_format="json")) == []
    assert not CallbackSetting.objects.exists()


def test_same_url_twice_for_an_event_is_pointed_out(admin_client: Client, joe: Affiliate) -> None:
    setting = CallbackSettingFactory(affiliate=joe, name="Mine", url=SENT)
    CallbackSettingFactory(affiliate=AffiliateFactory(), url=VOLUUM)
    said = "The callback “Mine” already sends these events to the same URL."
    assert said in check(admin_client, joe, SENT)
    assert said not in check(admin_client, joe, VOLUUM)
    assert said not in admin_client.get(of(joe, f"created/{setting.pk}/")).content.decode()
    answer = admin_client.post(of(joe, "updated/check/"), {"method": "GET", "url": SENT})
    assert said not in answer.content.decode()


def test_tracker_is_named_as_certain_on_its_own_host_only_and_says_what_a_second_postback_does(
    admin_client: Client, joe: Affiliate
) -> None:
    text = check(admin_client, joe, VOLUUM + "?cid={{link.sub_id}}")
    assert "<strong>Voluum</strong> postback. It identifies the click by <code>cid</code>." in text
    assert "Voluum counts each pair of cid and txid once" in text
    assert "Accept duplicate postbacks" in text
    text = check(admin_client, joe, "https://track.example/postback?subid={{link.sub_id}}")
    assert "Looks like <strong>Keitaro</strong>. It identifies the click by <code>subid</code>." in text


def test_check_costs_as_many_queries_for_many_placeholders(
    admin_client: Client, joe: Affiliate, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for count in (1, 30):
        with django_assert_max_num_queries(14):
            check(admin_client, joe, "https://tracker.example/?" + "&".join(f"a{n}={{sub1}}" for n in range(count)))
