"""Which addresses may be called: the worked cases, the ranges' edges, and a second statement of the rule."""

import ipaddress
import random
from ipaddress import IPv4Address, IPv6Address
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbacks.egress.addresses import (
    IPV4_BLOCKED,
    IPV6_RULES,
    METADATA_ADDRESSES,
    Policy,
    blocked_reason,
    host_problem,
    nat64_address,
    nat64_prefixes,
    policy_from,
    port_allowed,
)
from tests.callbacks.templates import ADDRESSES

NOTHING = Policy()
EVERYTHING = Policy((ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")))


def opening(*networks: str) -> Policy:
    return Policy(tuple(ipaddress.ip_network(network) for network in networks))


@pytest.mark.parametrize("address", ADDRESSES["must_block"])
def test_blocked_reason_of_a_case_to_block_names_the_kind(address: str) -> None:
    assert blocked_reason(address)
    assert blocked_reason(address) == blocked_reason(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ADDRESSES["must_allow"])
def test_blocked_reason_of_a_case_to_allow_is_none(address: str) -> None:
    assert blocked_reason(address) is None
    assert blocked_reason(ipaddress.ip_address(address)) is None


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "a loopback address"),
        ("::1", "a loopback address"),
        ("::ffff:127.0.0.1", "a loopback address"),
        ("fe80::1%eth0", "a link-local address"),
        ("10.1.2.3", "a private address"),
        ("169.254.169.254", "a cloud metadata address"),
        ("fe80::a9fe:a9fe%2", "a cloud metadata address"),
        ("2606:4700::5efe:808:808", "an IPv6 address that carries an IPv4 address (ISATAP)"),
        ("2606:4700::200:5efe:808:808", "an IPv6 address that carries an IPv4 address (ISATAP)"),
        ("::ffff:0:8.8.8.8", "an IPv6 address that carries an IPv4 address (SIIT)"),
        ("::8.8.8.8", "an IPv6 address that carries an IPv4 address (IPv4-compatible)"),
        ("64:ff9b::8.8.8.8", "an IPv6 address that carries an IPv4 address (NAT64)"),
        ("2002:808:808::1", "an IPv6 address that carries an IPv4 address (6to4)"),
        ("4000::1", "not a public unicast address"),
    ],
)
def test_blocked_reason_is_the_most_telling_one(address: str, reason: str) -> None:
    assert blocked_reason(address) == reason


@pytest.mark.parametrize(
    "text", ["", "x", "127.1", "1.2.3", "1.2.3.4.5", "[::1]", "::1%", "1.1.1.1/32", "\0", "0x7f.1", " 1.1.1.1"]
)
def test_blocked_reason_of_what_is_no_address_blocks(text: str) -> None:
    assert blocked_reason(text) == "not a valid address"


@given(st.text() | st.ip_addresses().map(str) | st.ip_addresses(v=6).map("{}%eth0".format))
def test_blocked_reason_never_raises(text: str) -> None:
    assert blocked_reason(text) != ""


def test_blocked_reason_at_every_edge_of_every_range_changes_as_the_range_says() -> None:
    for network, reason in IPV4_BLOCKED:
        for address in (network[0], network[-1]):
            assert blocked_reason(address) in {reason, "the broadcast address"}
    for network6, reason6 in IPV6_RULES:
        for address6 in (network6[0], network6[-1]):
            assert (blocked_reason(address6) is None) == (expected(address6) is None), (address6, reason6)


