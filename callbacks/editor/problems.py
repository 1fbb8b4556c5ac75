"""What is wrong with a template, in sentences for a merchant: one problem for each code, naming all it is about."""

from collections.abc import Iterable, Sequence

from callbacks.editor.macros import HOST, Macro, nearest
from callbacks.egress.targets import Problem
from callbacks.postback.syntax import Fault, VariableRef

FILTERS = '{{link.sub_id|default:"none"}} and {{order.status|map:"new=hold,approved=sale"}}'


def from_faults(faults: Iterable[Fault]) -> tuple[Problem, ...]:
    """The problems of a template that cannot be read, in the order of their first appearance."""
    by_code: dict[str, dict[str, Fault]] = {}
    for fault in faults:
        by_code.setdefault(fault.code, {}).setdefault(fault.fragment, fault)
    return tuple(SENTENCES[code](list(same.values())) for code, same in by_code.items())


def from_macros(found: Sequence[Macro]) -> Problem:
    texts = tuple(dict.fromkeys(macro.text for macro in found))
    one = len(texts) == 1
    are, stand = ("is a placeholder", "it stands") if one else ("are placeholders", "they stand")
    written = [macro for macro in found if macro.suggestion and not macro.should_go]
    ways = list(dict.fromkeys(f"{macro.suggestion} for {_label(macro, found)}" for macro in written))
    if any(macro.meaning == HOST for macro in found):
        ways.append("the tracker's own host before the path")
    if any(not macro.suggestion and not macro.should_go and macro.meaning != HOST for macro in found):
        ways.append("a variable for the rest" if ways else "a variable there")
    todo = [f"write {joined(ways)}"] if ways else []
    left_out = dict.fromkeys(f"{macro.parameter}={macro.text}" for macro in found if macro.should_go)
    todo += [f"remove {joined(tuple(left_out))}"] if left_out else []
    sentence = ", ".join([*todo, "or tick “send as typed”."])
    finding = f"{joined(texts)} {are} of another system and would be sent as {stand}."
    brief = f"{finding} Correct {'it' if one else 'them'} below, or tick “send as typed”."
    suggestions = dict.fromkeys(macro.suggestion for macro in written)
    message = f"{finding} {_capital(sentence)}"
    return Problem("foreign_placeholder", message, texts, tuple(suggestions), brief)


def from_variables_in_host(found: Iterable[VariableRef]) -> Problem:
    sources = tuple(dict.fromkeys(piece.source for piece in found))
    message = (
        f"{joined(sources)} may not stand before the path: write the tracker's host itself, and variables only after "
        "the / or ? that follows it."
    )
    return Problem("variable_in_host", message, sources)


def joined(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _unknown_variable(faults: Sequence[Fault]) -> Problem:
    suggestions = ["{{" + nearest(fault.name) + "}}" for fault in faults]
    fragments = tuple(fault.fragment for fault in faults)
    if not any(fault.name for fault in faults):
        message = "There is no variable between the braces {{ }}. Write its name there, as in {{order.number}}."
    elif len(faults) == 1:
        message = f"There is no variable {fragments[0]}. Did you mean {suggestions[0]}?"
    else:
        pairs = [f"{f} (did you mean {s}?)" for f, s in zip(fragments, suggestions, strict=True)]
        message = f"There are no variables {joined(pairs)}."
    if any("{{link.query.NAME}}" in s for s in suggestions):
        message += " NAME stands for the name of a parameter of the referral link."
    return Problem("unknown_variable", message, fragments, tuple(dict.fromkeys(suggestions)))


def _unbalanced_braces(faults: Sequence[Fault]) -> Problem:
    fragments = tuple(fault.fragment for fault in faults)
    message = (
        f"The braces do not match at {joined(fragments)}. A variable has two before its name and two after it, as in "
        "{{order.number}}; a brace that is meant as such is written %7B or %7D."
    )
    return Problem("unbalanced_braces", message, fragments)


def _label(macro: Macro, found: Sequence[Macro]) -> str:
    """The macro's text, with its parameter if the same text means several things."""
    meant = {other.suggestion for other in found if other.text == macro.text}
    return f"{macro.parameter}={macro.text}" if len(meant) > 1 and macro.parameter else macro.text


def _unknown_filter(faults: Sequence[Fault]) -> Problem:
    parts = []
    for fault in faults:
        if not fault.name:
            parts.append(f"no filter follows | in {fault.fragment}")
        elif fault.name in {"default", "map"}:
            parts.append(f"the filter {fault.name} is not written as it must be in {fault.fragment}")
        else:
            parts.append(f"there is no filter {fault.name}, as in {fault.fragment}")
    message = f"{_capital(joined(parts))}. There are two filters, each with a text in quotes: {FILTERS}."
    return Problem("unknown_filter", message, tuple(fault.fragment for fault in faults))


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


SENTENCES = {
    "unknown_variable": _unknown_variable,
    "unbalanced_braces": _unbalanced_braces,
    "unknown_filter": _unknown_filter,
}
