"""Finds every regular expression of the project in its source, and makes texts that are hard for each of them.

A text is hard where parts of a match can be shared out in many ways, or where a match that fails begins again a little
later. So texts are made of what the expression itself looks for: a beginning, a part of it again and again, an end.
"""

import ast
import importlib
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from re import _constants as sre  # type: ignore[attr-defined]  # how Python takes an expression apart
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
APPS = ("affiliates", "callbacks", "config", "orders")
FIRST_ONLY = {"match", "fullmatch", "search"}
SCRIPTED = re.compile(r"(?:^|[=(,!&|?:]|return)\s*/(?![/*])((?:[^/\\\[]|\\.|\[(?:[^\]\\]|\\.)*\])+)/[a-z]*(?=[\s.,;)])")
METHODS = FIRST_ONLY | {"sub", "subn", "split", "findall", "finditer"}
# The local names that expressions inside of functions are made with, by module: each set of values is one expression.
LOCALS: dict[str, Callable[[Any], list[dict[str, Any]]]] = {
    "callbacks.editor.trackers": lambda module: [{"tracker": tracker} for tracker in module.TRACKERS],
    "callbacks.editor.url_parts": lambda _: [
        {"separators": separators, "parameter": "status"} for separators in ("/;", "?&;#")
    ],
    "callbacks.setup.diagnosis": lambda _: [{"parameter": "cid"}],
}


