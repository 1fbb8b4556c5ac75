"""Checking a template: every code, its sentence, and that nothing typed can make it raise."""

import ipaddress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callbacks.editor.check import MAX_LENGTH, check
from callbacks.egress.addresses import Policy
from callbacks.postback import syntax
from callbacks.postback.render import render
from tests.callbacks.templates import CASES, CLOSED, NEVER_CALLED, Made, made

OPEN = Policy(networks=(ipaddress.ip_network("127.0.0.0/8"),), ports=frozenset({8000}))
DAMAGE = st.sampled_from([*'{}|"\\\n[]#%<>@:\x00', "{{", "}}", "&amp;", "&#123;", "¤cy="])


def codes(text: str, policy: Policy = CLOSED, *, send_as_typed: bool = False) -> list[str]:
    return [problem.code for problem in check(text, policy, send_as_typed=send_as_typed).problems]


@pytest.mark.parametrize("case", [c for c in CASES["cases"] if "error" in c], ids=lambda case: case["name"])
def test_check_refused_case_has_its_code_and_no_other(case: dict[str, Any]) -> None:
    assert codes(case["template"]) == [case["error"]]


@pytest.mark.parametrize("url", NEVER_CALLED)
def test_check_url_that_is_never_called_is_refused(url: str) -> None:
    assert len(codes(url)) == 1
    assert codes(url, send_as_typed=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["required"]),
        (" \n\t ", ["required"]),
        ('""', ["required"]),
        ("track.me/postback?x={{order.number}}", ["bad_scheme"]),
        ("//track.me/postback", ["bad_scheme"]),
        ("track.me:8080/postback", ["bad_scheme"]),
        ("http(s)://track.me/postback", ["bad_scheme"]),
        ("ftp://track.me/", ["bad_scheme"]),
        ("mailto:joe@track.me", ["bad_scheme"]),
        ("postback", ["bad_scheme"]),
        ("https://", ["bad_host"]),
        ("https:///track.me/", ["bad_host"]),
        ("https:track.me", ["bad_host"]),
        ("https:\\\\track.me\\p", ["bad_host"]),
        ("https://track.me\\?x=1", ["bad_host"]),
        ("https://track me/", ["bad_host"]),
        ("https://[::1", ["bad_host"]),
        ("https://track..me/", ["bad_host"]),
        ("https://-track.me/", ["bad_host"]),
        ("https://tr!ck.me/", ["bad_host"]),
        ("https://exa%mple.com/", ["bad_host"]),
        ("https://*.track.me/", ["bad_host"]),
        ("https://tracker/", ["bad_host"]),
        ("https://" + "a" * 64 + ".example/", ["bad_host"]),
        ("https://" + "a." * 126 + "example/", ["bad_host"]),
        ("https://256.256.256.256/", ["bad_host"]),
        ("https://16843009/", ["bad_host"]),
        ("https://track.me:80a/", ["bad_host"]),
        ("https://track.me:99999/", ["blocked_port"]),
        ("https://track.me:22/", ["blocked_port"]),
        ("https://joe@track.me/", ["credentials"]),
        ("https://{{link.query.u}}:x@track.me/", ["variable_in_host"]),
        ("https://track.me:{{order.number}}/", ["variable_in_host"]),
        ("https://track.{{order.number}}", ["variable_in_host"]),
        ("{{order.number}}://track.me/", ["variable_in_host"]),
        ("http{{order.number}}://track.me/", ["variable_in_host"]),
        ("{{link.query.host}}/p", ["variable_in_host"]),
        ("javascript:{{order.number}}", ["bad_scheme"]),
        ("http://[fe80::1%25eth0]/", ["blocked_address"]),
        ("http://sub.localhost/", ["blocked_address"]),
        ("http://localhost:8000/", ["blocked_port", "blocked_address"]),
        ("https://{{clickid}}/", ["unknown_variable"]),
        ("https://t.example/{{}}", ["unknown_variable"]),
        ("https://t.example/{{ }}", ["unknown_variable"]),
        ("https://t.example/{{link.query.}}", ["unknown_variable"]),
        ("https://t.example/{{link.query.a b}}", ["unknown_variable"]),
        ("https://t.example/{{link.query.'a'}}", ["unknown_variable"]),
        ("https://t.example/{{order.number'}}", ["unknown_variable"]),
        ("https://t.example/{{order number}}", ["unknown_variable"]),
        ("https://t.example/{{Order.number}}&{{x}}", ["unknown_variable"]),
        ("https://t.example/{{x|upper}}", ["unknown_variable", "unknown_filter"]),
        ("https://t.example/{{order.number|}}", ["unknown_filter"]),
        ("https://t.example/{{order.number|default}}", ["unknown_filter"]),
        ("https://t.example/{{order.number|default:}}", ["unknown_filter"]),
        ("https://t.example/{{order.number|default:none}}", ["unknown_filter"]),
        ("https://t.example/{{order.number|default:'none}}", ["unknown_filter"]),
        ("https://t.example/{{order.number|default:'a'x}}", ["unknown_filter"]),
        ("https://t.example/{{order.number|map:'a'}}", ["unknown_filter"]),
        ("https://t.example/{{order.number|map:'a=b,'}}", ["unknown_filter"]),
        ("https://t.example/{{order.number|map:'a=b,a=c'}}", ["unknown_filter"]),
        ("https://t.example/{{order.number|default:'x'|lower}}", ["unknown_filter"]),
        ("https://t.example/{{order.number", ["unbalanced_braces"]),
        ("https://t.example/{{order.number}", ["unbalanced_braces"]),
        ("https://t.example/order.number}}", ["unbalanced_braces"]),
        ("https://t.example/{order.number}}", ["unbalanced_braces"]),
        ("https://t.example/{{{order.number}}}", ["unbalanced_braces"]),
        ("https://t.example/{{{{order.number}}}}", ["unbalanced_braces"]),
        ("https://t.example/{{order.{{number}}}}", ["unknown_variable", "unbalanced_braces"]),
        ("https://t.example/?a={x&b=2", ["unbalanced_braces"]),
        ("https://t.example/{{order.number}&x={{order.amount}}", ["unbalanced_braces"]),
        ("https://{{order.number}/p", ["unbalanced_braces"]),
        ("https://{tracker.com}/p", ["foreign_placeholder"]),
        ("https://[YOUR-DOMAIN]/p", ["foreign_placeholder"]),
        ("https://t.example/?a={order.number}", ["foreign_placeholder"]),
        ("http://localhost/?a={sub1}", ["foreign_placeholder", "blocked_address"]),
        ("https://t.example/?" + "a" * MAX_LENGTH, ["too_long"]),
        ("{{" * MAX_LENGTH * 10, ["too_long"]),
    ],
)
def test_check_what_cannot_be_sent_has_its_code(text: str, expected: list[str]) -> None:
    assert sorted(codes(text)) == sorted(expected)


