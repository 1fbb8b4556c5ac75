"""Repairing a paste: what is repaired, what is said, and what is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbacks.editor.repair import REPAIRS, repair

URL = "https://t.example/p?a={{order.number}}&b={{link.sub_id}}"


@pytest.mark.parametrize(
    ("pasted", "repaired", "kinds"),
    [
        ("https://t.example/p?\na={{order.number}}\r\n\t&b={{link.sub_id}}", URL, ["line_breaks"]),
        ("https://t.example/p?\n    a={{order.number}}\n    &b={{link.sub_id}}\n", URL, ["line_breaks"]),
        ("https://t.example/p?a={{order.\u2028number}}&b={{link.sub_id}}", URL, ["line_breaks"]),
        (f"  {URL} ", URL, ["surroundings"]),
        (f'"{URL}"', URL, ["surroundings"]),
        (f"'{URL}'", URL, ["surroundings"]),
        (f"`{URL}`", URL, ["surroundings"]),
        (f"“{URL}”", URL, ["surroundings"]),
        (f"„{URL}“", URL, ["surroundings"]),
        (f"« {URL} »", URL, ["surroundings"]),
        (f"<{URL}>", URL, ["surroundings"]),
        (f'{URL}"', URL, ["surroundings"]),
        (f"“{URL}", URL, ["surroundings"]),
        (f"\ufeff{URL}\u200b", URL, ["invisible"]),
        (f"\u00a0{URL}\u00a0", URL, ["invisible", "surroundings"]),
        ("https://t.example/?a={{\u00a0order.number\u00a0}}", "https://t.example/?a={{ order.number }}", ["invisible"]),
        ("https://t.example/p?a=\x00\ud800\x7f1", "https://t.example/p?a=1", ["invisible"]),
        (r"https://t.example/p\?a\=\{\{order.number\}\}\&b=\{{link.sub\_id\}}", URL, ["backslashes"]),
        (r"https://t.example/p\#a\-b\.c\[d\]", "https://t.example/p#a-b.c[d]", ["backslashes"]),
        (r"https:\/\/t.example\/p?a={{order.number}}\u0026b={{link.sub_id}}", URL, ["backslashes"]),
        ("https://t.example/p?a={{order.number}}&amp;b={{link.sub_id}}", URL, ["entities"]),
        ("https://t.example/p?a={{order.number}}&#38;b={{link.sub_id}}", URL, ["entities"]),
        ("https://t.example/p?a={{order.number}}&#x26;amp;b={{link.sub_id}}", URL, ["entities"]),
        ("https://t.example/p?a=&#123;&lcub;order.number&#x7D;}&b={{link.sub_id}}", URL, ["entities"]),
        (
            "https%3A%2F%2Ft.example%2Fp%3Fa%3D%7B%7Border.number%7D%7D%26b%3D%7B%7Blink.sub_id%7D%7D",
            URL,
            ["encoded_url"],
        ),
        ("HTTPS%3a%2f%2Ft.example%2F%3Fa%3D%2520x", "HTTPS://t.example/?a=%20x", ["encoded_url"]),
        (f"&quot;{URL}&quot;", URL, ["entities", "surroundings"]),
        (f"{URL}&#x20;", URL, ["entities", "surroundings"]),
        (f"&lt;{URL}&gt;", URL, ["entities", "surroundings"]),
        ("https://t.example/p?a=1¤cy=2¶m1=3", "https://t.example/p?a=1&currency=2&param1=3", ["mangled_parameters"]),
        ("https://t.example/?a=1&curren;cy=2", "https://t.example/?a=1&currency=2", ["entities", "mangled_parameters"]),
        ("https://t.example/p?a=1×tamp=2®ion=3§ion=4", "https://t.example/p?a=1&timestamp=2&region=3&section=4",  # noqa: RUF001
         ["mangled_parameters"]),
        ("https://t.example/p?a=%7B%7Border.number%7D%7D&b=%7b%7b%20link.sub_id%7d%7d",
         "https://t.example/p?a={{order.number}}&b={{ link.sub_id}}", ["encoded_braces"]),
        ("https://t.example/p?b={{link.sub_id|default:“none”}}", 'https://t.example/p?b={{link.sub_id|default:"none"}}',
         ["quotes"]),
        ("https://t.example/p?b={{link.sub_id|default:‘none’}}", "https://t.example/p?b={{link.sub_id|default:'none'}}",  # noqa: RUF001
         ["quotes"]),
        ("https://t.example/p?b={{link.sub_id|default:&quot;none&quot;}}",
         'https://t.example/p?b={{link.sub_id|default:"none"}}', ["entities"]),
    ],
)  # fmt: skip
def test_repair_damaged_paste_is_repaired_and_reported_once(pasted: str, repaired: str, kinds: list[str]) -> None:
    text, repairs = repair(pasted)
    assert text == repaired
    assert sorted(one.kind for one in repairs) == sorted(kinds)
    assert all(one.message.endswith(".") for one in repairs)


@pytest.mark.parametrize(
    "text",
    [
        URL,
        "",
        "http://example.com\\@127.0.0.1/",
        "http://example.com\\.evil/",
        "http://my\\_shop.example/",
        "http:\\\\t.example/",
        "http:\\//127.0.0.1/",
        "https://t.example\\?a=1",
        "https://t.example/p?a=1&param=2&copy=3&currency=4&order=5&not=6&lt=7&reg&para",
        "https://t.example/p?a=1&order;b=2&int;c&currency;d",
        "https://t.example/p?a=1&amp=2&#38=3&nosuchthing;",
        "https://t.example/p?a=x y&b={{ order.number }}",
        "https://t.example/a\\b?c=\\d",
        "https://t.example/p?q='{{order.number}}'",
        "https://t.example/p?owner=James'",
        'https://t.example/p?q="{{order.number}}"',
        "https://t.example/p?q=<sub>",
        "https://t.example/p?price=5¤&sign=¶",
        "https://t.example/p?a=%7B%7Bnothing%7D%7D&b=%2C%7B",
        "https://t.example/💶é?ü",
    ],
)
def test_repair_what_may_be_meant_is_left_alone(text: str) -> None:
    assert repair(text) == (text, ())


DAMAGE = (
    "& amp; #38; &#x26; &quot; &curren; ¤ cy= \\ / \" ' “ ” » « < > {{ }} %7B%7B %7D%7D order.number |default: "
    "https: // \\u005c u0026 a \n \u200b \u00a0 ? = ¬ ® < > é ｛ ｛｛ ｝ ？ ＝ ＆ . 。 , <br> ( ) [ ] % 25 "  # noqa: RUF001
    "curl -s ** ``` ~~~ <img src= </a> url: , ); HTTP/1.1 =3D %3D %26 %3F \\x26 ^& [.] hxxps:// {{+ %20}} \ufe0f | "
    "?url= google.com/url?q= /v3/__ __; ! * urldefense.com /v2/url?u= -3A - 1. ／ ：／／ ＠"  # noqa: RUF001 - full width
)
SNIPPETS = st.sampled_from([*DAMAGE.split(" "), " "])


@given(st.text() | st.lists(SNIPPETS, max_size=20).map("".join))
def test_repair_repaired_text_is_left_alone(text: str) -> None:
    repaired, repairs = repair(text)
    assert repair(repaired) == (repaired, ())
    assert bool(repairs) or repaired == text
    assert len({one.kind for one in repairs}) == len(repairs) <= len(REPAIRS)


@given(st.lists(SNIPPETS, max_size=12).map("".join))
def test_repair_behind_a_host_never_moves_it(rest: str) -> None:
    repaired, _ = repair("http://t.example/" + rest + "x")
    assert repaired.startswith("http://t.example/")


@given(st.sampled_from(["\\@127.0.0.1", "\\.evil", "\\:80", "\\-x"]), st.lists(SNIPPETS, max_size=6).map("".join))
def test_repair_backslash_in_the_host_stays(escaped: str, rest: str) -> None:
    repaired, _ = repair(f"http://t.example{escaped}/{rest}x")
    assert repaired.startswith(f"http://t.example{escaped}/")
