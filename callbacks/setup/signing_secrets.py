"""Signing secrets: replaced with a day of overlap; shown in full once, right after one was made, to who made it."""

import time
from collections.abc import Collection
from datetime import timedelta

from django.contrib.sessions.backends.base import SessionBase
from django.utils import timezone

from callbacks.models import CallbackSetting
from callbacks.postback.signing import new_secret

OVERLAP = timedelta(days=1)  # how long a secret that was replaced stays valid
NEW = "new_signing_secrets"  # callback's id -> when its secret was made; the secret itself stays where it is
SHOWN_WITHIN_S = 600.0


def rotate(setting: CallbackSetting) -> None:
    """Sign with a new secret, and for `OVERLAP` with the present one as well. One from before that ends now."""
    setting.previous_secret, setting.previous_secret_until = setting.secret, timezone.now() + OVERLAP
    setting.secret = new_secret()
    setting.save(update_fields=["secret", "previous_secret", "previous_secret_until", "updated_at"])


def to_be_shown(session: SessionBase, *settings: CallbackSetting) -> None:
    """Let the next page that shows one of these callbacks show its secret."""
    now = time.time()
    waiting = {pk: at for pk, at in session.get(NEW, {}).items() if at > now - SHOWN_WITHIN_S}
    session[NEW] = waiting | {str(setting.pk): now for setting in settings}


def take(session: SessionBase, shown: Collection[int]) -> set[int]:
    """Of the callbacks that are about to be shown, those whose secret is shown with them now, and then never again."""
    made_at = session.get(NEW, {})
    if not made_at:
        return set()
    session[NEW] = {pk: at for pk, at in made_at.items() if int(pk) not in shown}
    return {pk for pk in shown if made_at.get(str(pk), 0) > time.time() - SHOWN_WITHIN_S}
