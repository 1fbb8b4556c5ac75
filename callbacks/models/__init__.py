"""The tables of callbacks, and the rules that belong to a single row.

`setting` (callback settings: event, HTTP method, URL, ...; with `names`; troubled hosts), `history` (their changes),
`health` (those that fail),
`delivery` (deliveries, attempts), `job` (resends and backfills), `hourly` (counts of requests), `test_quota`
(limits of test sends), `retention` (what is remembered of rows that are gone), `audit` (who asked for a request),
`sql` (many rows in one statement). Four classes and their tables keep the names of an older release, and get their
present ones here. Who sends deliveries is `callbacks.delivery`, who runs jobs is `callbacks.jobs`.
"""

from callbacks.models.delivery import Attempt, Delivery
from callbacks.models.health import EndpointHealth
from callbacks.models.history import SettingChange
from callbacks.models.hourly import Counted as CountedUpTo
from callbacks.models.hourly import Hour as HourlyCount
from callbacks.models.job import Errand as Job
from callbacks.models.retention import KeptOrders, KeptResult, Pruned
from callbacks.models.setting import CallbackSetting, EventType, TroubledHost
from callbacks.models.test_quota import Turn as TestQuota

__all__ = [
    "Attempt", "CallbackSetting", "CountedUpTo", "Delivery", "EndpointHealth", "EventType", "HourlyCount", "Job",
    "KeptOrders", "KeptResult", "Pruned", "SettingChange", "TestQuota", "TroubledHost",
]  # fmt: skip
