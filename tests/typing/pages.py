"""The documentation's examples, for type checkers: written by `make api` from the pages."""

# A page shows values as a notebook does, and names things that a reader goes on with.
# pyright: reportUnusedExpression=false, reportUnusedVariable=false, reportPossiblyUnboundVariable=false

from __future__ import annotations


async def tutorial() -> None:
    import os

    from spotify_ads_async import AdsClient, Priority, micros
    from spotify_ads_async.models import AdSetSortField, AdSetStatus, AdSetUpdate, Delivery

    ads = AdsClient.from_env()
    account = ads.ad_account(os.environ["SPOTIFY_ADS_AD_ACCOUNT_ID"])
    print((await account.get()).name)

    page = await account.ad_sets.list(limit=5, sort_field=AdSetSortField.NAME)
    print(page.total, [ad_set.name for ad_set in page.items])

    active = [ad_set async for ad_set in account.ad_sets.list(statuses=[AdSetStatus.ACTIVE])]
    everything = await account.ad_sets.list().collect()
    assert len(active) <= len(everything) == page.total

    ad_set = everything[0]
    changed = await account.ad_sets.update(ad_set.id, AdSetUpdate(name="Autumn", bid_micro_amount=micros("12.50")))
    assert changed.bid_micro_amount == 12_500_000

    from spotify_ads_async import InvalidRequest

    try:
        await account.ad_sets.update(ad_set.id, AdSetUpdate(name="Winter", delivery=Delivery.OFF))
    except InvalidRequest as error:
        print(error.path, "-", error.rule)

    for window in ads.quota().windows:
        print(window.limit, window.available, "of", window.capacity)

    patient = ads.with_options(priority=Priority.BULK).ad_account(account.id)
    await patient.ad_sets.update(ad_set.id, AdSetUpdate(name="Autumn, later"))
    await ads.aclose()


async def audience_files() -> None:
    import os
    from pathlib import Path

    from spotify_ads_async import AdsClient

    ads = AdsClient.from_env()
    account = ads.ad_account(os.environ["SPOTIFY_ADS_AD_ACCOUNT_ID"])
    Path("customers.csv").write_text("name,email\nJane, Jane.Doe@Example.com\nJoe,joe@example.com\n")

    done = await account.audiences.upload_file("customers.csv", name="Customers")
    done.id, done.status, done.identifiers, done.repeated

    again = await account.audiences.upload_file(["joe@example.com", "jill@example.com"], audience_id=done.id)
    again.identifiers
    await ads.aclose()


async def bulk_changes() -> None:
    import os
    from pathlib import Path

    from spotify_ads_async import AdsClient, bulk

    ads = AdsClient.from_env()
    plan = Path("rename.plan")
    await bulk.plan_selection(
        ads,
        os.environ["SPOTIFY_ADS_AD_ACCOUNT_ID"],
        bulk.ENTITIES["ad sets"],
        plan,
        where=["name~runners"],
        settings=["bid_amount=+5%"],
    )
    async with bulk.apply(ads, plan) as run:
        async for row in run:
            print(row.line, row.entity_id, row.outcome, row.reason)

    print(run.progress)

    from spotify_ads_async.operations import OPERATIONS

    async for ad_set in ads.ad_account(os.environ["SPOTIFY_ADS_AD_ACCOUNT_ID"]).ad_sets.list():
        break

    path = {"ad_account_id": os.environ["SPOTIFY_ADS_AD_ACCOUNT_ID"], "ad_set_id": ad_set.id}
    targets = (await ads.call(OPERATIONS["getAdSetById"], path=path)).json["targets"]
    targets["genders"] = ["FEMALE"]
    await ads.with_options(validate=False).call(OPERATIONS["updateAdSet"], path=path, body={"targets": targets})
    await ads.aclose()


async def clone_a_campaign() -> None:
    import os
    from datetime import UTC, datetime, timedelta

    from spotify_ads_async import AdsClient

    ads = AdsClient.from_env()
    account = ads.ad_account(os.environ["SPOTIFY_ADS_AD_ACCOUNT_ID"])
    campaign = (await account.campaigns.list(limit=1)).items[0]

    made = await account.trees.clone_campaign(
        campaign.id,
        name="Autumn, second flight",
        rename=lambda name: f"{name} II",
        start=datetime.now(UTC).replace(microsecond=0) + timedelta(days=7),
    )
    made.campaign_id, made.ids, made.errors

    made = await account.trees.clone_campaign(
        campaign.id,
        name="Autumn, third flight",
        start=datetime.now(UTC).replace(microsecond=0) + timedelta(days=7),
        publish=True,
    )
    made.published, made.differences, made.notes

    await account.trees.export("account.jsonl")
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)
    drafts = await account.trees.load(
        "account.jsonl", receipt="account.receipt", rename=lambda name: f"{name} III", start=start
    )
    len(drafts)
    await ads.aclose()


