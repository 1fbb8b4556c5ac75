"""What people really paste (tests/cases/pastes.json) and how other systems write placeholders (placeholders.json)."""

import json
import time
from html.entities import html5
from pathlib import Path
from typing import Any

import pytest

from callbacks.editor import corrections
from callbacks.editor.check import check
from callbacks.editor.macros import find
from callbacks.editor.repair import repair
from callbacks.egress.wording import Sentence
from callbacks.postback import syntax
from tests.callbacks.templates import CLOSED

FOLDER = Path(__file__).resolve().parents[2] / "cases"
PASTES: dict[str, Any] = json.loads((FOLDER / "pastes.json").read_text("utf-8"))
PLACEHOLDERS: dict[str, Any] = json.loads((FOLDER / "placeholders.json").read_text("utf-8"))
AWIN = "https://www.awin1.com/sread.php?tt=ss&merchant=1"
EVERFLOW = "https://t.example/?nid=1&transaction_id={{link.sub_id}}"
KEITARO = "https://k.example/1a2b/postback"
NUMBERS = '{{order.status|map:"new=2,approved=1,rejected=rejected"}}'
WORDS = '{{order.status|map:"new=hold,approved=lead,rejected=rejected"}}'
LEGACY = sorted(name for name in html5 if not name.endswith(";"))


@pytest.mark.parametrize(
    ("pasted", "saved", "kinds"), [case for group in PASTES["groups"].values() for case in group], ids=repr
)
def test_paste_is_repaired_as_its_case_says(pasted: str, saved: str, kinds: list[str]) -> None:
    text, repairs = repair(pasted)
    assert text == saved
    assert sorted(one.kind for one in repairs) == sorted(kinds)
    assert all(isinstance(one.message, Sentence) for one in repairs)
    assert repair(text) == (text, ())


@pytest.mark.parametrize("text", PASTES["kept"])
def test_paste_that_may_be_meant_so_is_kept(text: str) -> None:
    assert repair(text) == (text, ())


def test_every_group_and_spelling_has_cases_of_our_own() -> None:
    assert min(map(len, PASTES["groups"].values())) >= 3
    assert min(map(len, PLACEHOLDERS["spellings"].values())) >= 3


@pytest.mark.parametrize("name", LEGACY)
def test_name_that_a_browser_reads_as_a_character_is_restored(name: str) -> None:
    text, repairs = repair(f"https://t.example/p?a=1{html5[name]}=2&b=3")
    assert text in {f"https://t.example/p?a=1&{name}=2&b=3", f"https://t.example/p?a=1&{name.lower()}=2&b=3"}
    assert [one.kind for one in repairs] == ["mangled_parameters"]
    written = f"https://t.example/p?a=1&{name}=2&{name}x=3"
    assert repair(written) == (written, ())


@pytest.mark.parametrize(
    ("parameter", "text", "suggestion"),
    [case for spelling in PLACEHOLDERS["spellings"].values() for case in spelling],
)
def test_placeholder_of_any_spelling_is_asked_about(parameter: str, text: str, suggestion: str) -> None:
    template = f"https://t.example/p?{parameter}={text}&y=1"
    (macro,) = find(template)
    assert (macro.text, macro.suggestion) == (text, suggestion)
    assert check(template, CLOSED).problems[0].code == "foreign_placeholder"
    corrected = corrections.corrected(template)
    assert corrected == template.replace(text, suggestion or text, 1)
    assert not syntax.scan(corrected)[1]


@pytest.mark.parametrize(("text", "each"), PLACEHOLDERS["joined"])
def test_placeholders_that_are_joined_in_one_value_are_all_asked_about(text: str, each: list[str]) -> None:
    for template in (f"https://t.example/p?x={text}&y=1", f"https://t.example/p/{text}/y?x=1"):
        assert [macro.text for macro in find(template)] == each
        assert check(template, CLOSED).problems[0].code == "foreign_placeholder"


def test_placeholder_that_is_joined_to_another_is_not_what_its_parameter_is_for() -> None:
    payout, unknown = find("https://t.example/p?payout=(payout)(x)")
    assert (payout.suggestion, unknown.suggestion) == ("{{order.commission}}", "")


@pytest.mark.parametrize("template", PLACEHOLDERS["ordinary"])
def test_text_that_only_looks_like_a_placeholder_is_not_asked_about(template: str) -> None:
    assert find(template) == ()


