"""Looks at a callback while it is typed: its tracker, the repairs, the corrections to offer, problems and warnings.

The rules are those of saving, which `CallbackSetting.finding` asks. What the affiliate's links, other callbacks and the
tracker tell is added here, and what a press would do about each warning. Nothing is saved.
"""

import re
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from callbacks.editor import check, corrections, problems, statuses, trackers, url_parts
from callbacks.editor.check import Finding
from callbacks.editor.corrections import Correction
from callbacks.editor.repair import Repair
from callbacks.editor.trackers import Tracker
from callbacks.egress.targets import Problem
from callbacks.models import CallbackSetting
from callbacks.postback import syntax
from callbacks.setup import click_ids

UNREADABLE = frozenset({"required", "too_long", "several_urls"})
HALF_TYPED = re.compile(r"(?:https?:?/{0,2})?[^/?]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Offer:
    """A correction, and the template with its suggestion in it (`used`) or without its parameter (`left_out`)."""

    correction: Correction
    used: str
    left_out: str


@dataclass(frozen=True, slots=True)
class Hint:
    """A warning; `fixed` is the template without its reason, and `label` what the button says that takes it."""

    warning: Problem
    label: str = ""
    fixed: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What there is to say of a typed template.

    `template` is what can be sent: as typed, or with all suggestions taken (`is_corrected`); "" where neither can.
    The `trackers` have URLs like this one; it `is_certain` where the host is their own. `click_id` is the variable that
    holds it in the links of this affiliate.
    """

    mended: str = ""
    template: str = ""
    is_corrected: bool = False
    is_half_typed: bool = False
    trackers: tuple[Tracker, ...] = ()
    is_certain: bool = False
    repairs: tuple[Repair, ...] = ()
    corrections: tuple[Correction, ...] = ()
    problems: tuple[Problem, ...] = ()
    hints: tuple[Hint, ...] = ()
    click_id: str = click_ids.SUB_ID

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(hint.warning for hint in self.hints)

    @property
    def is_readable(self) -> bool:
        """Whether it is one URL that is not too long, so that there is something to correct."""
        return not any(problem.code in UNREADABLE for problem in self.problems)

    @property
    def tracker(self) -> Tracker | None:
        """The tracker, if only one has URLs like this."""
        return self.trackers[0] if len(self.trackers) == 1 else None

    @property
    def tracker_names(self) -> str:
        """`Voluum`, or `Voluum, BeMob or PeerClick`; "" if none is known."""
        names = [tracker.name for tracker in self.trackers]
        if len(names) < 2:
            return "".join(names)
        return _("%(names)s or %(last)s") % {"names": ", ".join(names[:-1]), "last": names[-1]}

    @property
    def offers(self) -> list[Offer]:
        """Each correction with the whole template after it alone was taken, or its parameter left out."""
        return [Offer(found, found.taken(self.mended), found.left_out(self.mended)) for found in self.corrections]

    @property
    def summary(self) -> str:
        """All of it in one line, for screen readers."""
        if self.is_half_typed:
            return ""
        counted = (
            (ngettext("%(count)d value to correct.", "%(count)d values to correct.", n := len(self.corrections)), n),
            (ngettext("%(count)d problem.", "%(count)d problems.", n := len(self.problems)), n),
            (ngettext("%(count)d warning.", "%(count)d warnings.", n := len(self.hints)), n),
        )
        tracker = _("%(tracker)s recognized.") if self.is_certain else _("Looks like %(tracker)s.")
        parts = [tracker % {"tracker": self.tracker_names}] if self.trackers else []
        return " ".join(parts + [sentence % {"count": count} for sentence, count in counted if count])


def of(setting: CallbackSetting, others: Iterable[CallbackSetting] = ()) -> Diagnosis:
    """The diagnosis of a setting as it was typed; it need not be saved, or valid. `others` are for the same event."""
    finding = setting.finding()
    mended = finding.template
    if any(problem.code in UNREADABLE for problem in finding.problems):
        found = finding.problems if mended else ()
        return Diagnosis(mended=mended, is_half_typed=not mended, repairs=finding.repairs, problems=found)
    typed, links = setting.send_as_typed, click_ids.latest(setting.affiliate_id)
    click_id = click_ids.variable(links)
    best, is_corrected = finding, False
    if finding.problems:
        healed = corrections.corrected(mended, send_as_typed=typed, click_id=click_id)
        if healed != mended:
            other = copy(setting)
            other.url = healed
            corrected = other.finding()
            if not corrected.problems:
                best, is_corrected = corrected, True
    template = "" if best.problems else best.template
    recognised = trackers.recognise(best.template)
    return Diagnosis(
        mended=mended,
        template=template,
        is_corrected=is_corrected,
        is_half_typed=HALF_TYPED.fullmatch(mended) is not None,
        trackers=recognised,
        is_certain=trackers.is_certain(best.template),
        repairs=finding.repairs,
        corrections=tuple(corrections.corrections(mended, send_as_typed=typed, click_id=click_id)),
        problems=finding.problems,
        hints=(
            *_hints(template, best, recognised, links, click_id, is_corrected=is_corrected),
            *_of_others(template, others),
        ),
        click_id=click_id,
    )


def _hints(
    template: str,
    finding: Finding,
    recognised: tuple[Tracker, ...],
    links: click_ids.Links,
    click_id: str,
    *,
    is_corrected: bool,
) -> Iterator[Hint]:
    """All warnings, each with its button; without one where `template` has the suggestions that nobody took yet."""
    tracker = recognised[0] if template and len(recognised) == 1 else None
    of_click = _of_click(template, tracker, click_id) if tracker and not finding.suggests_json else None
    found = [_of_rules(template, each) for each in finding.warnings if not of_click or each.code != "no_click_id"]
    found += [of_click] if of_click else []
    found += [_of_sub_id(template, warning) for warning in click_ids.warnings(template, links)]
    if tracker and (of_status := _of_status(template, tracker)):
        found.append(of_status)
    for hint in found:
        yield Hint(hint.warning) if is_corrected and hint.fixed else hint


def _of_others(template: str, others: Iterable[CallbackSetting]) -> Iterator[Hint]:
    """That the tracker would get each event twice."""
    if template and (other := next((each for each in others if check.is_same_url(each.url, template)), None)):
        message = _("The callback “%(name)s” already sends these events to the same URL.") % {"name": other.name}
        yield Hint(Problem("same_url", message))


def _of_rules(template: str, warning: Problem) -> Hint:
    if warning.code == "no_variables":
        return Hint(warning, _("Use POST JSON"))
    start, end = url_parts.authority_span(template)
    if warning.code == "plain_http" and ":" not in template[start:end]:
        return Hint(warning, _("Use https"), f"https{template[4:]}")
    return Hint(warning)


def _of_sub_id(template: str, warning: Problem) -> Hint:
    """With another variable in the place of the `sub_id`, if one is known."""
    if not warning.suggestions:
        return Hint(warning)
    pieces, _faults = syntax.scan(template)
    name = warning.suggestions[0].strip("{}")
    sources = (
        piece.source.replace(click_ids.SUB_ID, name, 1)
        if isinstance(piece, syntax.VariableRef) and piece.name == click_ids.SUB_ID
        else piece.source
        for piece in pieces
    )
    return Hint(warning, _("Replace"), "".join(sources))


def _of_click(template: str, tracker: Tracker, click_id: str) -> Hint | None:
    """By which parameter this tracker identifies the click, where that holds nothing of the link."""
    parameter = tracker.click_id
    if not parameter or _holds_link(template, parameter):
        return None
    if is_there := parameter in url_parts.parameters_of(template):
        message = _("%(tracker)s identifies the click by %(parameter)s, which has no variable of the link.")
    else:
        message = _("%(tracker)s identifies the click by %(parameter)s, which is missing.")
    message += " " + (_("Use %(suggestion)s.") if is_there else _("Add %(suggestion)s."))
    value = f"{{{{{click_id}}}}}"
    words = {"tracker": tracker.name, "parameter": parameter, "suggestion": f"{parameter}={value}"}
    warning = Problem("click_id_elsewhere", message % words, (parameter,), (value,))
    return Hint(warning, _("Replace") if is_there else _("Add"), _with_parameter(template, parameter, value))


def _of_status(template: str, tracker: Tracker) -> Hint | None:
    """Which statuses this tracker does not understand, or that it is sent none."""
    known = statuses.known_words(template)
    if not known:
        return None
    if unknown := statuses.misunderstood(template):
        message = _("%(tracker)s accepts the statuses %(words)s, but not %(unknown)s. Use %(suggestion)s.") % {
            "tracker": tracker.name,
            "words": problems.joined([words[0] for words in known.values()]),
            "unknown": problems.joined(unknown.words),
            "suggestion": unknown.suggestion,
        }
        fixed = template[: unknown.start] + unknown.suggestion + template[unknown.end :]
        return Hint(Problem("status_words", message, unknown.words, (unknown.suggestion,)), _("Replace"), fixed)
    if not (suggestion := statuses.missing(template)):
        return None
    message = _(
        "%(tracker)s counts a postback without a status as a sale, even for a rejected order. Add %(suggestion)s."
    ) % {"tracker": tracker.name, "suggestion": suggestion}
    fixed = _with_parameter(template, *suggestion.split("=", 1))
    return Hint(Problem("status_missing", message, (tracker.status,), (suggestion,)), _("Add"), fixed)


def _with_parameter(template: str, parameter: str, value: str) -> str:
    """The template with this value of a query parameter, which is added at the end if it is not there."""
    if span := url_parts.value_span(template, parameter):
        return template[: span[0]] + value + template[span[1] :]
    end = syntax.masked(template).find("#")
    end = len(template) if end < 0 else end
    separator = "" if template[end - 1] in "?&" else "&" if "?" in syntax.masked(template)[:end] else "?"
    return f"{template[:end]}{separator}{parameter}={value}{template[end:]}"


def _holds_link(template: str, parameter: str) -> bool:
    """Whether the value of `parameter` has a variable of the link in it."""
    masked = syntax.masked(template)
    end = url_parts.authority_span(template)[1]
    for match in re.finditer(rf"(?<=[?&;/]){re.escape(parameter)}=([^&#;]*)", masked[end:]):
        value = template[end + match.start(1) : end + match.end(1)]
        pieces, _faults = syntax.scan(value)
        if any(isinstance(piece, syntax.VariableRef) and piece.name.startswith("link.") for piece in pieces):
            return True
    return False
