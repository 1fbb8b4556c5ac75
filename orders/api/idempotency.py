"""A POST with an Idempotency-Key is done once: sent again within a day, it gets the same answer.

The answer is stored in the transaction of what was done, so that neither is there without the other. The row is
inserted before anything is done: another request with the same key waits for this transaction, and then finds the
answer; or, if it was rolled back, is the first one itself. Old answers are deleted by a task.
"""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from ninja.decorators import decorate_view
from ninja.errors import AuthenticationError

from config.security import security_log
from orders.api.access import token_of
from orders.intake.problems import answer
from orders.models import ApiToken, IdempotentAnswer

HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
KEPT = timedelta(hours=24)
MAX_LENGTH = 255
_UNDER_WAY = 0  # the status of a row that this transaction has inserted and not yet filled

Run = Callable[..., HttpResponseBase]

# For the operation's `openapi_extra`.
DOCUMENTED: dict[str, Any] = {
    "parameters": [
        {
            "in": "header",
            "name": HEADER,
            "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH, "pattern": "^[!-~]([ -~]*[!-~])?$"},
            "description": "Any text of your own, such as a UUID. The same request with the same key is done once: "
            f"for 24 hours it gets the same answer, with the header `{REPLAYED}: true`.",
        }
    ]
}


def _once(run: Run) -> Run:
    operation: Any = run.__self__  # type: ignore[attr-defined]  # a bound method

    @wraps(run)
    def answered(request: HttpRequest, **path: Any) -> HttpResponseBase:
        key = request.headers.get(HEADER)
        if key is None:
            return run(request, **path)
        try:
            # Nobody is told a stored answer who may not ask. `run` does this too, then at no cost.
            if refused := operation._run_checks(request):  # noqa: SLF001 - ninja has no other name for it
                return refused  # type: ignore[no-any-return]  # ninja brings no type for it
            if not 0 < len(key) <= MAX_LENGTH or not key.isascii() or not key.isprintable():
                wrong = f"The key must have 1 to {MAX_LENGTH} characters, all of them printable ASCII."
                return answer(422, [(HEADER, "invalid", wrong)])
            try:
                return _stored(request, key, lambda: run(request, **path))
            except IntegrityError as error:
                if ApiToken.objects.filter(pk=token_of(request).pk).exists():
                    raise
                security_log.warn(request, "token_refused", reason="unknown")
                raise AuthenticationError from error  # it was deleted, and is remembered for a moment
        except Exception as error:  # noqa: BLE001 - the handlers of the API raise what they do not know
            return operation.api.on_exception(request, error)  # type: ignore[no-any-return]  # as above

    return answered


once = decorate_view(_once)


def _stored(request: HttpRequest, key: str, run: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    asked = f"{request.method} {request.get_full_path()}\n".encode("utf-8", "surrogateescape") + request.body
    fingerprint = hashlib.sha256(asked).hexdigest()
    token = token_of(request)
    rows = IdempotentAnswer.objects.filter(token=token, key=key)
    with transaction.atomic():
        rows.filter(created_at__lt=timezone.now() - KEPT).delete()
        mine = IdempotentAnswer(token=token, key=key, fingerprint=fingerprint, status=_UNDER_WAY)
        IdempotentAnswer.objects.bulk_create([mine], ignore_conflicts=True)  # waits for another one's transaction
        kept = rows.get()
        if kept.fingerprint != fingerprint:
            used = "Another request was sent with this key. Use a new key for each request."
            return answer(422, [(HEADER, "idempotency_key_reused", used)])
        if kept.status != _UNDER_WAY:
            return HttpResponse(
                kept.body,
                status=kept.status,
                content_type="application/json; charset=utf-8",
                headers={REPLAYED: "true"},
            )
        response = run()
        if response.status_code >= 500:  # it may succeed the next time
            transaction.set_rollback(True)
        else:
            assert isinstance(response, HttpResponse)
            rows.update(status=response.status_code, body=response.content.decode())
    return response