@pytest.mark.parametrize(
    ("template", "corrected"),
    [
        # what a parameter of this tracker means is told in any braces
        (
            "https://t.example/aff_lsr?transaction_id={{transaction_id}}&amount={{amount}}&adv_sub={{total}}",
            "https://t.example/aff_lsr?transaction_id={{link.sub_id}}&amount={{order.commission}}&adv_sub={{order.amount}}",
        ),
        (
            "https://t.example/aff_lsr?transaction_id=TRANSACTION_ID&amount=AMOUNT&adv_sub=ADV_SUB",
            "https://t.example/aff_lsr?transaction_id={{link.sub_id}}&amount={{order.commission}}&adv_sub={{order.amount}}",
        ),
        (
            "https://joe.go2cloud.org/aff_goal?a=lsr&transaction_id=%7Btid%7D&amount=[sale_amount]&adv_sub={order_id}",
            "https://joe.go2cloud.org/aff_goal?a=lsr&transaction_id={{link.sub_id}}&amount={{order.commission}}&adv_sub={{order.number}}",
        ),
        (
            "https://t.example/sdk/conversion?nid=7&transaction_id={{tid}}&amount=#price#",
            "https://t.example/sdk/conversion?nid=7&transaction_id={{link.sub_id}}&amount={{order.commission}}",
        ),
        (
            "https://t.example/p?s={{{clickid}}}&a={{{{payout}}}}",
            "https://t.example/p?s={{link.sub_id}}&a={{order.commission}}",
        ),
        (
            "https://k.example/1/postback?subid=$tid&tid=$tid",
            "https://k.example/1/postback?subid={{link.sub_id}}&tid={{order.number}}",
        ),
        # the statuses of Keitaro keep their words, however the status was written
        *(
            (
                f"{KEITARO}?subid={{{{link.sub_id}}}}&status={status}&lead_status=2%2C5&sale_status=1",
                f"{KEITARO}?subid={{{{link.sub_id}}}}&status={NUMBERS}&lead_status=2%2C5&sale_status=1",
            )
            for status in (
                *("{status}", "{{status}}", "{{ORDER.STATUS}}", "{order.status}", "{{order.status}}", "STATUS"),
                *("", "REPLACE", "#status#", "%7Bstatus%7D", "{{order_status}}", '{{status|map:"a"}}', "(status)"),
            )
        ),
        (
            f"{AWIN}&amount={{{{totalAmount}}}}&vc={{{{voucher_code}}}}&cr={{{{currencyCode}}}}&cks={{{{awc}}}}",
            f"{AWIN}&amount={{{{order.amount}}}}&vc={{{{order.coupon}}}}&cr={{{{order.currency}}}}&cks={{{{link.sub_id}}}}",
        ),
        (
            f"{EVERFLOW}&amount=&coupon_code=",
            f"{EVERFLOW}&amount={{{{order.commission}}}}&coupon_code={{{{order.coupon}}}}",
        ),
        (
            "https://t.example/p?a={OrderPromoCode}&b=[ORDER_SUBTOTAL]&c={refund_amount}&d=#is_new_customer#&e={source}",
            "https://t.example/p?a={{order.coupon}}&b={{order.subtotal}}&c={{order.refunded}}&d={{customer.is_new}}&e={source}",
        ),
        (
            f"{KEITARO}?sub_id={{sub1}}&status={{status}}&lead_status=hold&sale_status=lead",
            f"{KEITARO}?sub_id={{{{link.sub_id}}}}&status={WORDS}&lead_status=hold&sale_status=lead",
        ),
    ],
)
def test_corrected_template_means_what_the_tracker_expects(template: str, corrected: str) -> None:
    assert corrections.corrected(template) == corrected


@pytest.mark.parametrize(
    ("text", "corrected"),
    [
        ("{{country}}", "{{country}}"),
        ("{{offer_id}}", "{{offer_id}}"),
        ("{{coupon}}", "{{order.coupon}}"),
        ("{{source}}", "{{source}}"),
        ("{{customer.id}}", "{{customer.id}}"),
        ("{{affiliate.id}}", "{{affiliate.id}}"),
        ("{{sub2}}", "{{link.query.sub2}}"),
        ("{{order.numbr}}", "{{order.number}}"),
        ("${{payout}}", "{{order.commission}}"),
        ("{{link.foo}}", "{{link.query.foo}}"),
    ],
)
def test_unknown_variable_is_only_corrected_where_its_name_says_what_it_is(text: str, corrected: str) -> None:
    template = f"https://t.example/p?zz={text}"
    assert check(template, CLOSED).problems[0].suggestions[0].startswith("{{")
    assert corrections.corrected(template) == f"https://t.example/p?zz={corrected}"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("https://t.example/{{order.number}}?s={{link.sub_id}}", ["variable_in_path"]),
        ("https://t.example/a/{{link.sub_id}}/x", ["variable_in_path"]),
        ("https://t.example/a;u={{link.query.x}}", ["variable_in_path"]),
        ("https://t.example/{{order.amount}}/{{event}}?s={{link.sub_id}}", []),
        ("https://hooks.zapier.com/hooks/catch/1/ab/", ["no_variables"]),
        ("https://hook.eu1.make.com/abc?fixed=1", ["no_variables"]),
        ("https://script.google.com/macros/s/AKfy/exec?s={{link.sub_id}}", ["redirecting_host"]),
        ("https://script.google.com/macros/s/AKfy/exec", ["redirecting_host", "no_variables"]),
        ("https://bit.ly/abc?s={{link.sub_id}}", ["redirecting_host"]),
        ("https://protect-eu.mimecast.com/s/abc?s={{link.sub_id}}", ["wrapped_link"]),
    ],
)
def test_check_warns_of_what_will_not_work(template: str, expected: list[str]) -> None:
    finding = check(template, CLOSED)
    assert [warning.code for warning in finding.warnings] == expected
    assert all(isinstance(warning.message, Sentence) for warning in finding.warnings)
    assert finding.suggests_json is ("no_variables" in expected)
    sent = check(template, CLOSED, sends_json=True)
    assert [warning.code for warning in sent.warnings] == [code for code in expected if code != "no_variables"]
    assert sent.suggests_json is False


def test_check_of_a_long_url_takes_a_few_milliseconds() -> None:
    taken = []
    for number in range(5):
        text = f"https://t.example/postback?subid={number}" + "&status={status}&payout=#price#¬e=<x> = (y)?z=$tid" * 38
        begun = time.process_time()
        check(text, CLOSED)
        taken.append(time.process_time() - begun)
    assert min(taken) < 0.03  # about 6 ms