# --- the rule, said again ----------------------------------------------------
def expected(ip: IPv4Address | IPv6Address) -> str | None:
    """The rule once more, on numbers: None if `ip` may be called."""
    number = int(ip)
    if isinstance(ip, IPv4Address):
        a, b, c = number >> 24, number >> 16 & 255, number >> 8 & 255
        special = (
            a in {0, 10, 127}
            or a >= 224
            or (a, b) in {(169, 254), (192, 168)}
            or (a == 100 and 64 <= b < 128)
            or (a == 172 and 16 <= b < 32)
            or (a == 198 and b in {18, 19})
            or (a, b, c) in {(192, 0, 0), (192, 0, 2), (192, 88, 99), (198, 51, 100), (203, 0, 113)}
            or (a, b, c) in {(192, 31, 196), (192, 52, 193), (192, 175, 48)}
            or str(ip) == "168.63.129.16"
        )
        return "special" if special else None
    groups = [number >> 16 * (7 - i) & 0xFFFF for i in range(8)]
    if groups[:6] == [0, 0, 0, 0, 0, 0xFFFF]:
        return expected(IPv4Address(number & 0xFFFFFFFF))
    if not 0x2000 <= groups[0] <= 0x3FFF:
        return "not global unicast"
    if groups[4] in {0, 0x200} and groups[5] == 0x5EFE:
        return "ISATAP"
    if groups[0] == 0x2001 and groups[1] < 0x200:
        return "protocols"
    if groups[:3] == [0x2620, 0x4F, 0x8000]:
        return "AS112"
    if groups[:2] == [0x2001, 0xDB8] or groups[0] == 0x2002 or (groups[0] == 0x3FFF and groups[1] < 0x1000):
        return "special"
    return None


# Where something special is or was, listed once more and not taken from the code, in which one might be missing.
PLACES = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
    *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    *("::/128", "::1/128", "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64"),
    *("100:0:0:1::/64", "2000::/3", "2001::/23", "2001::/32", "2001:1::/126", "2001:2::/48", "2001:3::/32"),
    *(
        "2001:4:112::/48",
        "2001:10::/28",
        "2001:20::/28",
        "2001:30::/28",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f::/32",
        "2620:4f:8000::/48",
    ),
    *("3fff::/20", "3ffe::/16", "4000::/3", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    *("::ffff:10.0.0.0/104", "::ffff:127.0.0.0/104", "::ffff:169.254.0.0/112", "::ffff:192.168.0.0/112"),
]


def test_blocked_reason_of_100_000_random_addresses_agrees_with_the_rule_said_again() -> None:
    """Half of them anywhere, half of them near something special, where the mistakes would be."""
    dice = random.Random(20260314)
    networks = [ipaddress.ip_network(text) for text in PLACES]
    allowed = 0
    for count in range(100_000):
        if count % 4 == 0:
            ip: IPv4Address | IPv6Address = IPv4Address(dice.getrandbits(32))
        elif count % 4 == 1:
            ip = IPv6Address(dice.getrandbits(128))
        else:
            network = dice.choice(networks)
            size = network.num_addresses
            number = int(network[0]) + dice.choice([dice.randrange(size), -dice.randint(1, 3), size])
            if dice.random() < 0.05:  # an ISATAP identifier in whatever network it is
                number = number >> 64 << 64 | 0x5EFE << 32 | dice.getrandbits(32)
            bits = 32 if network.version == 4 else 128
            ip = type(network[0])(number % (1 << bits))
        assert (blocked_reason(ip) is None) == (expected(ip) is None), ip
        allowed += expected(ip) is None
    assert 20_000 < allowed < 80_000


# --- the operator's policy ---------------------------------------------------
def test_policy_opens_exactly_what_it_contains() -> None:
    policy = opening("10.1.0.0/16", "fd12::/32")
    for address in ("10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3", "fd12::1", "fd12:0:ffff::", "8.8.8.8"):
        assert blocked_reason(address, policy) is None, address
    for address in ("10.0.255.255", "10.2.0.0", "fd12:1::", "127.0.0.1", "::10.1.2.3", "64:ff9b::10.1.2.3"):
        assert blocked_reason(address, policy), address


@pytest.mark.parametrize(
    "address",
    [
        *sorted(map(str, METADATA_ADDRESSES)),
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1:a9fe:a9:fe00::",
        "64:ff9b:1:00a9:00fe:a9fe::",
        "64:ff9b:1:0:a9:fea9:fe00::",
        "64:ff9b:1::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1",
        "2001:0:1:1::5601:5601",
        "2606:4700::5efe:a9fe:a9fe",
        "2606:4700::200:5efe:a9fe:a9fe",
        "fd00:ec2::254%eth0",
    ],
)
def test_metadata_address_in_any_disguise_stays_closed_in_an_opened_network(address: str) -> None:
    assert blocked_reason(address, EVERYTHING) == "a cloud metadata address"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "192.168.1.1", "64:ff9b::a00:1", "fe80::1%eth0", "2001:db8::1"]
)
def test_anything_else_is_open_in_an_opened_network(address: str) -> None:
    assert blocked_reason(address, EVERYTHING) is None


