"""The attacks, each with what is expected. `seen` is "" where that is what was seen."""

import contextlib
import json
import re
import socket
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.attacks.site import FORM, Answer, Site, at_once

HANGING = [
    "REPLACE" + "A" * 40 + "!",
    "REPLACE_" * 1500 + "!",
    "{" * 12_000,
    "{{" + "a" * 12_000,
    "%" * 12_000,
    "[" * 12_000,
    "{{link.sub_id|default:" + '"\\' * 5000,
    "a." * 6000 + "!",
    "#" * 6000 + "{" * 6000,
]
NONSENSE = ["9" * 19, "9" * 4000, "9" * 5000, "-1", "0", "%00", "%2F", "a", "%ED%A0%80", "%FF", "%0A"]
LISTS = ["affiliates/affiliate", "affiliates/link", "orders/order", "callbacks/delivery", "auth/user"]
LOOKUPS = ["url__regex=(.*)*x$", "password__startswith=a", "created_at__year=99999999999", "id__in=1,x", "e=1&p=-9"]
LOOKUPS += ["affiliate__id__exact=" + "9" * 30, "o=9999.-1.x", "nonsense=1", "secret__startswith=w", "from=9999-12-31"]
BLOCKED = ["127.0.0.1:8080", "127.1", "2130706433", "0x7f.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1"]
BLOCKED += ["169.254.169.254", "metadata.google.internal", "[fd00:ec2::254]", "[64:ff9b::7f00:1]", "0", "100.64.0.1"]
SPECIAL = ["192.175.48.1", "192.31.196.1", "192.52.193.1", "[2620:4f:8000::1]", "[2001:4:112::1]", "[2001:3::1]"]
PART = b'--x\r\nContent-Disposition: form-data; name="username"; filename="a"\r\nContent-Type: a/b\r\n\r\n'


Try = Callable[[Site], str | None]


@dataclass(frozen=True)
class Attempt:
    """`try_it` says what was seen if it is not what was expected, else "". None: it cannot be tried on this site."""

    number: str  # of the kind of fault
    name: str
    expected: str
    try_it: Try


ATTEMPTS: list[Attempt] = []


def attempt(number: str, name: str, expected: str) -> Callable[[Try], None]:
    def add(try_it: Try) -> None:
        ATTEMPTS.append(Attempt(number, name, expected, try_it))

    return add


def wrong(answers: Iterable[tuple[str, Answer]], is_right: Callable[[Answer], bool]) -> str:
    """The first that is not right, in words."""
    for name, answer in answers:
        if not is_right(answer):
            return f"{name[:60]}: {answer.status} after {answer.seconds:.1f} s"
    return ""


def is_answer(answer: Answer) -> bool:
    return 0 < answer.status < 500 and answer.seconds < 5


# --- 2: other users of the machine -------------------------------------------------
@attempt("1.2", "read DATA_DIR as another user", "nothing there for group or others")
def _(site: Site) -> str | None:
    if site.data_dir is None:
        return None
    paths = [site.data_dir, *site.data_dir.rglob("*")]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in paths if path.exists()}
    return ", ".join(f"{path.name} {mode:o}" for path, mode in modes.items() if mode & 0o077)


# --- 3: the demo -------------------------------------------------------------------
@attempt("1.3", "send cookies to the echo receiver and read them", "kept nowhere; shown to staff only")
def _(site: Site) -> str | None:
    stranger = site.visitor()
    sent = stranger.ask("POST", "/echo/x", "a=1", {"Cookie": "sessionid=s3cr3t-1", "Authorization": "Bearer s3cr3t-2"})
    if not site.is_demo:
        return "" if sent.status == stranger.get("/echo/").status == 404 else f"/echo/ is there: {sent.status}"
    if stranger.get("/echo/").status != 302:
        return "everybody sees what was received"
    return "a cookie or a token is shown" if "s3cr3t" in site.staff.get("/echo/").text else ""


@attempt("1.3", "callbacks to this machine and to private networks", "refused, but for the demo's own port")
def _(site: Site) -> str | None:
    hosts = [*BLOCKED, f"127.0.0.2:{site.port}", *([] if site.is_demo else [f"127.0.0.1:{site.port}"])]
    let_through = [host for host in hosts if not _is_refused(site, host)]
    if site.is_demo and _is_refused(site, f"127.0.0.1:{site.port}"):
        return "the demo's own port is refused"
    return f"let through: {', '.join(let_through)}" if let_through else ""


def _is_refused(site: Site, host: str) -> bool:
    answer = site.staff.post(site.callback("created/another/"), {"method": "GET", "url": f"http://{host}/?a=1"})
    return answer.status == 422