async def create_a_campaign() -> None:
    import os
    from datetime import UTC, datetime, timedelta

    from spotify_ads_async import AdsClient, micros
    from spotify_ads_async.models import CampaignCreate, CampaignObjective, CampaignStatus, CampaignUpdate

    ads = AdsClient.from_env()
    account = ads.ad_account(os.environ["SPOTIFY_ADS_AD_ACCOUNT_ID"])

    campaign = await account.campaigns.create(CampaignCreate(name="Autumn launch", objective=CampaignObjective.REACH))
    await account.campaigns.update(campaign.id, CampaignUpdate(status=CampaignStatus.PAUSED))

    from spotify_ads_async.models import (
        AdSetCreate,
        AgeRange,
        AssetFormat,
        BidStrategy,
        Budget,
        BudgetType,
        GeoTargets,
        Placement,
        Targets,
    )

    categories = await ads.ad_categories.list().collect()
    category = next(category for category in categories if not category.id.endswith("_0"))  # _0 is a group of categories
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)

    ad_set = await account.ad_sets.create(
        AdSetCreate(
            name="Runners, 18 to 45",
            campaign_id=campaign.id,
            category=category.id,
            start_time=start,
            end_time=start + timedelta(days=14),
            budget=Budget(micro_amount=micros("250.00"), type=BudgetType.LIFETIME),
            bid_strategy=BidStrategy.MAX_BID,
            bid_micro_amount=micros("12.50"),
            asset_format=AssetFormat.AUDIO,
            targets=Targets(
                geo_targets=GeoTargets(country_code="GB"),
                age_ranges=[AgeRange(min=18, max=45)],
                placements=[Placement.MUSIC],
            ),
        )
    )

    import struct
    import wave
    import zlib


    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


    with wave.open("spot.wav", "wb") as sound:
        sound.setparams((2, 2, 44100, 0, "NONE", ""))
        sound.writeframes(bytes(4 * 44100))

    with open("cover.png", "wb") as picture:
        header = struct.pack(">IIBBBBB", 640, 640, 8, 0, 0, 0, 0)
        picture.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header))
        picture.write(chunk(b"IDAT", zlib.compress((b"\0" + b"\x80" * 640) * 640)))
        picture.write(chunk(b"IEND", b""))

    spot = await account.assets.upload("spot.wav", name="Autumn spot")
    cover = await account.assets.upload("cover.png", name="Autumn cover")

    from spotify_ads_async.models import AdAssets, AdCreate, CallToAction, CallToActionKey

    ad = await account.ads.create(
        AdCreate(
            name="Runners, 30 seconds",
            ad_set_id=ad_set.id,
            advertiser_name="Example Shoes",
            tagline="Run further",
            assets=AdAssets(asset_id=spot.id, companion_asset_id=cover.id, logo_asset_id=cover.id),
            call_to_action=CallToAction(key=CallToActionKey.SHOP_NOW, clickthrough_url="https://www.example.com/shoes"),
        )
    )

    print(campaign.name, ad_set.name, ad.name, ad.status)
    await account.campaigns.update(campaign.id, CampaignUpdate(status=CampaignStatus.ACTIVE))

    first = await account.campaigns.create(
        CampaignCreate(name="Winter", objective=CampaignObjective.REACH), idempotency_key="winter-2026"
    )
    again = await account.campaigns.create(
        CampaignCreate(name="Winter", objective=CampaignObjective.REACH), idempotency_key="winter-2026"
    )
    assert first.id == again.id

    from spotify_ads_async.models import CampaignDraftCreate

    draft = await account.drafts.campaigns.create(CampaignDraftCreate(name="Perhaps"))
    await account.drafts.campaigns.delete(draft.id)
    await ads.aclose()


async def networks() -> None:
    from spotify_ads_async import AdsClient, TransportOptions

    options = TransportOptions(proxy="http://me:pa/ss@proxy.example:3128", no_proxy="10.0.0.0/8, intern.example")
    ads = AdsClient("token", transport=options)
    await ads.aclose()


async def notebook() -> None:
    import os

    from spotify_ads_async import AdsClient

    ads = AdsClient.from_env()
    account = ads.ad_account(os.environ["SPOTIFY_ADS_AD_ACCOUNT_ID"])
    (await account.get()).name

    page = await account.ad_sets.list(limit=5)
    ad_sets = await account.ad_sets.list().collect()
    page.total, len(ad_sets)

    import msgspec
    import polars as pl

    rows = [
        {"name": ad_set.name, "status": ad_set.status and ad_set.status.value, "bid": ad_set.bid_micro_amount}
        for ad_set in ad_sets
    ]
    pl.DataFrame(rows).head()

    msgspec.to_builtins(ad_sets[0])

    for window in ads.quota().windows:
        print(window.limit, window.available, "of", window.capacity)

    await ads.aclose()