@pytest.mark.parametrize(
    "text",
    [
        "https://my_tracker.a-b.example./p",
        "https://xn--mnchen-3ya.example",
        "https://1.1.1.1/p",
        "https://[2606:4700:4700::1111]:8443/p",
        "https://t.example:/p",
        "https://t.example:0080/p",
        "https://t.example/?data[amount]={{order.amount}}&x[]=1&ids=[1,2]",
        "https://t.example/?a=%AB%CD&b=5%25&c=100%",
        "https://t.example/?copy=1&para=2&not=3&order=4&currency=5&reg=6",
        "https://t.example/" + "a" * (MAX_LENGTH - len("https://t.example/")),
        "https://t.example/{{ link.query.click-id }}?{{link.query.a:b}}={{link.query.ä%20}}",
        "https://t.example/optional/replace?OPTIONAL=1&et=Sale",
    ],
)
def test_check_what_can_be_sent_is_kept_as_typed(text: str) -> None:
    finding = check(text, CLOSED)
    assert (finding.problems, finding.repairs, finding.template) == ((), (), text)


@pytest.mark.parametrize("url", ["http://localhost:8000/echo/", "http://127.0.0.1:8000/echo/", "http://127.1/"])
def test_check_address_that_the_operator_opened_is_kept(url: str) -> None:
    assert codes(url, OPEN) == []
    assert codes(url) != []


