import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affiliates import referral


def test_parse_full_link_gives_every_part_decoded_once() -> None:
    link = referral.parse("https://shop.example/p/a%20b?ref=joe&c=x%26y&twice=%252C&plus=a+b&q=1&q=2&e=&v#/r%3Fx")
    assert link.path == "/p/a b"
    assert link.query == {
        "ref": "joe", "c": "x&y", "twice": "%2C", "plus": "a b", "q": "1", "e": "", "v": "",
    }  # fmt: skip
    assert link.hash == "/r?x"


@pytest.mark.parametrize(
    ("query", "sub_id"),
    [("sub_id=a&subid=b", "a"), ("sub_id=&subid=b", "b"), ("subid=b", "b"), ("x=1", ""), ("sub_id=", "")],
)
def test_sub_id_absent_or_empty_falls_back_to_subid(query: str, sub_id: str) -> None:
    assert referral.parse(f"https://shop.example/?{query}").sub_id == sub_id


@pytest.mark.parametrize("url", ["http://[::1", "", "http://[x]/", "https://exa\N{DOUBLE QUESTION MARK}.com/"])
def test_parse_link_that_cannot_be_split_gives_nothing(url: str) -> None:
    assert referral.parse(url) == referral.Referral()


def test_parse_bytes_that_are_no_text_become_replacement_characters() -> None:
    link = referral.parse("https://shop.example/%FF?a=%00&b=\ud800")
    assert (link.path, link.query) == ("/\ufffd", {"a": "\ufffd", "b": "\ufffd"})


@given(st.text())
def test_parse_any_text_gives_storable_text(url: str) -> None:
    link = referral.parse(url)
    for text in (link.path, link.hash, *link.query, *link.query.values()):
        assert "\0" not in text
        text.encode("utf-8")


@pytest.mark.parametrize("ampersand", ["&amp;", "&AMP;", "&#38;", "&#x26;", "&amp;amp;"])
def test_parse_ampersand_as_a_web_page_writes_it_is_one(ampersand: str) -> None:
    link = referral.parse(f"https://shop.example/?x=1{ampersand}ref=joe{ampersand}sub_id=fb")
    assert link.query == {"x": "1", "ref": "joe", "sub_id": "fb"}


@pytest.mark.parametrize(
    "url", ["&" * 2_000_000, "?ref" * 500_000, "&amp;" * 400_000, " " * 2_000_000, "?" + "a=b&" * 500_000]
)
def test_link_of_megabytes_is_read_at_once(url: str) -> None:
    began_at = time.thread_time()
    referral.value_in(f"https://shop.example/{url}", ["ref"])
    assert len(referral.kept(f"https://shop.example/{url}", 2000, ["ref"])) <= 2000
    assert time.thread_time() - began_at < 1


@given(st.text(), st.integers(20, 60))
def test_kept_any_text_is_storable_and_short(url: str, limit: int) -> None:
    kept = referral.kept(url, limit, ["ref"])
    assert len(kept) <= limit
    assert "\0" not in kept
    kept.encode("utf-8")