# --- 4: nonsense -------------------------------------------------------------------
@attempt("1.4", "lookups that no filter declares", "left out with a message, within 5 s")
def _(site: Site) -> str | None:
    def answers() -> Iterator[tuple[str, Answer]]:
        for at in LISTS:
            for lookup in LOOKUPS:
                yield f"{at}/?{lookup}", site.staff.get(f"/admin/{at}/?{lookup}")

    if found := wrong(answers(), lambda answer: answer.seconds < 5 and answer.status in {200, 302}):
        return found
    page = site.staff.get("/admin/affiliates/link/?url__regex=(.*)*x$").text
    return "" if "ignored: url__regex" in page else "no message"


@attempt("1.4", "nonsense for ids, months and texts", "no status from 500 on")
def _(site: Site) -> str | None:
    at = f"/admin/affiliates/affiliate/{site.affiliate}"
    paths = [f"/admin/{at}/{text}/{end}" for at in LISTS for text in NONSENSE for end in ("change/", "history/", "")]
    paths += [f"{at}/reconciliation/?month={month}" for month in ("9999-12", "0001-01", "0000-00", "9" * 30)]
    paths += [f"/api/orders/{text}" for text in NONSENSE] + ["/%00", "/admin/?%00=%00", "/portal/?page=%00"]
    paths += [f"{site.callback('created/')}{text}/" for text in NONSENSE]
    answers = ((path, site.staff.get(path)) for path in paths)
    return wrong(answers, is_answer)


# --- 5: slow and large ---------------------------------------------------------------
@attempt("1.5", "100 connections that send a byte at a time", "/healthz within 1 s")
def _(site: Site) -> str | None:
    with contextlib.ExitStack() as lines:
        slow = [lines.enter_context(socket.create_connection(("127.0.0.1", site.port), timeout=10)) for _ in range(100)]
        for number, line in enumerate(slow):
            head = f"POST /portal/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {FORM}\r\nContent-Length: 900\r\n"
            line.sendall(head.encode() + (b"\r\na=" if number % 2 else b"X-A: "))
        for _ in range(5):
            for line in slow:
                line.sendall(b"a")
            time.sleep(0.3)
            if not site.is_quick():
                return "/healthz did not answer within 1 s"
    return ""


@attempt("1.5", "20 MB as a file to the log-ins", "refused")
def _(site: Site) -> str | None:
    body = PART + b"x" * 20_000_000
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    paths = ("/portal/login/", "/admin/login/", "/admin/orders/order/add/")
    return wrong(((path, site.visitor().ask("POST", path, body, kind)) for path in paths), lambda a: a.status == 413)


@attempt("1.5", "a small file in a form of staff", "refused")
def _(site: Site) -> str | None:
    token = next(value for name, value in site.staff.cookies.items() if name.endswith("csrftoken"))
    headers = {"Content-Type": "multipart/form-data; boundary=x", "X-CSRFToken": token}
    paths = ("/portal/login/", "/admin/login/", "/admin/orders/order/add/", site.callback("created/check/"))
    body = PART + b"tiny\r\n--x--\r\n"
    return wrong(((path, site.staff.ask("POST", path, body, headers)) for path in paths), lambda a: a.status == 400)


@attempt("1.5", "a head of 100 kB, requests in each other, methods that are none", "refused, and others are served")
def _(site: Site) -> str | None:
    host = b"Host: 127.0.0.1\r\n"
    sent = [
        b"GET /healthz?" + b"a" * 100_000 + b" HTTP/1.1\r\n" + host + b"\r\n",
        b"POST /healthz HTTP/1.1\r\n" + host + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /healthz HTTP/1.1\r\n" + host + b"Content-Length: -1\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + host + b"X: a\x00b\r\nY : c\r\n\r\n",
    ]
    for data in sent:
        if (answer := site.raw(data)) and not re.match(rb"HTTP/1\.[01] (4\d\d|501)", answer):
            return f"{data[:30]!r}: {answer[:40]!r}"
    return "" if site.is_quick() else "/healthz did not answer within 1 s"


# --- 6: passwords --------------------------------------------------------------------
@attempt("1.6", "guess with a forged X-Forwarded-For each time", "locked; the owner elsewhere gets in")
def _(site: Site) -> str | None:
    attacker = site.visitor("127.0.0.66")
    statuses = [
        attacker.sign_in(site.username, f"guess {number}", headers={"X-Forwarded-For": f"203.0.113.{number}"})
        for number in range(25)
    ]
    if 429 not in statuses:
        return f"25 guesses were answered with {sorted(set(statuses))}"
    return "" if site.visitor("127.0.0.77").sign_in(site.username, site.password) == 302 else "the owner is locked out"