def test_policy_from_reads_both_settings() -> None:
    networks = [ipaddress.ip_network("10.0.0.0/8")]
    given = {"CALLBACKS_ALLOWED_NETWORKS": networks, "CALLBACKS_ALLOWED_PORTS": [9000], "PORT": 8000}
    assert policy_from(SimpleNamespace(**given, DEMO=False)) == Policy(tuple(networks), frozenset({9000}))
    assert policy_from(SimpleNamespace(**given, DEMO=True)) == Policy(tuple(networks), frozenset({9000}), (), 8000)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_demo_may_call_loopback_at_its_own_port_only(address: str) -> None:
    demo = Policy(demo_port=8000)
    assert blocked_reason(address, demo.at(8000)) is None
    for port in (80, 443, 8080, 8443, 8001, 0):
        assert blocked_reason(address, demo.at(port)) == "a loopback address"
        assert blocked_reason(address, Policy().at(port)) == "a loopback address"
    for other in ("127.0.0.2", "10.0.0.1", "169.254.169.254", "64:ff9b::7f00:1"):
        assert blocked_reason(other, demo.at(8000)) is not None


@pytest.mark.parametrize("port", [80, 443, 8080, 8443, 9000])
def test_port_that_is_usual_or_opened_is_allowed(port: int) -> None:
    assert port_allowed(port, Policy(ports=frozenset({9000})))


@pytest.mark.parametrize("port", [0, 22, 25, 6379, 8000, 9001, 65535])
def test_port_that_is_neither_usual_nor_opened_is_not_allowed(port: int) -> None:
    assert not port_allowed(port, Policy(ports=frozenset({9000})))


# --- hosts -------------------------------------------------------------------
@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "tracker.example.com.",
        "1e100.net",
        "xn--bcher-kva.example",
        "deadbeef",
        "localhost.example.com",
        "127.0.0.1.nip.example",
        "8.8.8.8",
        "8.8.8.8.",
        "134744072",
        "0x8.8.8.8",
        "[2606:4700:4700::1111]",
        "[::ffff:8.8.8.8]",
    ],
)
def test_host_that_is_an_ordinary_name_or_a_public_address_has_no_problem(host: str) -> None:
    assert host_problem(host, NOTHING) is None


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "0x7f.1", "0x7F000001", "0177.0.0.1", "017700000001"),
        *("2130706433", "127。0。0。1", "\uff11\uff12\uff17.0.0.1", "%31%32%37.0.0.1"),
        *("localhost", "LOCALHOST", "localhost.", "a.b.localhost", "ⓛocalhost", "localhost.localdomain"),
        *("ip6-localhost", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
    ],
)
def test_host_that_is_this_machine_in_any_notation_is_a_problem(host: str) -> None:
    problem = host_problem(host, NOTHING) or ""
    assert problem.startswith(f"{host} ")
    assert "a loopback address" in problem
    assert host_problem(host, opening("127.0.0.0/8", "::1/128")) is None


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("0", "resolves to 0.0.0.0"),
        ("4294967295", "the broadcast address"),
        ("2852039166", "resolves to 169.254.169.254, a cloud metadata address"),
        ("metadata.google.internal", "resolves to 169.254.169.254, a cloud metadata address"),
        ("10.1", "a private address"),
        ("[64:ff9b::7f00:1]", "NAT64"),
        ("[fe80::1%25eth0]", "a link-local address"),
        ("4294967296", "is not a valid address"),
        ("1.2.3.4.5", "is not a valid address"),
        ("256.1.1.1", "is not a valid address"),
        ("08.1", "is not a valid address"),
        ("example.123", "is not a valid address"),
        ("a.0x7f", "is not a valid address"),
        ("[127.0.0.1]", "is not a valid address"),
        ("[example.com]", "is not a valid address"),
        ("[::1", "loopback"),
        ("::1", "loopback"),
        ("a:b", "is not a valid address"),
        ("", "no host"),
        (".", "no host"),
    ],
)
def test_host_that_may_not_be_called_has_a_sentence(host: str, words: str) -> None:
    problem = host_problem(host, NOTHING)
    assert problem
    assert words in problem
    assert problem.endswith(".")


