"""The form of a callback: every code beside the field, nothing typed lost, repairs and corrections."""

from typing import Any

import pytest

from callbacks.editor.corrections import corrected, redirected
from callbacks.models import CallbackSetting
from callbacks.setup.forms import CallbackSettingForm
from tests.callbacks.templates import CASES
from tests.factories import AffiliateFactory, CallbackSettingFactory

pytestmark = pytest.mark.django_db

GOOD = "https://tracker.example/postback?order={{order.number}}&cid={{link.sub_id}}"
REFUSED = [case for case in CASES["cases"] if "error" in case]
ACCEPTED = [case for case in CASES["cases"] if "url" in case]


def typed(url: str, **fields: Any) -> CallbackSettingForm:
    setting = CallbackSetting(affiliate=AffiliateFactory(), event="order.created")
    return CallbackSettingForm({"method": "GET", "url": url} | fields, instance=setting)


def codes(form: CallbackSettingForm) -> list[str | None]:
    return [error.code for error in form.errors.as_data().get("url", [])]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["name"])
def test_form_refused_case_has_its_code_and_keeps_what_was_typed(case: dict[str, Any]) -> None:
    form = typed(case["template"])
    assert not form.is_valid()
    assert case["error"] in codes(form)
    assert form["url"].value() == case["template"]


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case["name"])
def test_form_accepted_case_is_saved(case: dict[str, Any]) -> None:
    form = typed(case["template"], **({"send_as_typed": "on"} if case.get("send_as_typed") else {}))
    assert form.is_valid(), form.errors
    assert form.save().pk


def test_form_damaged_paste_is_mended_and_says_so() -> None:
    form = typed('  "https://tracker.example/?a={{order.number}}\r\n&amp;b={{link.sub_id}}" ')
    assert form.is_valid(), form.errors
    setting = form.save()
    setting.refresh_from_db()
    assert setting.url == "https://tracker.example/?a={{order.number}}&b={{link.sub_id}}"
    assert {"line_breaks", "entities", "surroundings"} <= {repair.kind for repair in form.instance.repairs}


def test_form_spaces_around_are_mended_where_it_can_be_said() -> None:
    form = typed(f"  {GOOD} ")
    assert form.is_valid(), form.errors
    assert [repair.kind for repair in form.instance.repairs] == ["surroundings"]


def test_form_without_body_format_keeps_the_saved_one() -> None:
    setting = CallbackSettingFactory(body_format="json", method="POST")
    form = CallbackSettingForm({"method": "GET", "url": GOOD}, instance=setting)
    assert form.is_valid(), form.errors
    assert form.save().body_format == "json"


def test_form_unknown_method_is_refused_beside_the_method() -> None:
    form = typed(GOOD, method="PUT")
    assert form.errors.as_data()["method"][0].code == "invalid_choice"
    assert codes(form) == []


def test_form_send_as_typed_is_offered_only_where_it_matters() -> None:
    assert not typed(GOOD).has_macros
    assert not typed("https://tracker.example/?a={{nonsense}}").has_macros
    assert typed("https://tracker.example/?a={sub1}").has_macros
    ticked = typed("https://tracker.example/?a={sub1}", send_as_typed="on")
    assert ticked.is_valid(), ticked.errors
    assert CallbackSettingForm(instance=ticked.save()).has_macros


def warnings(form: CallbackSettingForm) -> list[str]:
    return [warning.code for warning in form.diagnosis.warnings]


def test_form_warnings_speak_of_the_url_in_the_field() -> None:
    setting = CallbackSettingFactory(url="http://tracker.example/?order={{order.number}}")
    assert warnings(CallbackSettingForm(instance=setting)) == ["plain_http", "no_click_id"]
    assert warnings(CallbackSettingForm({"url": "nonsense"}, instance=setting)) == []
    assert warnings(CallbackSettingForm({"url": GOOD}, instance=setting)) == []


def test_form_correction_is_unsaved_and_keeps_the_method() -> None:
    form = typed("https://tracker.example/?cid={sub1}&o={{order_number}}", method="POST", body_format="json")
    assert not form.is_valid()
    again = form.with_correction()
    assert again["url"].value() == "https://tracker.example/?cid={{link.sub_id}}&o={{order.number}}"
    assert (again["method"].value(), again["body_format"].value()) == ("POST", "json")
    assert not CallbackSetting.objects.exists()