@pytest.mark.parametrize("url", ["http://tracker/", "http://169.254.169.254/", "http://t.example:8001/"])
def test_check_address_that_the_operator_did_not_open_is_refused(url: str) -> None:
    assert codes(url, OPEN) != []


@pytest.mark.parametrize(
    "text",
    [
        "http://k.example/postback?subid={sub1}&payout={sum}",
        "http://track.example/postback?cid=#s2#&payout=#price#",
        "https://cf.example/cf/cv?click_id=REPLACE&payout=OPTIONAL",
        "https://t.example/?a=[X]&b=<x>&c=%x%&d=${x}&e=##X##",
        'https://t.example/?json={"n":{{order.amount}},"s":"{{order.number}}"}',
        "https://t.example/?a={x&b=2",
    ],
)
def test_check_send_as_typed_takes_placeholders_as_text(text: str) -> None:
    assert codes(text) != []
    finding = check(text, CLOSED, send_as_typed=True)
    assert (finding.problems, finding.template) == ((), text)
    assert "{" not in render(text, {"order.number": "{"})


@pytest.mark.parametrize("text", ["https://t.example/{{x}}", "https://t.example/{{order.number}", "https://{x}/"])
def test_check_send_as_typed_excuses_nothing_else(text: str) -> None:
    assert codes(text, send_as_typed=True) != []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://t.example/?s={{link.sub_id}}", []),
        ("https://t.example/?s={{link.query.x}}", []),
        ("http://t.example/?s={{link.sub_id}}", ["plain_http"]),
        ("https://t.example/?s={{order.number}}", ["no_click_id"]),
        ("https://t.example/?s={{link.sub_id}}#{{order.number}}", ["variable_in_fragment"]),
        ("https://t.example/#{{link.sub_id}}", ["variable_in_fragment", "no_click_id"]),
        ("https://t.example/?s={{link.sub_id}}#top", ["text_in_fragment"]),
        ("http://localhost/#{{link.sub_id}}", []),
    ],
)
def test_check_what_is_odd_but_can_be_sent_is_a_warning(text: str, expected: list[str]) -> None:
    assert [warning.code for warning in check(text, CLOSED).warnings] == expected


@given(st.text() | st.lists(st.one_of(DAMAGE, made.map(lambda parts: parts.template))).map("".join), st.booleans())
@example("http://[", False)
@example("http://\u2100.example/", False)
@example("https://x.com:" + "9" * 5000, False)
@example("HTT\x1fP://0 HTTP://", False)
def test_check_any_text_never_raises_and_checks_the_same_again(text: str, send_as_typed: bool) -> None:
    finding = check(text, CLOSED, send_as_typed=send_as_typed)
    again = check(finding.template, CLOSED, send_as_typed=send_as_typed)
    assert (again.template, again.problems, again.warnings) == (finding.template, finding.problems, finding.warnings)
    assert len({problem.code for problem in finding.problems}) == len(finding.problems)
    assert all(problem.message for problem in finding.problems)


@given(made)
def test_check_text_without_problem_can_be_rendered(parts: Made) -> None:
    finding = check(parts.template, CLOSED, send_as_typed=True)
    assert finding.problems == ()
    variables = [piece for piece in syntax.scan(finding.template)[0] if isinstance(piece, syntax.VariableRef)]
    values = {variable.name: "a" for variable in variables}
    assert render(finding.template, values).lower().startswith(("https://", "http://"))
