"""Replaces signing secrets, with a day in which both sign, and shows a new one in full once, to who made it."""

import time
from collections.abc import Collection
from datetime import timedelta

from django.contrib.sessions.backends.base import SessionBase
from django.utils import timezone

from callbacks.models import CallbackSetting
from callbacks.postback.signing import new_secret

OVERLAP = timedelta(days=1)  # how long a secret that was replaced stays valid
NEW = "new_signing_secrets"  # in the session: callback's id -> when its secret was made; never the secret itself
SHOWN_WITHIN_S = 600.0


def rotate(setting: CallbackSetting) -> None:
    """Sign with a new secret, and for `OVERLAP` with the present one as well. One from before that ends now."""
    setting.previous_secret, setting.previous_secret_until = setting.secret, timezone.now() + OVERLAP
    setting.secret = new_secret()
    setting.save(update_fields=["secret", "previous_secret", "previous_secret_until", "updated_at"])


def to_be_shown(session: SessionBase, *settings: CallbackSetting) -> None:
    """Let the next page of this session that shows one of these callbacks show its secret."""
    now = time.time()
    waiting = {pk: at for pk, at in session.get(NEW, {}).items() if at > now - SHOWN_WITHIN_S}
    session[NEW] = waiting | {str(setting.pk): now for setting in settings}


def waiting(session: SessionBase, shown: Collection[int]) -> set[int]:
    """Those of the callbacks about to be shown whose secret is still to be shown."""
    made_at = session.get(NEW, {})
    return {pk for pk in shown if made_at.get(str(pk), 0) > time.time() - SHOWN_WITHIN_S}


def take(session: SessionBase, shown: Collection[int]) -> set[int]:
    """As `waiting`; their secrets are to be shown now, and are never shown again."""
    found = waiting(session, shown)
    if made_at := session.get(NEW, {}):
        session[NEW] = {pk: at for pk, at in made_at.items() if int(pk) not in shown}
    return found