def test_form_without_correction_gives_back_what_was_typed() -> None:
    form = typed("https://tracker.example/?{{order.number")
    assert form.corrected_url == ""
    assert form.with_correction()["url"].value() == "https://tracker.example/?{{order.number"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("https://t.example/?a={sub1}", "https://t.example/?a={{link.sub_id}}"),
        ("https://t.example/?a={{clickid}}", "https://t.example/?a={{link.sub_id}}"),
        ('https://t.example/?a={{clickid|default:"x"}}', 'https://t.example/?a={{link.sub_id|default:"x"}}'),
        (
            "https://t.example/?a={{ORDER.NUMBER}}&b=[CLICKID]",
            "https://t.example/?a={{order.number}}&b={{link.sub_id}}",
        ),
        ("https://t.example/?a={{link.query.}}", "https://t.example/?a={{link.query.}}"),  # nobody knows which
        ("https://t.example/?a={{}}", "https://t.example/?a={{}}"),
        ("https://t.example/?a={{order.number}}", "https://t.example/?a={{order.number}}"),
        ("https://t.example/?a={{order.number", "https://t.example/?a={{order.number"),
        ("https://t.example/postback?cid=OPTIONAL&et=OPTIONAL", "https://t.example/postback?cid={{link.sub_id}}"),
        ("https://t.example/postback?et=OPTIONAL&cid={x}", "https://t.example/postback?cid={{link.sub_id}}"),
        ("https://t.example/postback?et=OPTIONAL&param1=OPTIONAL&cid=1", "https://t.example/postback?cid=1"),
        ("https://t.example/postback?cid=1&et=OPTIONAL&param1={a}#x", "https://t.example/postback?cid=1#x"),
        ("https://t.example/?status=OPTIONAL&foo=OPTIONAL", "https://t.example/"),
        ("https://t.example/postback?cid=1&et=x{type}", "https://t.example/postback?cid=1&et=x{{order.status}}"),
        ("https://t.example/p;et=OPTIONAL", "https://t.example/p;et={{order.status}}"),
        (
            "https://x.voluumtrk.com/postback?cid=&payout=&et=",
            "https://x.voluumtrk.com/postback?cid={{link.sub_id}}&payout={{order.commission}}&et=",
        ),
        ("https://t.example/x?cid=&payout=", "https://t.example/x?cid=&payout="),  # nobody knows whose that is
    ],
)
def test_corrected_template_takes_the_suggestions(template: str, expected: str) -> None:
    assert corrected(template) == expected


@pytest.mark.parametrize(("body_format", "warns"), [("form", True), ("json", False)])
def test_warning_missing_click_id_is_none_where_the_body_tells_of_the_link(body_format: str, warns: bool) -> None:
    url = "https://tracker.example/postback?order={{order.number}}"
    setting = CallbackSettingFactory(method="POST", body_format=body_format, url=url)
    assert ("no_click_id" in warnings(CallbackSettingForm(instance=setting))) is warns


MOVING = "https://t.example/pb?o={{order.number}}"
SENT = "https://t.example/pb?o=%231"


@pytest.mark.parametrize(
    ("template", "sent", "location", "expected"),
    [
        (MOVING, SENT, "https://new.example/pb?o=%231", "https://new.example/pb?o={{order.number}}"),
        (MOVING, SENT, "https://t.example/v2/pb?o=%231", "https://t.example/v2/pb?o={{order.number}}"),
        (MOVING, SENT, "/v2/pb?o=%231", "https://t.example/v2/pb?o={{order.number}}"),
        (
            "http://t.example/{{order.number}}/x",
            "http://t.example/%231/x",
            "https://t.example/%231/x",
            "https://t.example/{{order.number}}/x",
        ),
        ("http://t.example/{{order.number}}/x", "http://t.example/%231/x", "https://t.example/y/%231", ""),
        (MOVING, SENT, "https://t.example/login", ""),
        (MOVING, SENT, "https://t.example/pb?o=%231", ""),
        (MOVING, SENT, "ftp://t.example/pb?o=%231", ""),
        (MOVING, SENT, "https://[nonsense/pb?o=%231", ""),
        (MOVING, SENT, f"https://t.example/{'a' * 2048}?o=%231", ""),
    ],
)
def test_redirected_template_keeps_its_variables_or_is_not_offered(
    template: str, sent: str, location: str, expected: str
) -> None:
    assert redirected(template, sent, location) == expected
