"""What is wrong with a template, in sentences for a merchant: one problem for each code, naming all it is about."""

from collections.abc import Iterable, Sequence
from functools import reduce

from callbacks.editor.macros import HOST, Macro, meant
from callbacks.egress.targets import Problem
from callbacks.egress.wording import Sentence as _
from callbacks.postback.syntax import Fault, VariableRef

EXAMPLE = "{{order.number}}"
FILTERS = '{{link.sub_id|default:"none"}} and {{order.status|map:"new=hold,approved=sale"}}'


def from_faults(template: str, faults: Iterable[Fault]) -> tuple[Problem, ...]:
    """The problems of a template that cannot be read, in the order of their first appearance."""
    by_code: dict[str, dict[str, Fault]] = {}
    for fault in faults:
        by_code.setdefault(fault.code, {}).setdefault(fault.fragment, fault)
    return tuple(SENTENCES[code](template, list(same.values())) for code, same in by_code.items())


def from_macros(found: Sequence[Macro]) -> Problem:
    texts = tuple(dict.fromkeys(macro.text for macro in found))
    if len(texts) == 1:
        finding = _(
            "{placeholders} is a placeholder of another system and would be sent literally, not replaced by values.",
            placeholders=texts[0],
        )
        brief = _("{finding} Correct it below, or tick “Send as typed”.", finding=finding)
    else:
        finding = _(
            "{placeholders} are placeholders of another system and would be sent literally, not replaced by values.",
            placeholders=joined(texts),
        )
        brief = _("{finding} Correct them below, or tick “Send as typed”.", finding=finding)
    written = [macro for macro in found if macro.suggestion and not macro.should_go]
    message = _("{message} {remedy}", message=finding, remedy=_remedy(found, written))
    suggestions = dict.fromkeys(macro.suggestion for macro in written)
    return Problem("foreign_placeholder", message, texts, tuple(suggestions), brief)


def _remedy(found: Sequence[Macro], written: Sequence[Macro]) -> str:
    suggested: dict[str, set[str]] = {}
    for macro in found:
        suggested.setdefault(macro.text, set()).add(macro.suggestion)
    ambiguous = frozenset(text for text, variables in suggested.items() if len(variables) > 1)
    ways = list(
        dict.fromkeys(
            _("{variable} for {placeholder}", variable=macro.suggestion, placeholder=_label(macro, ambiguous))
            for macro in written
        )
    )
    if any(macro.meaning == HOST for macro in found):
        ways.append(_("the tracker's own host before the path"))
    if any(not macro.suggestion and not macro.should_go and macro.meaning != HOST for macro in found):
        ways.append(_("a variable for the rest") if ways else _("a variable instead"))
    left_out = joined(tuple(dict.fromkeys(f"{macro.parameter}={macro.text}" for macro in found if macro.should_go)))
    if not left_out:
        return _("Write {ways}, or tick “Send as typed”.", ways=joined(ways))
    if not ways:
        return _("Remove {parameters}, or tick “Send as typed”.", parameters=left_out)
    return _("Write {ways}, remove {parameters}, or tick “Send as typed”.", ways=joined(ways), parameters=left_out)


def from_variables_in_host(found: Iterable[VariableRef]) -> Problem:
    sources = tuple(dict.fromkeys(piece.source for piece in found))
    message = _(
        "{variables} cannot be used before the path. Write the tracker's own host there, and use variables only after "
        "the / or ? that follows it.",
        variables=joined(sources),
    )
    return Problem("variable_in_host", message, sources)


def joined(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    if len(parts) < 2:
        return parts[0] if parts else ""
    before = reduce(lambda some, part: _("{parts}, {part}", parts=some, part=part), parts[:-1])
    return _("{parts} and {last}", parts=before, last=parts[-1])


def _unknown_variable(template: str, faults: Sequence[Fault]) -> Problem:
    suggestions = [meant(template, fault) for fault in faults]
    fragments = tuple(fault.fragment for fault in faults)
    message: str
    if not any(fault.name for fault in faults):
        message = _(
            "The name of the variable is missing. Write it between the braces, as in {example}.", example=EXAMPLE
        )
    elif len(faults) == 1:
        message = _(
            "There is no variable {variable}. Did you mean {suggestion}?",
            variable=fragments[0],
            suggestion=suggestions[0],
        )
    else:
        pairs = [
            _("{variable} (did you mean {suggestion}?)", variable=variable, suggestion=suggestion)
            for variable, suggestion in zip(fragments, suggestions, strict=True)
        ]
        message = _("There are no variables {variables}.", variables=joined(pairs))
    if any("{{link.query.NAME}}" in suggestion for suggestion in suggestions):
        message = _("{message} Replace NAME with the name of a parameter of the referral link.", message=message)
    return Problem("unknown_variable", message, fragments, tuple(dict.fromkeys(suggestions)))


def _unbalanced_braces(_template: str, faults: Sequence[Fault]) -> Problem:
    fragments = tuple(fault.fragment for fault in faults)
    message = _(
        "The braces do not match at {places}. A variable needs two braces before its name and two after it, as in "
        "{example}. Write other braces as %7B and %7D.",
        places=joined(fragments),
        example=EXAMPLE,
    )
    return Problem("unbalanced_braces", message, fragments)


def _label(macro: Macro, ambiguous: frozenset[str]) -> str:
    """The macro's text, with its parameter if the same text means several things."""
    return f"{macro.parameter}={macro.text}" if macro.text in ambiguous and macro.parameter else macro.text


def _unknown_filter(_template: str, faults: Sequence[Fault]) -> Problem:
    said = reduce(lambda some, one: _("{message} {remedy}", message=some, remedy=one), map(_of_filter, faults))
    message = _(
        "{faults} The filters are default and map, as in {filters}. The text must be in quotes.",
        faults=said,
        filters=FILTERS,
    )
    return Problem("unknown_filter", message, tuple(fault.fragment for fault in faults))


def _of_filter(fault: Fault) -> str:
    if not fault.name:
        return _("A filter is missing after | in {variable}.", variable=fault.fragment)
    if fault.name in {"default", "map"}:
        return _("The filter {filter} in {variable} is not complete.", filter=fault.name, variable=fault.fragment)
    return _("The filter {filter} in {variable} does not exist.", filter=fault.name, variable=fault.fragment)


SENTENCES = {
    "unknown_variable": _unknown_variable,
    "unbalanced_braces": _unbalanced_braces,
    "unknown_filter": _unknown_filter,
}
