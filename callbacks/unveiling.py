"""A signing secret is shown in full once, right after it was made, to the person who made it; masked otherwise."""

import time

from django.contrib.sessions.backends.base import SessionBase

from callbacks.models import CallbackSetting

KEY = "new_signing_secrets"  # callback's id -> when its secret was made; the secret itself stays where it is
WITHIN_S = 600.0


def note(session: SessionBase, setting: CallbackSetting) -> None:
    """Remember that the next page with this callback shows its secret."""
    session[KEY] = session.get(KEY, {}) | {str(setting.pk): time.time()}


def take(session: SessionBase, shown: list[int]) -> set[int]:
    """Of the callbacks that are about to be shown, those whose secret may be read now, and not again."""
    noted = session.get(KEY)
    if not noted:
        return set()
    session[KEY] = {pk: made_at for pk, made_at in noted.items() if int(pk) not in shown}
    return {pk for pk in shown if noted.get(str(pk), 0) > time.time() - WITHIN_S}
