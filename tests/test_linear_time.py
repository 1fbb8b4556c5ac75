"""Text from outside takes time in proportion to its length: no expression and no loop backtracks or starts over."""

from functools import partial

import pytest

from tests import expressions
from tests.expressions import Expression, Maker, fault, screened, text_of

ALL = expressions.find()
LOOKED_AT = 6


@pytest.mark.parametrize("expression", ALL, ids=str)
def test_expression_is_linear_on_texts_that_are_made_for_it(expression: Expression) -> None:
    recipes = Maker(expression.pattern).recipes()
    for run in expression.runs():
        # What is hard shows in texts of a few hundred characters already: only the hardest are measured in full.
        hard = sorted(recipes, key=lambda recipe: -screened(run, partial(text_of, recipe)))[:LOOKED_AT]
        for recipe in hard:
            found = fault(run, partial(text_of, recipe))
            assert not found, f"{expression.pattern.pattern!r} with {recipe}: {found}"

