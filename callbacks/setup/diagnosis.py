"""Looks at a callback while it is typed: its tracker, the repairs, the corrections to offer, problems and warnings.

The rules are those of saving, which `CallbackSetting.finding` asks. What the affiliate's links and the tracker tell is
added here. Nothing is saved.
"""

import re
from copy import copy
from dataclasses import dataclass

from callbacks.editor import corrections, problems, statuses, trackers, url_parts
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
class Diagnosis:
    """What there is to say of a typed template.

    `template` is what can be sent: as typed, or with all suggestions taken (`is_corrected`); "" where neither can.
    `click_id` is the variable that holds it in the links of this affiliate.
    """

    mended: str = ""
    template: str = ""
    is_corrected: bool = False
    is_half_typed: bool = False
    trackers: tuple[Tracker, ...] = ()
    repairs: tuple[Repair, ...] = ()
    corrections: tuple[Correction, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    click_id: str = click_ids.SUB_ID

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
        return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)

    @property
    def offers(self) -> list[Offer]:
        """Each correction with the whole template after it alone was taken, or its parameter left out."""
        return [Offer(found, found.taken(self.mended), found.left_out(self.mended)) for found in self.corrections]

    @property
    def summary(self) -> str:
        """All of it in one line, for screen readers."""
        if self.is_half_typed:
            return ""
        parts = [f"{self.tracker_names} recognised." if self.trackers else ""]
        parts.append(_counted(len(self.corrections), "value to correct", "values to correct"))
        parts.append(_counted(len(self.problems), "problem", "problems"))
        parts.append(_counted(len(self.warnings), "warning", "warnings"))
        return " ".join(part for part in parts if part)


def of(setting: CallbackSetting) -> Diagnosis:
    """The diagnosis of a setting as it was typed; it need not be saved, or valid."""
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
        repairs=finding.repairs,
        corrections=tuple(corrections.corrections(mended, send_as_typed=typed, click_id=click_id)),
        problems=finding.problems,
        warnings=(
            *_with_click(template, best.warnings, recognised, click_id),
            *click_ids.warnings(template, links),
            *_of_status(template, recognised),
        ),
        click_id=click_id,
    )


def _with_click(
    template: str, warnings: tuple[Problem, ...], recognised: tuple[Tracker, ...], click_id: str
) -> tuple[Problem, ...]:
    """Say by which parameter this tracker knows the click, where that holds nothing of the link."""
    if not template or len(recognised) != 1 or not recognised[0].click_id:
        return warnings
    name, parameter = recognised[0].name, recognised[0].click_id
    if _holds_link(template, parameter):
        return warnings
    is_there = parameter in url_parts.parameters_of(template)
    message = f"{name} knows the click by {parameter}, " + (
        "which holds no variable of the link. " if is_there else "which is missing. "
    )
    message += f"Write {parameter}={{{{{click_id}}}}}, or the parameter of the link that holds the click id."
    others = tuple(warning for warning in warnings if warning.code != "no_click_id")
    return (*others, Problem("click_id_elsewhere", message, (parameter,), (f"{{{{{click_id}}}}}",)))


def _of_status(template: str, recognised: tuple[Tracker, ...]) -> tuple[Problem, ...]:
    """Say which statuses this tracker does not understand, or that it is told none."""
    known = statuses.known_words(template)
    if not known or len(recognised) != 1:
        return ()
    name = recognised[0].name
    unknown = statuses.misunderstood(template)
    if unknown:
        words = problems.joined([words[0] for words in known.values()])
        message = f"{name} understands {words}, but not {problems.joined(unknown.words)}. Write {unknown.suggestion}."
        return (Problem("status_words", message, unknown.words, (unknown.suggestion,)),)
    suggestion = statuses.missing(template)
    if not suggestion:
        return ()
    message = f"{name} takes a postback without a status for a sale, even if the order is rejected. Add {suggestion}."
    return (Problem("status_missing", message, (recognised[0].status,), (suggestion,)),)


def _holds_link(template: str, parameter: str) -> bool:
    """Whether the value of `parameter` has a variable of the link in it."""
    masked = syntax.masked(template)
    _, end = url_parts.authority_span(template)
    for match in re.finditer(rf"(?<=[?&;/]){re.escape(parameter)}=([^&#;]*)", masked[end:]):
        value = template[end + match.start(1) : end + match.end(1)]
        pieces, _ = syntax.scan(value)
        if any(isinstance(piece, syntax.VariableRef) and piece.name.startswith("link.") for piece in pieces):
            return True
    return False


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}." if count else ""
