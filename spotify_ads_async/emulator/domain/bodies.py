"""Bodies of requests, checked; those of changes as the emulator's way of patching puts them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

import msgspec

from spotify_ads_async.emulator.domain.checking import Checker
from spotify_ads_async.emulator.domain.patching import patched
from spotify_ads_async.emulator.domain.store import Store

__all__ = ["checked_body"]

_PATCHED: Mapping[str, tuple[str, str]] = {
    "updateCampaign": ("campaigns", "campaign_id"),
    "updateAdSet": ("ad_sets", "ad_set_id"),
    "updateAd": ("ads", "ad_id"),
    "updateCampaignDraft": ("campaign_drafts", "draft_campaign_id"),
    "updateAdSetDraft": ("ad_set_drafts", "draft_ad_set_id"),
    "updateAdDraft": ("ad_drafts", "draft_ad_id"),
}
"""The changes of entities: in which table they are, and which part of the path names one."""


def checked_body(store: Store, checker: Checker, operation: str, path: Mapping[str, str], content: bytes) -> Any:  # noqa: ANN401 - whatever the document says
    """A request's body, checked; that of a change as :attr:`Store.patch` says it is put.

    Raises:
        Refusal: the document does not allow the body, or what it changes is not there.
    """
    place = _PATCHED.get(operation)
    sent: Any = None
    if place is not None:
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            sent = msgspec.json.decode(content)
    if place is None or not isinstance(sent, dict):
        return checker.body(content)
    kind, parameter = place
    present = store.account(path["ad_account_id"]).tables[kind].rows.get(path[parameter], {})
    return patched(store, checker, present, cast("dict[str, Any]", sent), content)
