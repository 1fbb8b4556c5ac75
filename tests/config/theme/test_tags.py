"""The theme's own parts: amounts, times, chips, and that a page holds nothing the content security policy forbids."""

import os
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.template import Context, Template

from callbacks.models import Delivery
from callbacks.reports.callback_health import Health
from config.theme.templatetags import theme

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
STYLES = sorted([*ROOT.glob("[a-z]*/static/*/*.css"), *ROOT.glob("config/theme/static/theme/*.css")])


def rendered(source, **context):
    return Template("{% load theme %}" + source).render(Context(context))


@pytest.mark.parametrize(("rate", "shown"), [("0.15", "15 %"), ("0.125000", "12.5 %"), ("0", "0 %"), ("1", "100 %")])
def test_percent_is_as_short_as_it_can_be(rate, shown):
    assert theme.percent(Decimal(rate)) == shown.replace(" ", "\N{NO-BREAK SPACE}")


def test_name_breaks_after_its_points_and_is_no_markup():
    assert theme.breakable("link.query.utm_source") == "link.<wbr>query.<wbr>utm_<wbr>source"
    assert theme.breakable("link.query.<b>") == "link.<wbr>query.<wbr>&lt;b&gt;"


@pytest.mark.parametrize(
    ("percents", "shown"),
    [(0, "0 %"), (0.01, "0.1 %"), (12, "12 %"), (66.666, "66.7 %"), (99.96, "99.9 %"), (100, "100 %")],
)
def test_share_is_never_rounded_to_all_or_nothing(percents, shown):
    assert theme.share(percents) == shown.replace(" ", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize(
    ("ms", "shown"), [(None, ""), (0.42, "0.4 ms"), (9.96, "10 ms"), (142.4, "142 ms"), (10001.2, "10.0 s")]
)
def test_milliseconds_are_as_exact_as_it_matters(ms, shown):
    assert theme.milliseconds(ms) == shown


# --- times -------------------------------------------------------------------
def test_when_says_utc_for_those_without_scripts_and_the_exact_time_for_the_script():
    html = rendered("{% when moment 'clock' %}", moment=datetime(2026, 3, 14, 9, 26, 53, 589000, tzinfo=UTC))
    assert 'datetime="2026-03-14T09:26:53.589+00:00"' in html
    assert 'data-form="clock"' in html
    assert "14 Mar 2026, 09:26:53 UTC</time>" in html


def test_when_is_followed_by_a_full_stop_without_a_space():
    html = rendered("since {% when moment %}.", moment=datetime.now(UTC))
    assert html.endswith("</time>.")


def test_when_without_a_time_says_what_it_is_told_to():
    assert "never" in rendered("{% when None 'short' 'never' %}")
    assert rendered("{% when None %}").strip() == ""


# --- names -------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "letters"),
    [("Reyes Media", "RM"), ("joe", "J"), ("", "?"), ("  ", "?"), ("& Co", "C"), ("ábel van Søn", "ÁV")],
)
def test_initials_are_those_of_the_first_two_words(name, letters):
    assert theme.initials(name) == letters


# --- chips -------------------------------------------------------------------
@pytest.mark.parametrize("state", [*Delivery.Status.values, *Health.values, *theme.CHIPS])
def test_chip_says_its_state_by_icon_word_and_colour(state):
    html = rendered("{% chip state %}", state=state)
    tone, icon, word = theme.CHIPS[state]
    assert f"is-{tone}" in html
    assert f"#{icon}" in html
    assert str(word) in html


def test_icon_that_a_template_or_chip_names_is_in_the_sprite():
    there = set(re.findall(r'<symbol id="([\w-]+)"', (ROOT / "config/theme/static/theme/icons.svg").read_text()))
    named = {icon for _, icon, _ in theme.CHIPS.values()}
    for path in TEMPLATES:
        named |= set(re.findall(r'{% icon "([\w-]+)" %}', path.read_text()))
    assert named <= there


# --- static files -------------------------------------------------------------
def test_static_file_that_a_template_names_is_there():
    named = {name for path in TEMPLATES for name in re.findall(r"{% static '([^']+)' %}", path.read_text())}
    assert len(named) > 8
    assert [name for name in sorted(named) if not finders.find(name)] == []


def test_script_imports_what_is_there():
    scripts = [*ROOT.glob("[a-z]*/static/*/js/*.js"), *ROOT.glob("config/theme/static/**/*.js")]
    assert len(scripts) > 10
    for script in scripts:
        served = Path("/static", *script.parts[script.parts.index("static") + 1 :])
        for name in re.findall(r'from "([^"]+)"', script.read_text()):
            found = os.path.normpath(served.parent / name).removeprefix("/static/")
            assert finders.find(found), f"{script.name} imports {name}"


# --- what the content security policy allows ---------------------------------
@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_template_holds_no_inline_style_and_no_inline_script(path):
    source = path.read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=[\"']|javascript:", source)
    assert not re.search(r"<script(?![^>]*\bsrc=| type=.application/json.)[^>]*>", source)


@pytest.mark.parametrize("path", STYLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_style_uses_tokens_that_are_there_and_nothing_from_elsewhere(path):
    source = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    assert not re.findall(r"https?://|@import", source)
    defined = set(re.findall(r"(--[\w-]+):", (ROOT / "config/theme/static/theme/tokens.css").read_text()))
    assert set(re.findall(r"var\((--[\w-]+)\)", source)) <= defined
