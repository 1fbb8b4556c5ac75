"""Rendering: the worked cases, and that no value can be more than a value."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
import requests
from hypothesis import assume, example, given

from callbacks.editor import check
from callbacks.postback import syntax
from callbacks.postback.render import RenderError, render
from callbacks.postback.syntax import VariableRef
from tests.callbacks.templates import CASES, CLOSED, Made, made, snapshots, values, values_of

RENDERED = [case for case in CASES["cases"] if "url" in case]
FILL = "https://t.example/p?x="


def straightforward(template: str, values: Mapping[str, str]) -> str:
    """The definition: quote each value, put it into its place, prepare the whole."""
    parts = []
    for piece in syntax.scan(template)[0]:
        if isinstance(piece, VariableRef):
            value = values.get(piece.name, "")
            for apply in piece.filters:
                value = apply(value)
            parts.append(quote(value, safe="", errors="replace"))
        else:
            parts.append(syntax.STRAY_PERCENT.sub("%25", piece.source))
    url = requests.Request("GET", "".join(parts)).prepare().url
    assert url is not None
    return url.partition("#")[0]


@pytest.mark.parametrize("case", RENDERED, ids=lambda case: f"{case['name']} ({case['context']})")
def test_render_worked_case_gives_its_url(case: dict[str, Any]) -> None:
    finding = check.check(case["template"], CLOSED)
    assert finding.problems == ()
    assert finding.template == case.get("saved_as", case["template"])
    assert render(finding.template, values_of(CASES["contexts"][case["context"]])) == case["url"]


@given(made, snapshots)
@example(Made("https://t.example", ["..", "/", "{{order.number}}"]), {})
@example(Made("https://t.example", ["a", "/", "..", "/", "{{order.number}}"]), {})
@example(Made("https://t.example", ["..", "/", "{{order.number}}", "/", "a"]), {})
@example(Made("https://t.example", ["q0", "{{order.number}}", "q0"]), {"order.number": "1"})
@example(Made("https://t.example", [], ["{{order.number}}"]), {})
@example(Made("https://t.example", [], ["{{order.number}}"], []), {})
@example(Made("https://t.example", [], ["5", "%", "{{order.number}}"]), {"order.number": "41#"})
@example(Made("https://t.example", ["%71", "0z", "{{order.number}}"]), {"order.number": "1"})
@example(Made("https://t.example", ["q0z", "{{order.number}}", "q1z"]), {"order.number": "1"})
def test_render_any_template_equals_the_definition(parts: Made, values: dict[str, str]) -> None:
    try:
        url = render(parts.template, values)
    except RenderError as error:
        assert error.code == "dot_segment"  # noqa: PT017 - the other outcome is compared below
    else:
        assert url == straightforward(parts.template, values)


@given(made, snapshots)
def test_render_any_value_changes_neither_host_nor_structure(parts: Made, values: dict[str, str]) -> None:
    assume(not {".", ".."} & set("".join(parts.path).split("/")))  # literal ones are resolved, whatever the values
    try:
        url = render(parts.template, values)
    except RenderError:
        return
    assert url.isascii()
    assert not set(url) & set(' "<>\\^`{|}#')
    harmless = straightforward(parts.template, dict.fromkeys(values, "x"))
    got, plain = urlsplit(url), urlsplit(harmless)
    assert (got.scheme, got.netloc) == (plain.scheme, plain.netloc)
    assert got.path.count("/") == plain.path.count("/")
    assert [got.query.count(sign) for sign in "&=?;+"] == [plain.query.count(sign) for sign in "&=?;+"]


@given(values)
def test_render_any_value_arrives_as_it_was(value: str) -> None:
    url = render("https://t.example/p?a={{order.number}}&b=1", {"order.number": value})
    sent = url.removeprefix("https://t.example/p?a=").removesuffix("&b=1")
    assert unquote(sent) == value.encode(errors="replace").decode()
    assert set(sent) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%")


@given(made, snapshots)
def test_scan_rendered_url_is_one_text(parts: Made, values: dict[str, str]) -> None:
    try:
        url = render(parts.template, values)
    except RenderError:
        return
    assert syntax.scan(url) == ((syntax.Text(url),), ())


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("https://t.example/{{order.number}}", {"order.number": ".."}),
        ("https://t.example/{{order.number}}/x", {"order.number": "."}),
        ("https://t.example/a{{order.number}}", {"order.number": ".."}),
        ("https://t.example/.{{order.number}}/x", {}),
        ("https://t.example/.{{order.number}}", {"order.number": "."}),
        ("https://t.example/%2e{{order.number}}/x", {}),
        ("https://t.example/{{order.number}}{{link.sub_id}}/x", {"order.number": ".", "link.sub_id": "."}),
        ("https://t.example/x/../{{order.number}}", {"order.number": ".."}),
        ("https://t.example/{{link.sub_id|default:'..'}}/x", {}),
        ('https://t.example/{{order.status|map:"new=."}}/x', {"order.status": "new"}),
    ],
)
def test_render_dots_in_the_path_are_refused(template: str, values: dict[str, str]) -> None:
    assert check.check(template, CLOSED).problems == ()
    with pytest.raises(RenderError, match=r"^Not sent: ") as error:
        render(template, values)
    assert error.value.code == "dot_segment"


@pytest.mark.parametrize(
    ("template", "values", "url"),
    [
        ("https://t.example/{{order.number}}", {"order.number": "..."}, "https://t.example/..."),
        ("https://t.example/{{order.number}}.", {"order.number": "a."}, "https://t.example/a.."),
        ("https://t.example/p?x={{order.number}}", {"order.number": ".."}, "https://t.example/p?x=.."),
        ("https://t.example/p#{{order.number}}", {"order.number": ".."}, "https://t.example/p"),
        ("https://t.example/p?a=1#{{order.number}}", {"order.number": "x"}, "https://t.example/p?a=1"),
        ("https://t.example/5%?x={{order.number}}", {"order.number": "#"}, "https://t.example/5%25?x=%23"),
        ("https://t.example/p?r=5%&x={{order.number}}", {"order.number": "#"}, "https://t.example/p?r=5%25&x=%23"),
        ("https://t.example/p?s=2%2C5&r=5%&x={{order.number}}", {}, "https://t.example/p?s=2%2C5&r=5%25&x="),
        ("https://t.example/./%2C%/{{order.number}}", {"order.number": "#"}, "https://t.example/%2C%25/%23"),
        ("https://t.example/p?x=%{{order.number}}", {"order.number": "41"}, "https://t.example/p?x=%2541"),
        ("https://t.example/p?x=%4{{order.number}}", {"order.number": "1"}, "https://t.example/p?x=%2541"),
        ("https://t.example/p?x=a b&é={{order.number}}", {}, "https://t.example/p?x=a%20b&%C3%A9="),
        ("https://t.example/p?d[a]={{order.number}}&e[]=", {}, "https://t.example/p?d%5Ba%5D=&e%5B%5D="),
        ("https://t.example/a;b={{order.number}};c?d;e,f+g", {}, "https://t.example/a;b=;c?d;e,f+g"),
        ("https://t.example/p?a=1&a=2&l&&=&{{order.number}}", {}, "https://t.example/p?a=1&a=2&l&&=&"),
        ("https://münchen.example/{{order.number}}", {"order.number": "1"}, "https://xn--mnchen-3ya.example/1"),
        ("HTTPS://T.Example:443?{{order.number}}", {}, "https://t.example:443/"),
        ("https://t.example/a_b?x={{order.number}}", {"order.number": "\ud800"}, "https://t.example/a_b?x=%3F"),
    ],
)
def test_render_corner_gives_the_exact_url(template: str, values: dict[str, str], url: str) -> None:
    assert check.check(template, CLOSED).problems == ()
    assert render(template, values) == url


@pytest.mark.parametrize(
    ("variable", "value", "sent"),
    [
        ('{{link.sub_id|default:"none"}}', "", "none"),
        ("{{link.sub_id|default:'none'}}", "fb", "fb"),
        ('{{ link.sub_id | default : "a b&c" }}', "", "a%20b%26c"),
        ('{{link.sub_id|default:"}}{{x|y:\'"}}', "", "%7D%7D%7B%7Bx%7Cy%3A%27"),
        ('{{link.sub_id|default:""}}', "", ""),
        ('{{link.sub_id|map:"fb=Facebook, g = Google ,x="}}', "g", "Google"),
        ('{{link.sub_id|map:"fb=Facebook,x="}}', "x", ""),
        ('{{link.sub_id|map:"fb=Facebook"}}', "FB", "FB"),
        ('{{link.sub_id|map:"a=b=c"}}', "a", "b%3Dc"),
        ('{{link.sub_id|map:"=none"}}', "", "none"),
        ('{{link.sub_id|map:"x="|default:"none"}}', "x", "none"),
        ('{{link.sub_id|default:"x"|map:"x=y"}}', "", "y"),
        ('{{link.sub_id|map:"a=b"|map:"b=c"}}', "a", "c"),
    ],
)
def test_render_filters_are_applied_in_their_order(variable: str, value: str, sent: str) -> None:
    assert check.check(FILL + variable, CLOSED).problems == ()
    assert render(FILL + variable, {"link.sub_id": value}) == FILL + sent


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("", "bad_scheme"),
        ("https://t.example/{{clickid}}", "unknown_variable"),
        ("https://t.example/{{order.number}", "unbalanced_braces"),
        ("https://{{order.number}}/p", "variable_in_host"),
        ("https://t.example:{{order.number}}/p", "bad_host"),
        ("https://u:p@t.example/p", "credentials"),
        ("ftp://t.example/p", "bad_scheme"),
        ("http://t.example\\@127.0.0.1/", "bad_host"),
        ("http://127。0。0。1/", "bad_host"),
    ],
)
def test_render_template_that_is_no_longer_valid_says_so(template: str, code: str) -> None:
    with pytest.raises(RenderError, match=r"^The URL of this callback cannot be sent[.:] ") as error:
        render(template, {})
    assert error.value.code == code
