"""Which addresses and ports may be called. Pure: it looks up no name and opens no socket.

`callbacks.egress.transfer` asks when a socket is about to be opened, so that a name which changes its address gains
nothing. `callbacks.editor.check` asks earlier, to say it beside the field.

The ranges are those of IANA's special-purpose address registries (RFC 6890), each with the RFC that sets it aside.
`ipaddress.is_global` is not this rule: it lets multicast, site-local, 6to4, NAT64 and more pass.
"""

import ipaddress
import socket
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any
from urllib.parse import unquote

from callbacks.egress.wording import Sentence
from callbacks.egress.wording import Sentence as _

PORTS = frozenset({80, 443, 8080, 8443})

LONGEST = 1024  # characters of a host that is read: reading another alphabet takes quadratic time

METADATA = _("a cloud metadata address")
NO_ADDRESS = _("not a valid address")
NOT_PUBLIC = _("not a public unicast address")
CARRIER = _("an IPv6 address that carries an IPv4 address ({form})")

# Where cloud providers answer with the machine's own credentials. Never opened, whatever the policy says.
METADATA_ADDRESSES: frozenset[IPv4Address | IPv6Address] = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google, DigitalOcean, Hetzner, OpenStack, Oracle, ...
        "169.254.170.2",  # AWS, containers (ECS)
        "169.254.170.23",  # AWS, pods (EKS)
        "168.63.129.16",  # Azure, its wire server: a public address in all but name
        "100.100.100.200",  # Alibaba Cloud
        "192.0.0.192",  # Oracle Cloud, classic
        "169.254.42.42",  # Scaleway
        "169.254.0.23",  # Tencent Cloud
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS, pods (EKS)
        "fd20:ce::254",  # Google
        "fd00:42::42",  # Scaleway
        "fd00:a9fe:a9fe::1",  # Akamai (Linode)
        "fe80::a9fe:a9fe",  # OpenStack
    )
)

IPV4_BLOCKED: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", _("an address of this host on this network")),  # RFC 791
        ("10.0.0.0/8", _("a private address")),  # RFC 1918
        ("100.64.0.0/10", _("a carrier-grade NAT address")),  # RFC 6598
        ("127.0.0.0/8", _("a loopback address")),  # RFC 1122
        ("169.254.0.0/16", _("a link-local address")),  # RFC 3927
        ("172.16.0.0/12", _("a private address")),  # RFC 1918
        ("192.0.0.0/24", _("an address reserved for protocols")),  # RFC 6890; PCP and TURN anycast among them
        ("192.0.2.0/24", _("a documentation address")),  # RFC 5737
        ("192.31.196.0/24", _("an AS112 address")),  # RFC 7535
        ("192.52.193.0/24", _("an AMT relay address")),  # RFC 7450
        ("192.88.99.0/24", _("a 6to4 relay address")),  # RFC 7526
        ("192.168.0.0/16", _("a private address")),  # RFC 1918
        ("192.175.48.0/24", _("an AS112 address")),  # RFC 7534
        ("198.18.0.0/15", _("a benchmarking address")),  # RFC 2544
        ("198.51.100.0/24", _("a documentation address")),  # RFC 5737
        ("203.0.113.0/24", _("a documentation address")),  # RFC 5737
        ("224.0.0.0/4", _("a multicast address")),  # RFC 1112
        ("255.255.255.255/32", _("the broadcast address")),  # RFC 919
        ("240.0.0.0/4", _("a reserved address")),  # RFC 1112
    )
)