@given(st.text())
def test_host_problem_never_raises(host: str) -> None:
    problem = host_problem(host, NOTHING)
    assert problem is None or problem.endswith(".")


@given(st.ip_addresses(v=4))
def test_host_problem_judges_every_notation_of_an_address_alike(ip: IPv4Address) -> None:
    number = int(ip)
    spellings = [
        str(ip),
        str(number),
        hex(number),
        oct(number).replace("o", ""),
        f"{number >> 24}.{number & 0xFFFFFF}",
        f"[::ffff:{ip}]",
        f"{ip}.",
    ]
    assert len({host_problem(spelling, NOTHING) is None for spelling in spellings}) == 1


# --- what is reserved, by name -----------------------------------------------
@pytest.mark.parametrize(
    ("network", "reason"),
    [
        ("192.175.48.0/24", "an AS112 address"),
        ("192.31.196.0/24", "an AS112 address"),
        ("2620:4f:8000::/48", "an AS112 address"),
        ("2001:4:112::/48", "an AS112 address"),
        ("192.52.193.0/24", "an AMT relay address"),
        ("2001:3::/32", "an AMT relay address"),
        ("2001:1::1/128", "an address reserved for protocols"),
        ("2001:1::2/128", "an address reserved for protocols"),
        ("2001:1::3/128", "an address reserved for protocols"),
    ],
)
def test_blocked_reason_of_a_special_range_holds_from_end_to_end_and_no_further(network: str, reason: str) -> None:
    found = ipaddress.ip_network(network)
    assert {blocked_reason(found[0]), blocked_reason(found[-1])} == {reason}
    assert host_problem("[2620:4f:8000::1]", NOTHING)
    if found.version == 4:
        assert {blocked_reason(found[0] - 1), blocked_reason(found[-1] + 1)} == {None}
        assert blocked_reason(f"::ffff:{found[0]}") == reason
    assert blocked_reason(found[0], opening(network)) is None


# --- an operator's own NAT64 ---------------------------------------------------
TRANSLATED = {  # RFC 6052, 2.4: the same address, 192.0.2.33, behind a prefix of each length
    "2001:db8::/32": "2001:db8:c000:221::",
    "2001:db8:100::/40": "2001:db8:1c0:2:21::",
    "2001:db8:122::/48": "2001:db8:122:c000:2:2100::",
    "2001:db8:122:300::/56": "2001:db8:122:3c0:0:221::",
    "2001:db8:122:344::/64": "2001:db8:122:344:c0:2:2100::",
    "2001:db8:122:344::/96": "2001:db8:122:344::192.0.2.33",
}


def translating(*prefixes: str) -> Policy:
    return Policy(nat64=tuple(ipaddress.IPv6Network(prefix) for prefix in prefixes))


@pytest.mark.parametrize("prefix", TRANSLATED)
def test_address_behind_an_own_nat64_prefix_is_judged_as_the_ipv4_address_in_it(prefix: str) -> None:
    policy = translating(prefix)
    network = ipaddress.IPv6Network(prefix)
    assert str(nat64_address(IPv6Address(TRANSLATED[prefix]), network)) == "192.0.2.33"
    assert blocked_reason(TRANSLATED[prefix], policy) == "a documentation address"
    assert nat64_prefixes([embedded(IPv4Address("192.0.0.170"), network)]) >= {network}
    for ipv4, reason in {
        "127.0.0.1": "a loopback address",
        "10.0.0.1": "a private address",
        "169.254.169.254": "a cloud metadata address",
        "93.184.216.34": None,
    }.items():
        address = embedded(IPv4Address(ipv4), network)
        assert blocked_reason(address, policy) == reason
        everywhere = Policy((ipaddress.ip_network("::/0"),), nat64=policy.nat64)
        assert (blocked_reason(address, everywhere) is None) == (reason != "a cloud metadata address")


def embedded(ip: IPv4Address, prefix: ipaddress.IPv6Network) -> str:
    """RFC 6052, 2.2, in bytes: the address follows the prefix, and byte 8 is left out."""
    octets = list(prefix.network_address.packed)
    places = [place for place in range(prefix.prefixlen // 8, 16) if place != 8 or prefix.prefixlen == 96][:4]
    for place, octet in zip(places, ip.packed, strict=True):
        octets[place] = octet
    return str(IPv6Address(bytes(octets)))