# --- 7: TLS, headers, hosts ------------------------------------------------------------
@attempt("1.7", "a page without TLS, and its cookies", "https only, cookies are __Host-, HSTS")
def _(site: Site) -> str | None:
    if not site.is_behind_proxy:
        return None
    plain = site.visitor()
    plain.is_behind_proxy = False
    answer = plain.get("/admin/login/")
    if answer.status != 301 or not answer.headers["Location"].startswith("https://"):
        return f"without TLS: {answer.status}"
    answer = site.visitor().get("/admin/login/")
    cookies = answer.headers.get_all("Set-Cookie") or []
    if not all(cookie.startswith("__Host-") and "Secure" in cookie for cookie in cookies) or not cookies:
        return f"cookies: {cookies}"
    return "" if "max-age" in answer.headers.get("Strict-Transport-Security", "") else "no HSTS"


@attempt("1.7", "forged Host headers", "400, but /healthz, /readyz and /status answer whatever it is")
def _(site: Site) -> str | None:
    for host in ("evil.example", "10.0.0.1", "127.0.0.1@evil.example", "127.0.0.1:8000:80", "a b"):
        plain = site.visitor()
        plain.is_behind_proxy = False
        if plain.get("/healthz", headers={"Host": host}).status != 200:
            return f"/healthz with {host} is refused"
        if plain.get("/readyz", headers={"Host": host}).status not in {200, 503}:
            return f"/readyz with {host} is refused"
        if site.visitor().get("/admin/login/", headers={"Host": host}).status != 400:
            return f"{host} is taken"
    forged = site.visitor().get("/admin/login/", headers={"X-Forwarded-Host": "evil.example"})
    return "X-Forwarded-Host is taken" if "evil.example" in forged.text else ""


@attempt("1.7", "what browsers and proxies may keep", "no-store, Permissions-Policy, a content policy, no framing")
def _(site: Site) -> str | None:
    for path in ("/admin/", "/admin/orders/order/", "/portal/login/", "/api/orders/1", site.callback("created/")):
        answer = site.staff.get(path)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if "no-store" not in headers.get("cache-control", "") or "permissions-policy" not in headers:
            return f"{path} may be kept"
        if "html" in headers.get("content-type", "") and "frame-ancestors" not in headers.get(
            "content-security-policy", ""
        ):
            return f"{path} has no content policy"
    return ""


@attempt("1.7", "forms of another site, without the token", "403")
def _(site: Site) -> str | None:
    paths = ("/admin/logout/", "/admin/orders/order/add/", site.callback("created/another/"), "/portal/login/")
    headers = {"Content-Type": FORM, "Origin": "https://evil.example"}
    return wrong(((path, site.staff.ask("POST", path, "a=1", headers)) for path in paths), lambda a: a.status == 403)


# --- 9: at rest ------------------------------------------------------------------------
@attempt("1.9", "look for signing secrets in the database file", "encrypted")
def _(site: Site) -> str | None:
    if site.data_dir is None:
        return None
    site.staff.post(site.callback("updated/"), {"method": "GET", "url": "https://tracker.example/?a=1"})
    stored = b"".join(path.read_bytes() for path in site.data_dir.glob("postbacks.sqlite3*"))
    if "\N{LOCK}".encode() not in stored:
        return "no secret is there"
    return "a secret stands there as it is" if b"whsec_" in stored else ""


# --- 11: twice, formulas, numbers ------------------------------------------------------
@attempt("1.11", "five times the same new callback at once", "one is made")
def _(site: Site) -> str | None:
    path, url = site.callback("updated/another/"), f"https://tracker.example/?at={time.time()}"
    token = re.search(r'name="form_token" value="([^"]+)"', site.staff.get(path).text)
    typed = {"method": "GET", "url": url, "form_token": token[1] if token else ""}
    answers = at_once([lambda: site.staff.post(path, typed)] * 5)
    page = site.staff.get(f"/admin/affiliates/affiliate/{site.affiliate}/settings/").text
    made = len(re.findall(rf"<code[^>]*>[^<]*{re.escape(url)}", page)) or page.count(url)
    statuses = sorted({answer.status for answer in answers})
    single = len({*re.findall(r"callbacks/updated/(\d+)/remove/", page)})
    return "" if statuses == [302] and made >= 1 and single <= 2 else f"{statuses}, {single} callbacks"


@attempt("1.11", "four portal passwords at once", "no status from 500 on")
def _(site: Site) -> str | None:
    path = f"/admin/affiliates/affiliate/{site.affiliate}/settings/portal/"
    typed = {"new_password1": "a long enough passphrase", "new_password2": "a long enough passphrase"}
    answers = at_once([lambda: site.staff.post(path, typed)] * 4)
    return wrong(((path, answer) for answer in answers), is_answer)


