"""The rate governor: decides when a request may leave, so that no window is ever exceeded."""

from spotify_ads_async.governor.admission import Admission
from spotify_ads_async.governor.events import (
    Admitted,
    LimitTightened,
    Paused,
    RhythmChanged,
    StoreLost,
    StoreRegained,
    Waiting,
    WaitRefused,
)
from spotify_ads_async.governor.governor import Governor, Pace, Scope
from spotify_ads_async.governor.snapshot import Snapshot, WindowSnapshot
from spotify_ads_async.governor.wait_queue import Priority
from spotify_ads_async.limits import CAUTIOUS_LIMITS, PUBLISHED_LIMITS, Limit, parse_limits

__all__ = ["CAUTIOUS_LIMITS", "PUBLISHED_LIMITS", "Admission", "Governor", "Limit", "Pace", "Priority", "Scope"]
__all__ += ["Admitted", "LimitTightened", "Paused", "RhythmChanged", "StoreLost", "StoreRegained", "WaitRefused"]
__all__ += ["Snapshot", "Waiting", "WindowSnapshot", "parse_limits"]
