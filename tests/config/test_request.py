"""Whose request it is, behind no proxy, one, or several; and what headers cannot change."""

import ipaddress

import pytest
from django.test import RequestFactory

from config.request import client_address, is_shared_address, throttled_address

PROXY, INNER, CLIENT = "10.0.0.5", "10.0.0.6", "192.0.2.7"


@pytest.fixture
def trusted(settings):
    settings.TRUSTED_PROXIES = tuple(map(ipaddress.ip_network, ("10.0.0.0/24", "fd00::/8")))


def request_from(peer: str, forwarded: str | None = None):
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return RequestFactory().get("/", REMOTE_ADDR=peer, **headers)


def test_forged_header_is_ignored_without_trusted_proxies():
    assert client_address(request_from("127.0.0.1", "1.2.3.4")) == "127.0.0.1"


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        (CLIENT, None, CLIENT),
        (CLIENT, "1.2.3.4", CLIENT),  # a stranger's own header
        (PROXY, CLIENT, CLIENT),
        (PROXY, f"1.2.3.4, {CLIENT}", CLIENT),  # what stands before is forged
        (PROXY, f"10.0.0.9, {CLIENT}", CLIENT),  # even if it looks like a proxy of ours
        (PROXY, f"{CLIENT}, {INNER}", CLIENT),
        (PROXY, f"1.2.3.4,{CLIENT},{INNER}", CLIENT),
        (PROXY, f"1.2.3.4 , {CLIENT}:51234", CLIENT),
        (PROXY, "[2001:db8::1]:443", "2001:db8::1"),
        (PROXY, "2001:db8::1", "2001:db8::1"),
        (PROXY, f"::ffff:{CLIENT}", CLIENT),
        (f"::ffff:{PROXY}", CLIENT, CLIENT),
        ("fd00::1", CLIENT, CLIENT),
        (PROXY, "", PROXY),
        (PROXY, "unknown", PROXY),
        (PROXY, "1.2.3.4, _hidden", PROXY),
        (PROXY, f"{CLIENT}, {INNER}, garbage", PROXY),
        (PROXY, f"{CLIENT},", PROXY),
        (PROXY, INNER, INNER),  # all of them are ours
        (PROXY, "1" * 10_000, PROXY),
        (PROXY, "," * 8000, PROXY),
        (PROXY, "999.1.1.1", PROXY),
        (PROXY, "١٢.1.1.1", PROXY),
        ("", CLIENT, ""),
    ],
)
def test_client_is_whom_the_trusted_proxies_report(peer, forwarded, found):
    assert client_address(request_from(peer, forwarded)) == found


@pytest.mark.usefixtures("trusted")
def test_throttle_counts_a_network_of_ipv6_as_one():
    addresses = {throttled_address(request_from(PROXY, f"2001:db8:1:2::{n:x}")) for n in range(1, 50)}
    assert addresses == {"2001:db8:1:2::"}
    assert throttled_address(request_from(CLIENT)) == CLIENT
    assert throttled_address(request_from("")) is None


def test_proxy_that_does_not_say_has_a_shared_address(settings, trusted):
    assert is_shared_address(request_from(PROXY))
    assert not is_shared_address(request_from(PROXY, CLIENT))
    settings.TRUSTED_PROXIES = ()
    assert not is_shared_address(request_from(PROXY))
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")  # there is a proxy, and nobody said which
    assert is_shared_address(request_from(PROXY))