@dataclass(frozen=True)
class Expression:
    """A compiled expression, where it stands, and by which methods it is used."""

    place: str
    pattern: re.Pattern[str]
    uses: frozenset[str]

    def __str__(self) -> str:
        return self.place

    def runs(self) -> list[Callable[[str], object]]:
        """What the project does with a text and this expression."""
        found: list[Callable[[str], object]] = [getattr(self.pattern, use) for use in sorted(self.uses & FIRST_ONLY)]
        return [*found, self.pattern.findall] if self.uses - FIRST_ONLY else found


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the project, but for migrations: its name, and its source."""
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
                yield name, ast.parse(path.read_text("utf-8"))


def imported(tree: ast.Module) -> set[str]:
    """The modules that a module imports as a whole."""
    return {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}


def find() -> list[Expression]:
    """All expressions of the project. Raises `LookupError` for one that `LOCALS` should know and does not."""
    trees = dict(sources())
    found = [expression for name, tree in trees.items() for expression in _of_module(name, tree, trees)]
    return found + [expression for app in APPS for expression in _of_scripts(ROOT / app)]


def _of_scripts(app: Path) -> Iterator[Expression]:
    """Those of the scripts of pages. None of them is written in a way that Python reads otherwise."""
    for path in sorted(app.rglob("*.js")):
        if "vendor" not in path.parts:
            for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
                for source in SCRIPTED.findall(line.partition("// ")[0]):
                    yield Expression(f"{path.name}:{number}", re.compile(source), frozenset({"search", "findall"}))


def _of_module(name: str, tree: ast.Module, trees: dict[str, ast.Module]) -> Iterator[Expression]:
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    for node in ast.walk(tree):
        made, uses = _expression_in(node)
        if made is None:
            continue
        if "compile" in uses:
            uses = _uses(node, name, parents, trees)
        flags = [keyword.value for keyword in getattr(node, "keywords", []) if keyword.arg == "flags"]
        flags += node.args[1:2] if isinstance(node, ast.Call) and _method_of_re(node) == "compile" else []
        for number, pattern in enumerate(_evaluated(name, made, flags)):
            yield Expression(f"{name}:{node.lineno}{f'.{number}' if number else ''}", pattern, frozenset(uses))


def _method_of_re(node: ast.AST) -> str:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return ""
    is_re = isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
    return node.func.attr if is_re and node.func.attr in METHODS | {"compile"} else ""


def _expression_in(node: ast.AST) -> tuple[ast.expr | None, set[str]]:
    """The expression that `node` makes or uses, and how: `re.NAME(...)`, a validator, a lookup of the database."""
    if isinstance(node, ast.Call) and (method := _method_of_re(node)):
        return node.args[0], {method}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "RegexValidator":
        return node.args[0], {"search"}
    if isinstance(node, ast.keyword) and (node.arg or "").endswith(("__regex", "__iregex")):
        return node.value, {"search"}
    return None, set()


def _uses(node: ast.AST, name: str, parents: dict[ast.AST, ast.AST], trees: dict[str, ast.Module]) -> set[str]:
    """The methods by which a compiled expression is used; any, if it has no name of its own."""
    parent = parents[node]
    if isinstance(parent, ast.Attribute):
        return {parent.attr}
    if not (isinstance(parent, ast.Assign) and isinstance(target := parent.targets[0], ast.Name)):
        return {"search", "findall"}
    found = set()
    for other, tree in trees.items():
        for used in ast.walk(tree):
            if not (isinstance(used, ast.Attribute) and used.attr in METHODS):
                continue
            owner = used.value
            is_here = other == name and isinstance(owner, ast.Name) and owner.id == target.id
            is_there = isinstance(owner, ast.Attribute) and owner.attr == target.id
            found |= {used.attr} if is_here or is_there else set()
    return found or {"search"}


def _evaluated(name: str, made: ast.expr, flags: list[ast.expr]) -> list[re.Pattern[str]]:
    module = importlib.import_module(name)
    for local in LOCALS.get(name, lambda _: [{}])(module):
        if any(isinstance(part, ast.Name) and part.id in local for part in ast.walk(made)):
            break
    else:
        return [_compiled(name, made, flags, vars(module))]
    return list(
        {p: None for local in LOCALS[name](module) for p in [_compiled(name, made, flags, vars(module) | local)]}
    )


def _compiled(name: str, made: ast.expr, flags: list[ast.expr], names: dict[str, Any]) -> re.Pattern[str]:
    def value(expression: ast.expr) -> Any:
        return eval(compile(ast.Expression(expression), name, "eval"), dict(names))

    try:
        found: re.Pattern[str] = re.compile(value(made), *map(value, flags))
    except NameError as error:
        raise LookupError(f"{name}:{made.lineno} is made with {error.name}: give LOCALS a value for it.") from error
    return found


# --- hard texts --------------------------------------------------------------
ENDS = ("", "!", "\0", " ", "\n", "x", "{", "~", '"')
SIGNS = 3  # single characters that a repeated part may be made of
MOST = 450  # texts for one expression
REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)


class Maker:
    """Makes hard texts for one expression, the same at every run."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._dice = random.Random(ascii(pattern.pattern))
        self._tree = list(parser.parse(pattern.pattern, pattern.flags))

    def recipes(self) -> list[tuple[str, str, str]]:
        """Beginning, repeated part and end of some hundred texts."""
        found: dict[tuple[str, str, str], None] = {}
        parts: set[str] = set()
        for begin, items in self._repeats("", self._tree):
            whole = [self._text(items) for _ in range(3)]
            signs = sorted({sign for text in whole for sign in text})
            chosen = {*whole, *self._dice.sample(signs, min(SIGNS, len(signs))), begin + whole[0]} - {""}
            parts |= chosen
            found |= dict.fromkeys(
                (start, part, end) for start in {begin, ""} for part in sorted(chosen) for end in ENDS
            )
        for _ in range(40):  # what the whole looks for, begun again and again
            text = self._text(self._tree)
            cut = text[: self._dice.randint(1, len(text) or 1)] or "a"
            parts.add(cut)
            found[self._dice.choice(["", text]), cut, self._dice.choice(ENDS)] = None
        known = sorted(parts | {*CANDIDATES})
        for _ in range(160):  # by chance
            part = "".join(self._dice.choices(known, k=self._dice.choice((1, 2, 2, 3, 4, 30))))
            found[self._dice.choice(["", *sorted(parts)]), part, self._dice.choice(ENDS)] = None
        return self._dice.sample(sorted(found), min(MOST, len(found)))

    def _repeats(self, begin: str, items: Any) -> Iterator[tuple[str, Any]]:
        """What may be repeated without end, each with a text that leads there."""
        for op, value in items:
            if op in REPEATS:
                if value[1] > MAX_BOUNDED:
                    yield begin, value[2]
                yield from self._repeats(begin, value[2])
            else:
                for inner in _inside(op, value):
                    yield from self._repeats(begin, inner)
            begin += self._sample(op, value)

    def _text(self, items: Any) -> str:
        return "".join(self._sample(op, value) for op, value in items)

    def _sample(self, op: Any, value: Any) -> str:
        dice = self._dice
        if op is sre.LITERAL:
            return chr(value)
        if op in {sre.NOT_LITERAL, sre.IN, sre.ANY}:
            items = (
                [(sre.NEGATE, None), (sre.LITERAL, value)] if op is sre.NOT_LITERAL else value or [(sre.NEGATE, None)]
            )
            return dice.choice(_members(items))
        if op is sre.BRANCH:
            return self._text(dice.choice(value[1]))
        if op is sre.SUBPATTERN:
            return self._text(value[3])
        if op is sre.ATOMIC_GROUP:
            return self._text(value)
        if op in REPEATS:
            least, most, items = value
            count = dice.randint(least, min(int(most), least + 3))
            return "".join(self._text(items) for _ in range(count))
        return ""  # anchors, and what is only looked at


