"""Text from outside takes time in proportion to its length: no expression backtracks, and no loop starts over."""

import contextlib
import gc
from collections.abc import Callable
from datetime import UTC, datetime
from functools import _lru_cache_wrapper, partial

import pytest
from django import forms
from django.core.validators import EmailValidator, URLValidator
from django.http import QueryDict

from affiliates import referral
from affiliates.models import Affiliate, Link
from callbacks.delivery import retry
from callbacks.editor import check, corrections, macros, repair, statuses, trackers
from callbacks.egress import addresses, soft_failures, targets
from callbacks.egress.addresses import NOTHING_MORE
from callbacks.models import CallbackSetting
from callbacks.postback import render, syntax
from callbacks.setup import diagnosis, preview
from callbacks.setup.bulk import hosts
from callbacks.setup.forms import CallbackSettingForm
from config.listing import csv_download
from tests import expressions
from tests.expressions import Expression, Maker, fault, screened, text_of

ALL = expressions.find()
LOOKED_AT = 6


@pytest.mark.parametrize("expression", ALL, ids=str)
def test_expression_is_linear_on_texts_that_are_made_for_it(expression: Expression) -> None:
    recipes = Maker(expression.pattern).recipes()
    for run in expression.runs():
        # What is hard shows in short texts already: only the hardest are measured in full.
        hard = sorted(recipes, key=lambda recipe: -screened(run, partial(text_of, recipe)))[:LOOKED_AT]
        for recipe in hard:
            found = fault(run, partial(text_of, recipe))
            assert not found, f"{expression.pattern.pattern!r} with {recipe}: {found}"


def test_expressions_are_found_wherever_they_are_made() -> None:
    places = {expression.place.partition(":")[0] for expression in ALL}
    using_re = {name for name, tree in expressions.sources() if "re" in expressions.imported(tree)}
    assert places >= using_re
    assert {"affiliates.models", "orders.models.order"} <= places  # a validator, and a constraint of the database
    assert {"editor.js", "check.js"} <= places  # what reads the field while it is typed


# --- whole functions ---------------------------------------------------------
def nested_entities(length: int) -> str:
    """HTML codes of a digit in HTML codes: each round of repairs undoes one."""
    digits = {"8": "56", "6": "54", "4": "52", "2": "50", "0": "48"}
    text, last = "", "8"
    while len(text) < length // 2:
        text += f"&#{digits[last][0]}"
        last = digits[last][1]
    return text + last + ";" * text.count("&")


