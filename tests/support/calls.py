"""One call of every kind there is, for tests of what happens when it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spotify_ads_async import AdsClient, Governor, RetryPolicy
from spotify_ads_async.models import (
    AdSetUpdate,
    AssetFormat,
    AssetType,
    AssetUpload,
    BidEstimateQuery,
    BidStrategy,
    CampaignCreate,
    CampaignObjective,
    Targets,
)
from spotify_ads_async.operation import Operation
from spotify_ads_async.operations import (
    CREATE_CAMPAIGN,
    CREATE_DRAFT_FROM_CAMPAIGN,
    DELETE_CAMPAIGN_DRAFT,
    ESTIMATE_BID,
    GET_AD_SET_BY_ID,
    START_UPLOAD_CHUNKED_ASSET,
    UPDATE_AD_SET,
    UPLOAD_ASSET,
)

ACCOUNT = "ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a"
THING = "d1f5ad71-4a32-4d25-a3e2-8e5f0f25a6a1"
MORE_THAN_SOCKETS_HOLD = 16 * 1024 * 1024

QUICK = RetryPolicy(first_delay=0.001, longest_delay=0.004)
ONCE = RetryPolicy(attempts=1, refusals=0)


@dataclass(frozen=True)
class Call:
    """A call and the answer that it expects."""

    operation: Operation[Any]
    path: Mapping[str, str]
    body: object = None
    status: int = 200
    answer: object = field(default_factory=lambda: {"id": THING})

    async def by(self, ads: AdsClient, **options: Any) -> Any:  # noqa: ANN401 - whatever the operation answers
        return await ads.call(self.operation, path=self.path, body=self.body, **options)


def campaign(name: str = "Autumn") -> CampaignCreate:
    return CampaignCreate(name=name, objective=CampaignObjective.REACH)


READ = Call(GET_AD_SET_BY_ID, {"ad_account_id": ACCOUNT, "ad_set_id": THING})
READ_BY_POST = Call(
    ESTIMATE_BID,
    {},
    BidEstimateQuery(
        asset_format=AssetFormat.AUDIO,
        objective=CampaignObjective.REACH,
        bid_strategy=BidStrategy.MAX_BID,
        currency="USD",
        targets=Targets(),
    ),
    answer={"currency": "USD"},
)
DELETE_DRAFT = Call(
    DELETE_CAMPAIGN_DRAFT, {"ad_account_id": ACCOUNT, "draft_campaign_id": THING}, status=204, answer=b""
)
CREATE = Call(CREATE_CAMPAIGN, {"ad_account_id": ACCOUNT}, campaign(), status=201)
CREATE_BARE = Call(CREATE_DRAFT_FROM_CAMPAIGN, {"ad_account_id": ACCOUNT, "campaign_id": THING}, status=201)
WRITE = Call(UPDATE_AD_SET, {"ad_account_id": ACCOUNT, "ad_set_id": THING}, AdSetUpdate(name="Autumn"))
WRITE_BARE = Call(
    START_UPLOAD_CHUNKED_ASSET, {"ad_account_id": ACCOUNT, "asset_id": THING}, answer={"max_chunk_size_mb": 5}
)
UPLOAD = Call(
    UPLOAD_ASSET,
    {"ad_account_id": ACCOUNT, "asset_id": THING},
    AssetUpload(media=b"sound" * 9000, asset_type=AssetType.AUDIO),
)
LARGE_UPLOAD = Call(
    UPLOAD.operation, UPLOAD.path, AssetUpload(media=bytes(MORE_THAN_SOCKETS_HOLD), asset_type=AssetType.AUDIO)
)

SAFE = {"read": READ, "read by POST": READ_BY_POST, "delete of a draft": DELETE_DRAFT}
KEYED = {"create": CREATE, "create without body": CREATE_BARE}
NEVER = {"write": WRITE, "write without body": WRITE_BARE, "upload": UPLOAD}
EVERY = SAFE | KEYED | NEVER


def client(base_url: str, credentials: Any = "a-token", **options: Any) -> AdsClient:  # noqa: ANN401 - as AdsClient takes them
    """A client without windows that repeats at once, unless told otherwise."""
    return AdsClient(credentials, base_url=base_url, **({"governor": Governor([]), "policy": QUICK} | options))
