from callbacks.models.delivery import Attempt, Delivery, TroubledHost
from callbacks.models.history import SettingChange
from callbacks.models.hourly import Counted as CountedUpTo
from callbacks.models.hourly import Hour as HourlyCount
from callbacks.models.job import Errand as Job
from callbacks.models.setting import CallbackSetting, EventType
from callbacks.models.test_quota import Turn as TestQuota

__all__ = [
    "Attempt", "CallbackSetting", "CountedUpTo", "Delivery", "EventType", "HourlyCount", "Job", "SettingChange",
    "TestQuota", "TroubledHost",
]  # fmt: skip
