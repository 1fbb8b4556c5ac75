"""Writes our variables where a pasted URL means them in other words: what a person would do with the suggestions.

Pure. Whether the result can be saved is `callbacks.templating`; what a word means is `callbacks.placeholders`.
"""

from collections.abc import Iterator

from callbacks import grammar, placeholders


def corrected(template: str) -> str:
    """`template` with every suggestion taken that can be taken without asking; unchanged if there is none."""
    for start, end, text in sorted(_replacements(template), reverse=True):
        template = template[:start] + text + template[end:]
    return template


def _replacements(template: str) -> Iterator[tuple[int, int, str]]:
    for found in placeholders.find(template):
        if found.suggestion:
            yield found.start, found.end, found.suggestion
    for fault in grammar.scan(template)[1]:
        if fault.code == "unknown_variable" and fault.name:
            variable = placeholders.nearest(fault.name)
            if not variable.endswith(".NAME"):  # there NAME stands for what only a person knows
                end = fault.start + len(fault.fragment)
                yield fault.start, end, fault.fragment.replace(fault.name, variable, 1)
