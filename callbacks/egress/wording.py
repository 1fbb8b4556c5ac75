"""Sentences that the rooms without Django make, and that can be translated where they are shown.

A sentence is its English text, so it can be used as one; it remembers what it was made of.
"""

from typing import Self


class Sentence(str):
    """`text` with its `{names}` filled in. Import it as `_`, so that `makemessages` finds the texts."""

    __slots__ = ("params", "text")
    text: str
    params: dict[str, object]

    def __new__(cls, text: str, **params: object) -> Self:
        made = super().__new__(cls, text.format(**params) if params else text)
        made.text, made.params = text, params
        return made

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)