async def pause() -> None:
    import os

    from spotify_ads_async import AdsClient
    from spotify_ads_async.models import AdSetUpdate, CampaignStatus, CampaignUpdate, Delivery

    ads = AdsClient.from_env()
    account = ads.ad_account(os.environ["SPOTIFY_ADS_AD_ACCOUNT_ID"])
    ad_set = (await account.ad_sets.list(limit=1)).items[0]
    await account.ad_sets.update(ad_set.id, AdSetUpdate(delivery=Delivery.OFF))
    await account.ad_sets.update(ad_set.id, AdSetUpdate(delivery=Delivery.ON))

    campaign = (await account.campaigns.list(limit=1)).items[0]
    await account.campaigns.update(campaign.id, CampaignUpdate(status=CampaignStatus.PAUSED))
    await ads.aclose()


async def share_a_quota() -> None:
    import asyncio
    import os

    from spotify_ads_async import AdsClient


    async def main() -> None:
        async with AdsClient.from_env() as ads:
            account = ads.ad_account(os.environ["SPOTIFY_ADS_AD_ACCOUNT_ID"])
            print(len(await account.ad_sets.list().collect()), "ad sets")
            for window in ads.quota().windows:
                print(window.limit, window.available, "of", window.capacity)


    asyncio.run(main())

    from spotify_ads_async import PUBLISHED_LIMITS, Governor

    governor = Governor([limit.divided(4) for limit in PUBLISHED_LIMITS])  # in each of four processes


async def sign_in() -> None:
    from spotify_ads_async import AdsClient, RefreshToken

    ads = AdsClient(RefreshToken(client_id="…", client_secret="…", refresh_token="…"))
    await ads.aclose()

    from pathlib import Path

    from spotify_ads_async import RefreshToken, Secret


    class FileStore:
        """A secret manager would do the same."""

        def __init__(self, file: Path) -> None:
            self.file = file

        async def load(self) -> Secret | None:
            return Secret(self.file.read_text()) if self.file.exists() else None

        async def save(self, refresh_token: Secret) -> None:
            temporary = self.file.with_suffix(".new")
            temporary.touch(mode=0o600)
            temporary.write_text(refresh_token.reveal())
            temporary.replace(self.file)


    credentials = RefreshToken("client ID", "client secret", "first refresh token", store=FileStore(Path("token")))


async def upload_media() -> None:
    import os
    import wave

    from spotify_ads_async import AdsClient

    ads = AdsClient.from_env()
    account = ads.ad_account(os.environ["SPOTIFY_ADS_AD_ACCOUNT_ID"])
    with wave.open("spot.wav", "wb") as spot:
        spot.setparams((2, 2, 44100, 0, "NONE", ""))
        spot.writeframes(bytes(4 * 44100))

    done = await account.assets.upload("spot.wav", name="Autumn spot")
    done.id, done.status, done.sha256

    from spotify_ads_async.uploads import UploadProgress


    def show(event: UploadProgress) -> None:
        print(f"{event.file}: {event.phase}, {event.sent} of {event.size} bytes")


    await account.assets.upload("spot.wav", progress=show)
    await ads.aclose()


async def watch() -> None:
    import os

    from spotify_ads_async import AdsClient
    from spotify_ads_async.events import Event, RequestAnswered, RequestSent

    ads = AdsClient.from_env()
    account = ads.ad_account(os.environ["SPOTIFY_ADS_AD_ACCOUNT_ID"])
    seen: list[Event] = []
    unsubscribe = ads.subscribe(seen.append)

    await account.ad_sets.list(limit=5)
    sent, answered, _ = seen
    assert isinstance(sent, RequestSent) and sent.operation == "getAdSetsByAdAccountId"
    assert isinstance(answered, RequestAnswered) and answered.status == 200
    print(f"waited {sent.waited:.3f} s for quota, answered after {answered.seconds:.3f} s")
    unsubscribe()

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from spotify_ads_async.telemetry import Telemetry

    exporter = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))

    telemetry = Telemetry(tracer_provider=tracers)
    end = telemetry.watch(ads)
    await account.ad_sets.list(limit=5)
    (span,) = exporter.get_finished_spans()
    assert span.name == "GET /ads/v3/ad_accounts/{ad_account_id}/ad_sets"
    end()
    await ads.aclose()