# The first network that contains the address decides; None: it may be called.
IPV6_RULES: tuple[tuple[IPv6Network, str | None], ...] = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("::/128", _("the unspecified address")),  # RFC 4291
        ("::1/128", _("a loopback address")),  # RFC 4291
        ("::/96", Sentence(CARRIER, form="IPv4-compatible")),  # RFC 4291
        ("::ffff:0:0:0/96", Sentence(CARRIER, form="SIIT")),  # RFC 2765
        ("64:ff9b::/96", Sentence(CARRIER, form="NAT64")),  # RFC 6052
        ("64:ff9b:1::/48", Sentence(CARRIER, form="NAT64")),  # RFC 8215
        ("100::/64", _("a discard-only address")),  # RFC 6666
        ("100:0:0:1::/64", _("a dummy address")),  # RFC 9780
        ("2001::/32", Sentence(CARRIER, form="Teredo")),  # RFC 4380
        ("2001:2::/48", _("a benchmarking address")),  # RFC 5180
        ("2001:3::/32", _("an AMT relay address")),  # RFC 7450
        ("2001:4:112::/48", _("an AS112 address")),  # RFC 7535
        ("2001:10::/28", _("an identifier, not an address (ORCHID)")),  # RFC 4843
        ("2001:20::/28", _("an identifier, not an address (ORCHIDv2)")),  # RFC 7343
        ("2001:30::/28", _("an identifier, not an address (drone remote ID)")),  # RFC 9374
        ("2001::/23", _("an address reserved for protocols")),  # RFC 2928
        ("2001:db8::/32", _("a documentation address")),  # RFC 3849
        ("2002::/16", Sentence(CARRIER, form="6to4")),  # RFC 3056
        ("2620:4f:8000::/48", _("an AS112 address")),  # RFC 7534
        ("3fff::/20", _("a documentation address")),  # RFC 9637
        ("2000::/3", None),  # RFC 4291: global unicast
        ("5f00::/16", _("a segment identifier, not an address")),  # RFC 9602
        ("fc00::/7", _("a private address")),  # RFC 4193
        ("fe80::/10", _("a link-local address")),  # RFC 4291
        ("fec0::/10", _("a site-local address")),  # RFC 3879
        ("ff00::/8", _("a multicast address")),  # RFC 4291
        ("::/0", NOT_PUBLIC),
    )
)
ISATAP_MARKS = frozenset({0x0000_5EFE, 0x0200_5EFE})  # RFC 5214: the upper half of the interface identifier
LOW_32 = 0xFFFF_FFFF

