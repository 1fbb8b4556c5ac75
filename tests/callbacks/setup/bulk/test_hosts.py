"""One host in the place of another in a template: what is the host, what is the same host, and what stays."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callbacks.editor import check
from callbacks.egress import addresses, targets
from callbacks.postback import syntax
from callbacks.setup.bulk import hosts

LABELS = st.from_regex(r"[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,10}[a-zA-Z0-9_])?", fullmatch=True)
NAMES = st.builds(
    lambda labels, end: ".".join([*labels, end]), st.lists(LABELS, min_size=1, max_size=3), st.just("example")
)
PORTS = st.sampled_from(["", ":80", ":443", ":8080", ":8443"])
HOSTS = st.builds(lambda name, port: name + port, NAMES | st.sampled_from(["[2001:db8::1]", "münchen.example"]), PORTS)
# What may follow the host: among it hosts, variables, quotes with slashes in a variable's filter, percent signs.
TAILS = st.builds(
    lambda start, parts: start + "".join(parts),
    st.sampled_from(["/", "?", "#", "/?", "//"]),
    st.lists(
        st.sampled_from(
            [
                "old.example",
                "https://old.example:8443/",
                "@old.example",
                "{{link.sub_id}}",
                '{{link.path|default:"https://old.example/?#"}}',
                "{{order.status|map:'new=a,approved=b'}}",
                "&a=",
                "%2F",
                "%zz",
                "[x]",
                "é",
                ":",
            ]
        )
        | st.text("abc/?&=#;,+%~", max_size=6),
        max_size=6,
    ),
)
SCHEMES = st.sampled_from(["https", "http", "HTTPS"])
USERS = st.sampled_from(["", "", "joe@", "joe:pa:ss@", "a@b@"])


@given(SCHEMES, USERS, HOSTS, HOSTS, TAILS)
@example("https", "", "old.example", "new.example", "?u=https://old.example/{{link.sub_id}}")
@example("https", "joe@", "old.example", "[2001:db8::2]:8443", "#@old.example")
def test_moved_template_differs_in_its_host_only(scheme: str, user: str, old: str, new: str, tail: str) -> None:
    template = f"{scheme}://{user}{old}{tail}"
    assert hosts.host_in(template) == old
    assert hosts.is_at(template, old)
    moved = hosts.with_host(template, new)
    assert moved == f"{scheme}://{user}{new}{tail}"
    assert hosts.is_at(moved, new)
    assert hosts.with_host(moved, old) == template


@given(SCHEMES, HOSTS, HOSTS, TAILS)
def test_host_of_a_template_is_where_the_request_goes(scheme: str, old: str, new: str, tail: str) -> None:
    """The part that is replaced is the one that `targets` reads, which is the one on the wire."""
    pieces, _ = syntax.scan(hosts.with_host(f"{scheme}://{old}{tail}", new))
    try:
        target = targets.read(syntax.outline(pieces).url)
    except targets.TargetError:
        return  # the tail cannot be read as the rest of a URL, whatever the host
    assert (target.host.lower(), target.port) == _place(scheme, new)


def _place(scheme: str, host: str) -> tuple[str, int]:
    target = targets.read(f"{scheme}://{host}/")
    return target.host.lower(), target.port


@given(NAMES, TAILS)
def test_template_that_may_be_saved_may_be_saved_with_another_host(name: str, tail: str) -> None:
    before = check.check(f"https://old.example{tail}", addresses.NOTHING_MORE)
    if before.problems:
        return
    after = check.check(hosts.with_host(before.template, name), addresses.NOTHING_MORE)
    assert after.problems == ()
    assert hosts.with_host(after.template, "old.example") == before.template


@given(st.text(max_size=40))
@example("https://[")
@example("//{{x}}@")
@example("\\@a")
def test_anything_can_be_asked_for_its_host(text: str) -> None:
    start, end = hosts.span(text)
    assert 0 <= start <= end <= len(text)
    assert hosts.with_host(text, text[start:end]) == text
    hosts.is_at(text, "old.example")
    hosts.is_at("https://old.example/", text)
    hosts.problem_of(hosts.bare(text))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://T.Example/", "t.example"),
        ("https://t.example:443/", "t.example"),
        ("https://t.example/", "t.example:443"),
        ("http://t.example/", "t.example:80"),
        ("https://t.example./", "t.example"),
        ("https://münchen.example/", "xn--mnchen-3ya.example"),
        ("https://xn--mnchen-3ya.example/", "MÜNCHEN.example"),
        ("https://[2001:DB8:0::1]:8080/", "[2001:db8::1]:8080"),
        ("https://joe:secret@t.example/", "t.example"),
        ("https://t.example?x", "t.example"),
        ("https://t.example", "t.example"),
    ],
)
def test_hosts_that_lead_to_the_same_place_are_one(url: str, host: str) -> None:
    assert hosts.is_at(url, host)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://t.example:8443/", "t.example"),
        ("https://t.example/", "t.example:8443"),
        ("https://t.example/", "t.example:80"),
        ("https://sub.t.example/", "t.example"),
        ("https://t.example.evil.example/", "t.example"),
        ("https://evil.example/?u=https://t.example/", "t.example"),
        ("https://evil.example/@t.example/", "t.example"),
        ("https://t.example@evil.example/", "t.example"),
        ("https://{{link.sub_id}}.t.example/", "t.example"),
        ("https://t.example\\@evil.example/", "t.example"),
        ("https://[2001:db8::1]/", "[2001:db8::2]"),
        ("t.example/path", "t.example"),
        ("", ""),
    ],
)
def test_hosts_that_lead_elsewhere_are_two(url: str, host: str) -> None:
    assert not hosts.is_at(url, host)


@pytest.mark.parametrize(
    ("typed", "bare"),
    [
        ("  new.example ", "new.example"),
        ("https://new.example/", "new.example"),
        ("HTTP://new.example:8443", "new.example:8443"),
        ("https.example", "https.example"),
        ("http:new.example", "new.example"),
        ("new.example/path", "new.example/path"),
    ],
)
def test_scheme_and_slash_around_a_typed_host_are_taken_off(typed: str, bare: str) -> None:
    assert hosts.bare(typed) == bare