def nested(begin: str, part: str, end: str) -> Callable[[int], str]:
    """Each part in the one before it."""
    return lambda length: begin + part * (length // 2 // len(part)) + end * (length // 2 // len(end))


TEXTS: dict[str, Callable[[int], str]] = {
    name: partial(text_of, recipe)
    for name, recipe in {
        "a placeholder in capitals": ("https://t.example/?cid=REPLACE", "A", "!"),
        "a placeholder in capitals with underscores": ("https://t.example/?cid=REPLACE", "_A", "_!"),
        "variables in quotes that are not closed": ("https://t.example/?a={{", '\'":"{{', ""),
        "a filter and spaces": ("https://t.example/?a={{order.number|", " ", '"}}'),
        "a filter with a name and spaces": ("https://t.example/?a={{order.number|x", " ", '"}}'),
        "filters": ("https://t.example/?a={{order.number", '|default:""', "}}"),
        "braces": ("https://t.example/?a=", "{{", ""),
        "braces that are closed": ("https://t.example/?a=", "}}{{a}}", ""),
        "unknown variables": ("https://t.example/?a=", "{{a}}", ""),
        "placeholders": ("https://t.example/?a=1", "&status={status}", ""),
        "names of marks": ("https://t.example/", "".join(f"q{number}z" for number in range(3000)), ""),
        "percent signs": ("https://t.example/?a=", "%", ""),
        "encoded braces": ("https://t.example/?a=", "%7B", "%7D"),
        "encoded URLs": ("https%3A%2F%2F", "%253A%2525", ""),
        "names that a browser has eaten": ("https://t.example/?a", "=¬é", "=1"),
        "question marks and blanks": ("https://t.example/?a=", " ?a= &", "="),
        "full-width signs": ("https://t.example/", "＆｛ａ", "é"),  # noqa: RUF001
        "links around links": ("https://urldefense.com/v3/__https://t.example/", "__;*", "!"),
        "quotes": ("", '"', ""),
        "closing quotes": ("https://t.example/", "”", ""),
        "quotes and spaces": ("", " \u2018 ", "x"),
        "backslashes": ("https://t.example/", "\\", "&"),
        "escapes of escapes": ("https://t.example/\\u005c", "u005c", "u0026"),
        "line breaks": ("https://t.example/", " \n", "x"),
        "many URLs": ("", "https://t.example/ ", ""),
        "accents in a host": ("https://a", "\u0300\u0316", ".example/?ref=a"),
        "accents in a host with a tab": ("https:/\t/a", "\u0300\u0316", ".example/?ref=a"),
        "accents in a query": ("https://t.example/?sub_id=a", "\u0300\u0316", ""),
        "labels of a host": ("https://", "a.", "example/"),
        "users": ("https://", "a@", "t.example/"),
        "brackets": ("https://[", "[:", "]/"),
        "a port": ("https://t.example:", "9", "/"),
        "slashes": ("https://t.example", "/", "x"),
        "folders": ("https://t.example/", "../", "x"),
        "parameters": ("https://t.example/?a", "&a=", ""),
        "a refusal": ("", "=", "no click!x"),
        "words of a refusal": ("", "click id ", ""),
        "an error and spaces": ("error:", " ", "x"),
        "a page": ("<!--", "--> ", "<title"),
        "an object": ("{", '"error":"no click",', '"a":1}'),
        "objects": ("", '{"a":', ""),
        "digits": ("", "1", ""),
        "spaces": ("", " ", "x"),
        "at signs": ("a@", "a@", "t.example"),
        "dots": ("a@", "a.", ""),
        "commas": ("Mon, ", "1 Jan ", "2026"),
    }.items()
} | {
    "HTML codes in HTML codes": nested_entities,
    "angle brackets": nested("", "<", ">"),
    "quotes in quotes": nested("", "“\u2018", "\u2019”"),
}
STATUS_TRACKER = "https://t.example/postback?subid={{link.sub_id}}&status={{order.status}}&lead_status="


def form_of(text: str) -> CallbackSettingForm:
    setting = CallbackSetting(affiliate=Affiliate(name="Joe", code="joe"), event="order.created")
    setting.known_names = []
    return CallbackSettingForm(QueryDict(mutable=True) | {"url": text, "method": "GET"}, instance=setting)


def typed(text: str) -> CallbackSetting:
    return CallbackSetting(affiliate=Affiliate(name="Joe", code="joe"), event="order.created", url=text)


def look_at(text: str) -> None:
    """All that the form shows of what was typed."""
    form = form_of(text)
    found = form.diagnosis
    _ = found.offers, found.summary, form.corrected_url, form.has_macros
    for leave_out in (False, True):
        form.with_correction(found.corrections[0].start if found.corrections else 0, leave_out=leave_out)
    if found.template:
        preview.preview(form.typed, found.template, None)


def quietly(function: Callable[[str], object], *errors: type[Exception]) -> Callable[[str], None]:
    def run(text: str) -> None:
        with contextlib.suppress(*errors):
            function(text)

    return run


FUNCTIONS: dict[str, Callable[[str], object]] = {
    "check": lambda text: check.check(text, NOTHING_MORE),
    "repair": repair.repair,
    "corrections": corrections.corrections,
    "corrected": corrections.corrected,
    "redirected": lambda text: corrections.redirected(text, "https://t.example/", text),
    "redirected to": lambda text: corrections.redirected("https://t.example/", "https://t.example/", text),
    "macros": macros.find,
    "nearest": macros.nearest,
    "trackers": trackers.recognise,
    "statuses": lambda text: statuses.misunderstood(STATUS_TRACKER + text),
    "soft failures": soft_failures.find,
    "scan": syntax.scan,
    "outline": lambda text: syntax.outline(syntax.scan(text)[0]),
    "render": quietly(lambda text: render.render(text, {}), render.RenderError),
    "read": quietly(targets.read, targets.TargetError),
    "host of a template": targets.host_of,
    "wire problem": targets.wire_problem,
    "policy problem": lambda text: targets.policy_problem(text, NOTHING_MORE),
    "name to look up": lambda text: targets.wire_problem(text) or targets.name_to_look_up(text),
    "host problem": lambda text: addresses.host_problem(text.removeprefix("https://"), NOTHING_MORE),
    "host typed": lambda text: hosts.problem_of(hosts.bare(text)),
    "place of a host": lambda text: hosts.place_of("https", text.removeprefix("https://")),
    "diagnosis": lambda text: diagnosis.of(typed(text)),
    "form": look_at,
    "referral": lambda text: referral.parse(text).sub_id,
    "link": quietly(lambda text: Link(url=text).clean_fields(exclude={"affiliate", "digest"}), forms.ValidationError),
    "URL": quietly(URLValidator(schemes=["http", "https"]), forms.ValidationError),
    "e-mail": quietly(EmailValidator(), forms.ValidationError),
    "cell": csv_download.cell,
    "Retry-After": lambda text: retry.retry_after_seconds(text, datetime.now(UTC)),
}


def uncached(function: Callable[[str], object]) -> Callable[[str], object]:
    """Without what an earlier run has remembered."""
    remembering = [
        found for found in gc.get_objects() if type(found) is _lru_cache_wrapper
    ]  # asks no lazy object what it is
    ours = [found for found in remembering if found.__module__.partition(".")[0] in expressions.APPS]

    def run(text: str) -> None:
        for each in ours:
            each.cache_clear()
        function(text)

    return run


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_is_linear_on_every_hard_text(name: str) -> None:
    run = uncached(FUNCTIONS[name])
    found = {text: said for text, make in TEXTS.items() if (said := fault(run, make))}
    assert found == {}