def _inside(op: Any, value: Any) -> list[Any]:
    """What a part of an expression is made of; also what is only looked at."""
    if op is sre.BRANCH:
        return list(value[1])
    if op is sre.SUBPATTERN:
        return [value[3]]
    if op is sre.ATOMIC_GROUP:
        return [value]
    return [value[1]] if op in {sre.ASSERT, sre.ASSERT_NOT} else []


MAX_BOUNDED = 16  # a part that may be repeated more often is tried as one without end
CANDIDATES = [*map(chr, range(9, 127)), "\0", "é", "\u2028", "\u00a0", "\ue000", "¤", "“", "²"]
CATEGORIES = {
    sre.CATEGORY_DIGIT: str.isdigit,
    sre.CATEGORY_SPACE: str.isspace,
    sre.CATEGORY_WORD: lambda sign: sign.isalnum() or sign == "_",
}
OPPOSITES = {
    sre.CATEGORY_NOT_DIGIT: sre.CATEGORY_DIGIT,
    sre.CATEGORY_NOT_SPACE: sre.CATEGORY_SPACE,
    sre.CATEGORY_NOT_WORD: sre.CATEGORY_WORD,
}


def _members(items: Any) -> list[str]:
    """Some characters of a set."""
    is_negated = items[0][0] is sre.NEGATE

    def holds(sign: str) -> bool:
        for op, value in items:
            if op is sre.LITERAL and ord(sign) == value:
                return True
            if op is sre.RANGE and value[0] <= ord(sign) <= value[1]:
                return True
            if op is sre.CATEGORY:
                is_opposite = value in OPPOSITES
                if CATEGORIES[OPPOSITES.get(value, value)](sign) != is_opposite:
                    return True
        return False

    found = [sign for sign in CANDIDATES if holds(sign) != is_negated]
    return found or [
        chr(value if op is sre.LITERAL else value[0]) for op, value in items if op in {sre.LITERAL, sre.RANGE}
    ]


def text_of(recipe: tuple[str, str, str], length: int) -> str:
    begin, part, end = recipe
    return begin + part * max(1, (length - len(begin) - len(end)) // len(part)) + end


# --- time --------------------------------------------------------------------
SIZES = (4096, 8192, 16384)
GROWTH = 8.0  # from 4 to 16 kB: linear is 4, quadratic is 16
UNNOTICED_S = 0.002  # what takes no longer for 16 kB cannot be measured well, and need not be
TOO_LONG_S = 2.0  # is broken off


class TooLongError(Exception):
    """It took more processor time than it may."""


def _break_off(*_: object) -> None:
    raise TooLongError


def seconds(run: Callable[[str], object], text: str, times: int = 1, limit_s: float = TOO_LONG_S) -> float:
    """The least time of this thread that one of so many runs took; infinite if one did not end within the limit."""
    before = signal.signal(signal.SIGVTALRM, _break_off)
    least = float("inf")
    try:
        for _ in range(times):
            signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
            began = time.thread_time()
            run(text)
            least = min(least, time.thread_time() - began)
    except TooLongError:
        pass
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    return least


def screened(run: Callable[[str], object], make: Callable[[int], str]) -> float:
    """How hard a text is, by shorter forms of it."""
    for length in (24, 40, 80, 600):
        if (taken := seconds(run, make(length), limit_s=0.02)) > 0.01:
            return 1e6 / length
    return taken


def fault(run: Callable[[str], object], make: Callable[[int], str]) -> str:
    """How the time of `run` grows with the length of what `make` makes, if that is more than linear; "" if not."""
    for times in (1, 3, 9):  # a machine that is busy gets another try
        taken = [seconds(run, make(length), times) for length in SIZES]
        if float("inf") in taken:
            break
        if taken[-1] <= max(UNNOTICED_S, GROWTH * taken[0]):
            return ""
    return " -> ".join(f"{1000 * each:.2f} ms" for each in taken)
