"""The sentences about a template: that they name what is wrong, where, and what to write instead."""

import pytest

from callbacks.editor.check import MAX_LENGTH, check
from tests.callbacks.templates import CLOSED


def message(text: str) -> str:
    (problem,) = check(text, CLOSED).problems
    return problem.message


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ORDER.NUMBER", "order.number"),
        ("order_number", "order.number"),
        ("ordernumber", "order.number"),
        ("order.numbr", "order.number"),
        ("order.total", "order.amount"),
        ("number", "order.number"),
        ("clickid", "link.sub_id"),
        ("link.subid", "link.sub_id"),
        ("sub_id", "link.sub_id"),
        ("payout", "order.commission"),
        ("LINK.QUERY.gclid", "link.query.gclid"),
        ("link.query.", "link.query.NAME"),
        ("link.gclid", "link.query.gclid"),
        ("affiliate_code", "affiliate.code"),
        ("order.creatd_at", "order.created_at"),
        ("order.refund", "order.refunded"),
        ("order.voucher", "order.coupon"),
        ("order.sub_total", "order.subtotal"),
        ("order.amount_change", "order.amount.change"),
        ("customer.new", "customer.is_new"),
    ],
)
def test_check_unknown_variable_offers_the_nearest_name(written: str, meant: str) -> None:
    (problem,) = check("https://t.example/?a={{" + written + "}}", CLOSED).problems
    assert problem.code == "unknown_variable"
    assert problem.fragments == ("{{" + written + "}}",)
    assert problem.suggestions == ("{{" + meant + "}}",)
    assert problem.suggestions[0] in problem.message


def test_check_several_unknown_variables_share_one_sentence() -> None:
    sentence = message("https://t.example/?a={{clickid}}&b={{payout}}&c={{clickid}}")
    assert sentence == (
        "There are no variables {{clickid}} (did you mean {{link.sub_id}}?) "
        "and {{payout}} (did you mean {{order.commission}}?)."
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://t.example/{{order.number|upper}}", "The filter upper in {{order.number|upper}} does not exist."),
        (
            "https://t.example/{{order.number|default}}",
            "The filter default in {{order.number|default}} is not complete",
        ),
        ("https://t.example/{{order.number|}}", "A filter is missing after | in {{order.number|}}."),
        ("https://t.example/{{order.number|upper}}", '{{link.sub_id|default:"none"}} and {{order.status|map:"new=hold'),
        ("https://t.example/?o={{order.number}&x=1", "The braces do not match at {{order.number}."),
        ("https://t.example/{{}}", "Write it between the braces, as in {{order.number}}."),
        ("https://t.example/{{link.query.}}", "Replace NAME with the name of a parameter"),
        ("track.me/postback?x=1", "Example: https://track.me/…"),
        ("http(s)://track.me/p", "Example: https://track.me/…"),
        ("gopher://t.example/", "gopher:// URLs are not supported"),
        ("https://t.example:6379/", "Allowed ports: 80, 443, 8080, 8443."),
        (
            "https://{tracker.com}/{sub1}",
            "Write {{link.sub_id}} for {sub1} and the tracker's own host before the path,",
        ),
        ("https://t.example/?x=1\nhttps://u.example/?y=2", "This is more than one URL. Keep one here,"),
        (' "https://t.example/?x=1 http://u.example/', "This is more than one URL."),
        (
            "https://t.example/?x={foo}",
            "{foo} is a placeholder of another system and would be sent literally, not replaced by values.",
        ),
        ("https://t.example/?x={foo}", "Write a variable instead, or tick “Send as typed”."),
        ("https://t.example/?x={foo}&cid={y}", "Write {{link.sub_id}} for {y} and a variable for the rest, or tick"),
        ("https://t.example/?payout=OPTIONAL&txid=OPTIONAL", "{{order.number}} for txid=OPTIONAL"),
        (
            "https://t.example/?payout=OPTIONAL&et=OPTIONAL",
            "Write {{order.commission}} for payout=OPTIONAL, remove et=OPTIONAL, or tick",
        ),
        ("https://t.example/?et=OPTIONAL", "values. Remove et=OPTIONAL, or tick “Send as typed”."),
        ("https://t.example/?" + "a" * MAX_LENGTH, "The URL has 2,067 characters; the limit is 2,048."),
    ],
)
def test_check_problem_says_what_to_do(text: str, said: str) -> None:
    assert said in message(text)