# Names that every resolver, or every cloud's, answers with one address.
KNOWN_NAMES = {
    **dict.fromkeys(("localhost.localdomain", "localhost4", "localhost4.localdomain4"), "127.0.0.1"),
    **dict.fromkeys(("localhost6", "localhost6.localdomain6", "ip6-localhost", "ip6-loopback"), "::1"),
    **dict.fromkeys(("metadata.google.internal", "metadata.goog"), "169.254.169.254"),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """The networks and ports that the operator opened, beside the public addresses and the four usual ports.

    `nat64` are prefixes of the operator's own translators (RFC 6052), of 32, 40, 48, 56, 64 or 96 bits. `demo_port` is
    the one port of this machine that a demo may call: its own, where the echo receiver is. 0 is none.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    ports: frozenset[int] = frozenset()
    nat64: tuple[IPv6Network, ...] = ()
    demo_port: int = 0

    def at(self, port: int) -> "Policy":
        """What holds for an address that is called at that port."""
        is_demo = self.demo_port and port == self.demo_port
        return replace(self, networks=(*self.networks, *LOOPBACK)) if is_demo else self


NAT64_LENGTHS = frozenset({32, 40, 48, 56, 64, 96})  # RFC 6052, 2.2
IPV4_ONLY = frozenset({IPv4Address("192.0.0.170"), IPv4Address("192.0.0.171")})  # RFC 7050: of ipv4only.arpa
WELL_KNOWN_NAT64 = IPv6Network("64:ff9b::/96")
NOTHING_MORE = Policy()
LOOPBACK = (IPv4Network("127.0.0.1/32"), IPv6Network("::1/128"))


def policy_from(settings: Any) -> Policy:
    """The operator's policy, from Django's settings."""
    return Policy(
        tuple(settings.CALLBACKS_ALLOWED_NETWORKS),
        frozenset(settings.CALLBACKS_ALLOWED_PORTS),
        tuple(getattr(settings, "CALLBACKS_NAT64_PREFIXES", ())),
        settings.PORT if settings.DEMO else 0,
    )


def port_allowed(port: int, policy: Policy) -> bool:
    return port in PORTS or port in policy.ports or port == policy.demo_port != 0


@lru_cache(maxsize=4096)
def blocked_reason(address: str | IPv4Address | IPv6Address, policy: Policy = NOTHING_MORE) -> str | None:
    """Why a socket to `address` may not be opened, as a fragment ("a loopback address"), or None if it may.

    Never raises: what cannot be read as an address is blocked. A scope id (`fe80::1%eth0`) changes nothing.
    """
    try:
        ip = ipaddress.ip_address(address)
        if isinstance(ip, IPv6Address):
            ip = IPv6Address(int(ip))  # without its scope id, which would make it unequal to the same address
    except ValueError:
        return NO_ADDRESS
    translated = [nat64_address(ip, prefix) for prefix in policy.nat64 if isinstance(ip, IPv6Address) and ip in prefix]
    if ip in METADATA_ADDRESSES or any(inner in METADATA_ADDRESSES for inner in (*_carried(ip), *translated)):
        return METADATA
    # A mapped address is the IPv4 address in another notation: the packets leave as IPv4 (RFC 4291, 2.5.5.2).
    plain = (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip
    if any(ip in network or plain in network for network in policy.networks):
        return None
    if translated:  # the packets arrive at that IPv4 address; of prefixes within one another any may be the one in use
        return next((reason for inner in translated if (reason := blocked_reason(inner, policy))), None)
    if isinstance(plain, IPv4Address):
        return next((reason for network, reason in IPV4_BLOCKED if plain in network), None)
    reason = next(reason for network, reason in IPV6_RULES if plain in network)
    return Sentence(CARRIER, form="ISATAP") if reason in (None, NOT_PUBLIC) and _is_isatap(plain) else reason


def is_name(host: str) -> bool:
    """Whether only DNS can tell where `host` leads."""
    return _address_of(host.lower().removesuffix(".")) is None


def host_problem(host: str, policy: Policy) -> str | None:
    """What is wrong with the host of a URL, as a sentence; None for an ordinary name and for an allowed address.

    `host` is as it stands in the URL (`[::1]` in its brackets). Every notation that a resolver takes for an IPv4
    address is one here: `127.1`, `0x7f.1`, `0177.0.0.1`, `2130706433`, `0`, with or without a dot at the end.
    """
    if len(host) > LONGEST:
        return _("{host} is {reason}.", host=f"{host[:60]}…", reason=NO_ADDRESS)
    name = unicodedata.normalize("NFKC", unquote(host)).replace("。", ".").lower().removesuffix(".")
    if not name:
        return _("The URL has no host.")
    address = _address_of(name)
    if address is None:
        return None
    reason = blocked_reason(address, policy)
    if reason is None:
        return None
    if reason == NO_ADDRESS:
        return _("{host} is {reason}.", host=host, reason=NO_ADDRESS)
    if name.strip("[]") != address:
        text = _("{host} resolves to {address}, {reason}. Postbacks are sent to public addresses only.")
        return Sentence(text, host=host, address=address, reason=reason)
    return _("{host} is {reason}. Postbacks are sent to public addresses only.", host=host, reason=reason)


def _address_of(name: str) -> str | None:
    """The address that every resolver gives for `name`; None for an ordinary name, which only DNS can tell."""
    if name.startswith("[") or ":" in name:
        return name.removeprefix("[").removesuffix("]") if ":" in name else name  # brackets hold IPv6 and nothing else
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761
        return "127.0.0.1"
    if name in KNOWN_NAMES:
        return KNOWN_NAMES[name]
    last = name.rpartition(".")[2]
    if not (last.isdigit() or last.startswith("0x")):
        return None
    # No top-level domain is a number (WHATWG URL, "ends in a number"), so this is an address or nothing.
    try:
        return str(IPv4Address(socket.inet_aton(name)))
    except (OSError, ValueError):
        return name  # five parts, a part over 255, an 8 in an octal number: looks like an address and is none


def nat64_address(ip: IPv6Address, prefix: IPv6Network) -> IPv4Address:
    """The IPv4 address that a translator with this prefix reads in `ip` (RFC 6052, 2.2): bits 64 to 71 are left out."""
    if prefix.prefixlen == 96:
        return IPv4Address(int(ip) & LOW_32)
    number = int(ip)
    joined = (number >> 64) << 56 | number & (1 << 56) - 1
    return IPv4Address(joined >> (88 - prefix.prefixlen) & LOW_32)


def nat64_prefixes(of_ipv4only_arpa: Iterable[str]) -> set[IPv6Network]:
    """The prefixes that this network's DNS64 puts before IPv4 addresses: as it answers for that name (RFC 7050)."""
    return {
        prefix
        for ip in map(ipaddress.ip_address, of_ipv4only_arpa)
        if isinstance(ip, IPv6Address)
        for prefix in (IPv6Network((int(ip), length), strict=False) for length in NAT64_LENGTHS)
        if nat64_address(ip, prefix) in IPV4_ONLY
    }


def _is_isatap(ip: IPv6Address) -> bool:
    return int(ip) >> 32 & LOW_32 in ISATAP_MARKS


def _carried(ip: IPv4Address | IPv6Address) -> Iterator[IPv4Address]:
    """Every IPv4 address that `ip` may carry."""
    if isinstance(ip, IPv4Address):
        return
    number = int(ip)
    if number >> 125 != 1 or _is_isatap(ip):  # outside 2000::/3: mapped, compatible, SIIT, NAT64; and ISATAP anywhere
        yield IPv4Address(number & LOW_32)
    if ip.sixtofour:
        yield ip.sixtofour
    if ip.teredo:
        yield from ip.teredo
    if number >> 80 == 0x64_FF9B_0001:  # NAT64 of a prefix of 48, 56 or 64 bits
        for length in (48, 56, 64):
            yield nat64_address(ip, IPv6Network((number, length), strict=False))
