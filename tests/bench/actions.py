"""How a process with Django in it is asked to do something: a line of JSON in, `[action, arguments]`, and one out.

The answer is `{"done": ...}`, or `{"failed": traceback}`. Who asks is `tests.bench.processes`.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any


def serve(actions: Mapping[str, Callable[..., Any]]) -> None:
    """Do what is asked for on standard input until that ends. What is printed meanwhile is no answer."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        action, arguments = json.loads(line)
        try:
            answer = {"done": actions[action](**arguments)}
        except Exception:  # noqa: BLE001 - the one who asked shall hear of it
            answer = {"failed": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)
