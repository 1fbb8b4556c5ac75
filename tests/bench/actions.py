"""How a process with Django in it is asked to do something: a line of JSON in, `[action, arguments]`, and one out.

The answer is `{"done": ...}`, or `{"failed": traceback}`. Before it come lines `{"so_far": ...}`, which say that work
goes on: there is no other limit of time. Who asks is `tests.bench.processes`.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

ANSWERS = os.fdopen(os.dup(1), "w")  # what is printed is no answer
os.dup2(2, 1)


def serve(actions: Mapping[str, Callable[..., Any]]) -> None:
    """Do what is asked for on standard input until that ends."""
    for line in sys.stdin:
        action, arguments = json.loads(line)
        try:
            _answer({"done": actions[action](**arguments)})
        except Exception:  # noqa: BLE001 - the one who asked shall hear of it
            _answer({"failed": traceback.format_exc()})


def progress(so_far: object) -> None:
    """Say how far an action is that takes long."""
    _answer({"so_far": so_far})


def _answer(answer: dict[str, object]) -> None:
    print(json.dumps(answer), file=ANSWERS, flush=True)