@attempt("1.11", "a name that is a formula behind white space, in a CSV", "text")
def _(site: Site) -> str | None:
    if not site.token:
        return None
    number = f"\N{NO-BREAK SPACE}=1+1 {time.time()}"
    site.api(json.dumps({"number": number, "amount": "1", "affiliate": _code(site)}))
    text = site.staff.get("/admin/callbacks/delivery/export/").text
    cells = [cell for cell in re.split(r"[,\r\n]", text) if "=1+1" in cell]
    return "" if all(cell.strip('"').startswith("'") for cell in cells) else f"{cells[:1]}"


def _code(site: Site) -> str:
    page = site.staff.get(f"/admin/affiliates/affiliate/{site.affiliate}/change/").text
    found = re.search(r'name="code" value="([^"]+)"', page)
    return found[1] if found else ""


# --- 12: the environment -----------------------------------------------------------------
@attempt("1.12", "a proxy's password that is not ASCII, in what is printed", "not printed")
def _(site: Site) -> str | None:
    if site.manage is None:
        return None
    said = site.manage("check", CALLBACKS_PROXY_URL="http://us\u00e9r:p\u00e4ss-s3cr3t@127.0.0.1:3128")
    return "the password is printed" if "s3cr3t" in said else ""


# --- 14: the API ---------------------------------------------------------------------------
@attempt("1.14", "5 MB, no token, no such path, a wrong method", "JSON: {errors: [...]}")
def _(site: Site) -> str | None:
    if not site.token:
        return None
    asked = [
        (413, site.api(b" " * 5_000_000)),
        (400, site.api("{")),
        (401, site.visitor().ask("POST", "/api/orders", "{}", {"Content-Type": "application/json"})),
        (404, site.api("", "/api/nothing", "GET")),
        (405, site.api("{}", method="DELETE")),
        (404, site.api("", "/api/orders/no%0Asuch", "GET")),
        (404, site.api("", "/api/orders/nosuch/", "GET")),
    ]
    for status, answer in asked:
        try:
            is_shape = isinstance(json.loads(answer.body)["errors"], list)
        except (ValueError, KeyError, TypeError):
            is_shape = False
        if answer.status != status or not is_shape:
            return f"{answer.status} for {status}: {answer.text[:40]!r}"
    return "" if asked[2][1].headers["WWW-Authenticate"] else "401 without WWW-Authenticate"


@attempt("1.14", "amounts and numbers that are none", "422")
def _(site: Site) -> str | None:
    if not site.token:
        return None
    good = {"number": "#attack", "amount": "1"}
    bad = [good | {"amount": text} for text in ("1_000", "\u0661\u0662", "NaN", "Infinity", "1e999", "-0x1", "9" * 400)]
    bad += [good | {"number": text} for text in (".", "..", "", " ", "\0", "a\0", "x" * 5000)]
    answers = ((str(fields), site.api(json.dumps(fields))) for fields in bad)
    return wrong(answers, lambda answer: answer.status in {400, 422})


@attempt("1.14", "a number of two million digits", "refused within 1 s")
def _(site: Site) -> str | None:
    if not site.token:
        return None
    bodies = [f'{{"number": "a", "amount": {quoted}}}' for quoted in ("9" * 2_400_000, f'"{"9" * 2_400_000}"')]
    return wrong(((body, site.api(body)) for body in bodies), lambda a: 400 <= a.status < 500 and a.seconds < 1)


# --- 16: addresses that are set aside ------------------------------------------------------
@attempt("1.16", "callbacks to AS112 and AMT addresses", "refused")
def _(site: Site) -> str | None:
    let_through = [host for host in SPECIAL if not _is_refused(site, host)]
    return f"let through: {', '.join(let_through)}" if let_through else ""


# --- 1: time; the last of all, because a site that hangs passes nothing else ----------
@attempt("1.1", "texts made for slow expressions, in ?url= and in the form", "answered within 3 s")
def _(site: Site) -> str | None:
    def answers() -> Iterator[tuple[str, Answer]]:
        for text in HANGING:
            url = f"https://t.example/?cid={text}"
            yield text, site.staff.get(site.callback("created/another/"), {"url": url}, limit_s=6)
            yield text, site.staff.post(site.callback("created/check/"), {"url": url, "method": "GET"}, limit_s=6)

    return wrong(answers(), lambda answer: is_answer(answer) and answer.seconds < 3)


@attempt("", "after all of it", "it still answers, within 1 s")
def _(site: Site) -> str | None:
    return "" if site.is_quick() and site.staff.get("/admin/").status == 200 else "it does not"
