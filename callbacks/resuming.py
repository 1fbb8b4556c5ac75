"""A callback that was paused because its address was gone is on again with another address."""

from callbacks.models import CallbackSetting

Reason = CallbackSetting.PauseReason


def resume_if_moved(setting: CallbackSetting, url_before: str) -> bool:
    """Switch `setting` on, unsaved, if it was paused because what stood at its URL before is gone. Whether it was."""
    is_resumed = setting.pause_reason == Reason.GONE and setting.url != url_before
    if is_resumed:
        setting.is_active, setting.pause_reason = True, Reason.NONE
    return is_resumed
