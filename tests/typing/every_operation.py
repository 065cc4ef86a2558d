"""Every operation, called once with sound arguments: pyright reads this file, and test_operations.py runs it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from spotify_ads_async.models import (
    AdAccountCreate,
    AdAccountInvitation,
    AdAccountMemberAdd,
    AdAccountMemberRoleUpdate,
    AdAccountRole,
    AdAccountType,
    AdAccountUpdate,
    AdAssets,
    AdCreate,
    AdDraftCreate,
    AdDraftUpdate,
    AdField,
    AdSetCreate,
    AdSetDraftCreate,
    AdSetDraftUpdate,
    AdSetStatus,
    AdSetUpdate,
    AdUpdate,
    AgeRange,
    AssetChunk,
    AssetCreate,
    AssetFormat,
    AssetType,
    AssetUpdate,
    AssetUpload,
    AsyncReportCreate,
    AsyncReportDimension,
    AsyncReportGranularity,
    AsyncReportMetric,
    AudienceEstimateQuery,
    BidEstimateQuery,
    BidStrategy,
    BillToAddress,
    Budget,
    BudgetType,
    BusinessCreate,
    BusinessInvitationAccept,
    BusinessInvitationCreate,
    BusinessMemberRoleUpdate,
    BusinessMemberUpdate,
    BusinessRole,
    BusinessType,
    BusinessUpdate,
    CallToAction,
    CallToActionKey,
    CampaignCreate,
    CampaignDraftCreate,
    CampaignDraftPublish,
    CampaignDraftUpdate,
    CampaignObjective,
    CampaignStatus,
    CampaignUpdate,
    CapiIntegrationCreate,
    CapiIntegrationUpdate,
    ChangeCategory,
    ChunkedUploadComplete,
    CustomAudienceUpdate,
    DatasetCreate,
    DatasetUpdate,
    Delivery,
    DiagnosticsGranularity,
    EstimateBudget,
    FrequencyCap,
    FrequencyUnit,
    GeoTargets,
    Industry,
    InsightDimension,
    LookalikeAudienceCreate,
    MobileAppCreate,
    MobileAppDetails,
    MobilePlatform,
    PixelCreate,
    PixelUpdate,
    Placement,
    PublishAction,
    ReportEntityType,
    ReportFieldType,
    ReportGranularity,
    ReservedAdProduct,
    ReservedPriceQuery,
    SortDirection,
    Targets,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from spotify_ads_async import AdAccount, AdsClient, Business

ID = "ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a"
SOON = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=7)
LATER = SOON + timedelta(days=30)
TODAY = SOON - timedelta(days=7)
TARGETS = Targets(
    age_ranges=[AgeRange(min=18, max=34)],
    geo_targets=GeoTargets(country_code="NO"),
    placements=[Placement.MUSIC],
)


def every_operation(ads: AdsClient) -> dict[str, Awaitable[Any]]:
    """Each operationId with a call that waits to be awaited."""
    account, business = ads.ad_account(ID), ads.business(ID)
    return {
        **campaigns(account),
        **ad_sets(account),
        **ads_of(account),
        **assets(account),
        **audiences(account),
        **rest_of_account(account),
        **reports(account),
        **members(business),
        **measurement(business),
        **root(ads),
    }


def campaigns(account: AdAccount) -> dict[str, Awaitable[Any]]:
    drafts = account.drafts.campaigns
    return {
        "getCampaigns": account.campaigns.list(
            statuses=[CampaignStatus.ACTIVE], name="Autumn", sort_direction=SortDirection.ASC, limit=5
        ),
        "createCampaign": account.campaigns.create(
            CampaignCreate(name="Autumn", objective=CampaignObjective.REACH), idempotency_key="1"
        ),
        "getCampaign": account.campaigns.get(ID),
        "updateCampaign": account.campaigns.update(ID, CampaignUpdate(status=CampaignStatus.PAUSED)),
        "createDraftFromCampaign": account.campaigns.create_draft(ID),
        "createCampaignDraft": drafts.create(CampaignDraftCreate(name="Autumn")),
        "getCampaignDraftsV3": drafts.list(limit=50, offset=0),
        "getCampaignDraft": drafts.get(ID),
        "updateCampaignDraft": drafts.update(ID, CampaignDraftUpdate(name="Winter")),
        "publishCampaignDraft": drafts.publish(
            ID, CampaignDraftPublish(action=PublishAction.PUBLISH, draft_hierarchy_version=3)
        ),
        "deleteCampaignDraft": drafts.delete(ID),
    }


def ad_sets(account: AdAccount) -> dict[str, Awaitable[Any]]:
    drafts = account.drafts.ad_sets
    created = AdSetCreate(
        name="Autumn",
        campaign_id=ID,
        start_time=SOON,
        end_time=LATER,
        budget=Budget(micro_amount=250_000_000, type=BudgetType.LIFETIME),
        asset_format=AssetFormat.AUDIO,
        targets=TARGETS,
        bid_strategy=BidStrategy.MAX_BID,
        bid_micro_amount=20_000_000,
        frequency_caps=[FrequencyCap(frequency_unit=FrequencyUnit.DAY, frequency_period=1, max_impressions=3)],
    )
    return {
        "getAdSetsByAdAccountId": account.ad_sets.list(statuses=[AdSetStatus.ACTIVE], campaign_ids=[ID]),
        "createAdSet": account.ad_sets.create(created),
        "getAdSetById": account.ad_sets.get(ID),
        "updateAdSet": account.ad_sets.update(ID, AdSetUpdate(delivery=Delivery.OFF)),
        "createDraftFromAdSet": account.ad_sets.create_draft(ID),
        "createAdSetDraft": drafts.create(AdSetDraftCreate(campaign_id=ID, name="Autumn")),
        "getAdSetDrafts": drafts.list(campaign_ids=[ID]),
        "getAdSetDraft": drafts.get(ID),
        "updateAdSetDraft": drafts.update(ID, AdSetDraftUpdate(name="Winter", start_time=SOON)),
        "deleteAdSetDraft": drafts.delete(ID),
    }


def ads_of(account: AdAccount) -> dict[str, Awaitable[Any]]:
    drafts = account.drafts.ads
    created = AdCreate(
        name="Autumn",
        advertiser_name="Acme",
        tagline="Leaves fall",
        ad_set_id=ID,
        assets=AdAssets(asset_id=ID, logo_asset_id=ID, companion_asset_id=ID),
        call_to_action=CallToAction(key=CallToActionKey.LEARN_MORE, clickthrough_url="https://www.example.com"),
    )
    return {
        "getAds": account.ads.list(ad_set_ids=[ID], fields=[AdField.ID, AdField.NAME]),
        "createAd": account.ads.create(created),
        "getAd": account.ads.get(ID, fields=[AdField.STATUS]),
        "updateAd": account.ads.update(ID, AdUpdate(name="Winter")),
        "createDraftFromAd": account.ads.create_draft(ID),
        "createAdDraft": drafts.create(AdDraftCreate(ad_set_id=ID)),
        "getAdDrafts": drafts.list(ad_set_ids=[ID]),
        "getAdDraft": drafts.get(ID),
        "updateAdDraft": drafts.update(ID, AdDraftUpdate(name="Winter")),
        "deleteAdDraft": drafts.delete(ID),
    }


def assets(account: AdAccount) -> dict[str, Awaitable[Any]]:
    return {
        "getAssetsByAdAccount": account.assets.list(asset_types=[AssetType.IMAGE]),
        "createAsset": account.assets.create(AssetCreate(asset_type=AssetType.IMAGE, name="Leaf")),
        "getAsset": account.assets.get(ID),
        "updateAsset": account.assets.update(ID, AssetUpdate(asset_type=AssetType.IMAGE, name="Tree")),
        "uploadAsset": account.assets.upload(ID, AssetUpload(media=b"bytes", asset_type=AssetType.IMAGE)),
        "startUploadChunkedAsset": account.assets.start_chunked_upload(ID),
        "transferChunkedAsset": account.assets.transfer_chunk(
            ID, AssetChunk(upload_session_id=ID, upload_section=1, media=b"bytes", asset_type=AssetType.VIDEO)
        ),
        "completeUploadChunkedAsset": account.assets.complete_chunked_upload(
            ID, ChunkedUploadComplete(upload_session_id=ID, number_of_sections=1, asset_type=AssetType.VIDEO)
        ),
    }


def audiences(account: AdAccount) -> dict[str, Awaitable[Any]]:
    return {
        "batchGetAudiences": account.audiences.list(q="fans"),
        "createAudience": account.audiences.create(LookalikeAudienceCreate(name="More fans", seed_audience_id=ID)),
        "getAudience": account.audiences.get(ID),
        "editAudience": account.audiences.update(ID, CustomAudienceUpdate(name="Fans")),
        "deleteAudience": account.audiences.delete(ID),
        "createUploadUrl": account.audiences.create_upload_url(),
        "replaceUploadUrl": account.audiences.replace_upload_url(ID),
        "getAudienceEligibleDatasets": account.audiences.eligible_datasets(q="shop", limit=10),
    }


def rest_of_account(account: AdAccount) -> dict[str, Awaitable[Any]]:
    return {
        "getAdAccount": account.get(),
        "updateAdAccount": account.update(AdAccountUpdate(name="Acme", industry=Industry.RETAIL)),
        "getAdAccountMembers": account.members.list(),
        "addMemberToAdAccount": account.members.add(
            AdAccountMemberAdd(member_id="one", role=AdAccountRole.AD_ACCOUNT_VIEWER)
        ),
        "updateAdAccountMemberRole": account.members.update_role(
            "one", AdAccountMemberRoleUpdate(role=AdAccountRole.AD_ACCOUNT_CONTRIBUTOR)
        ),
        "removeAdAccountMember": account.members.remove("one"),
        "getExperimentAvailability": account.experiments.availability(),
        "getReservedPricing": account.pricing.reserved(
            ReservedPriceQuery(ad_product=ReservedAdProduct.CONTENT, start_date=SOON, end_date=LATER, targets=TARGETS)
        ),
        "getChangeHistory": account.change_history.list(
            change_category=ChangeCategory.BUDGET, created_gte=TODAY - timedelta(days=9)
        ),
    }


def reports(account: AdAccount) -> dict[str, Awaitable[Any]]:
    ordered = AsyncReportCreate(
        name="weekly",
        granularity=AsyncReportGranularity.LIFETIME,
        dimensions=[AsyncReportDimension.CAMPAIGN_NAME],
        metrics=[AsyncReportMetric.SPEND],
    )
    return {
        "getAggregateReport": account.reports.aggregate(
            entity_type=ReportEntityType.CAMPAIGN,
            entity_ids=[ID],
            fields=[ReportFieldType.SPEND],
            granularity=ReportGranularity.DAY,
            report_start=TODAY - timedelta(days=9),
            report_end=TODAY - timedelta(days=2),
        ),
        "getAggregatedTotals": account.reports.totals(
            entity_type=ReportEntityType.AD_SET,
            entity_ids=[ID],
            granularity=ReportGranularity.LIFETIME,
            fields=[ReportFieldType.REACH],
        ),
        "getAudienceInsightReport": account.reports.insights(
            insight_dimension=InsightDimension.AGE,
            fields=[ReportFieldType.IMPRESSIONS],
            entity_ids=[ID],
            entity_ids_type=ReportEntityType.AD_SET,
        ),
        "createAsyncReport": account.reports.create(ordered),
        "getAsyncReport": account.reports.get(ID),
    }


def members(business: Business) -> dict[str, Awaitable[Any]]:
    invitation = BusinessInvitationCreate(
        email_address="someone@example.com",
        business_role=BusinessRole.BUSINESS_MEMBER,
        ad_account_invitations=[AdAccountInvitation(ad_account_id=ID, role=AdAccountRole.AD_ACCOUNT_VIEWER)],
    )
    acceptance = BusinessInvitationAccept(
        name="Someone", email_address="someone@example.com", has_marketing_opt_in=False, invitation_id=ID
    )
    account = AdAccountCreate(
        name="Acme",
        type=AdAccountType.BRAND_ADVERTISER,
        industry=Industry.RETAIL,
        country_code="NO",
        legal_entity_name="Acme AS",
        bill_to_address=BillToAddress(name="Acme AS"),
    )
    return {
        "getBusiness": business.get(),
        "updateBusiness": business.update(BusinessUpdate(name="Acme")),
        "getBusinessMembers": business.members.list(),
        "getBusinessMember": business.members.get("one"),
        "updateBusinessMember": business.members.update("one", BusinessMemberUpdate(has_marketing_opt_in=True)),
        "updateBusinessMemberRole": business.members.update_role(
            "one", BusinessMemberRoleUpdate(role=BusinessRole.BUSINESS_ADMIN)
        ),
        "removeBusinessMember": business.members.remove("one"),
        "getAdAccountsForBusinessMember": business.members.ad_accounts("one"),
        "createBusinessInvitation": business.members.invite(invitation),
        "acceptBusinessInvitation": business.invitations.accept(acceptance),
        "getPendingInvitations": business.invitations.list(),
        "cancelBusinessInvitation": business.invitations.cancel(ID),
        "createAdAccountForBusiness": business.ad_accounts.create(account),
        "getAdAccountsInBusiness": business.ad_accounts.list(type=AdAccountType.BRAND_ADVERTISER),
    }


def measurement(business: Business) -> dict[str, Awaitable[Any]]:
    app = MobileAppDetails(name="Acme", platform=MobilePlatform.IOS)
    apps, pixels, capi, datasets = business.mobile_apps, business.pixels, business.capi, business.datasets
    return {
        "getMobileAppsByBusinessId": apps.list(),
        "createMobileAppInBusiness": apps.create(MobileAppCreate(mobile_app=app)),
        "getMobileAppByBusinessAndId": apps.get(ID),
        "updateMobileAppByBusinessAndId": apps.update(ID, app),
        "getMobileAppsByBusinessIdAndAdAccountId": apps.list_for_ad_account(ID),
        "shareBusinessMobileAppWithAdAccount": apps.share(ID, ID),
        "unshareBusinessMobileAppWithAdAccount": apps.unshare(ID, ID),
        "createPixelInBusiness": pixels.create(PixelCreate(domain="https://www.example.com", name="Shop")),
        "getPixelById": pixels.get("pixel"),
        "updatePixelById": pixels.update("pixel", PixelUpdate(name="Store")),
        "createCapiIntegration": capi.create(CapiIntegrationCreate(name="Server")),
        "getCapiIntegrationById": capi.get(ID),
        "updateCapiIntegrationById": capi.update(ID, CapiIntegrationUpdate(name="Other server")),
        "createCapiAuthToken": capi.tokens.create(ID),
        "getCapiAuthTokens": capi.tokens.list(ID),
        "deleteCapiAuthToken": capi.tokens.delete(ID, ID),
        "getDatasetsByBusinessId": datasets.list(),
        "createDataset": datasets.create(DatasetCreate(name="Shop", integration_ids=[ID])),
        "getDatasetById": datasets.get(ID),
        "updateDatasetById": datasets.update(ID, DatasetUpdate(name="Store")),
        "removeIntegrationFromDataset": datasets.remove_integration(ID, ID),
        "getDatasetsByAdAccountId": datasets.list_for_ad_account(ID),
        "getDiagnosticsByDatasetId": datasets.diagnostics(ID, granularities=[DiagnosticsGranularity.DAILY]),
        "shareBusinessDatasetWithAdAccount": datasets.share(ID, ID),
        "unshareBusinessDatasetWithAdAccount": datasets.unshare(ID, ID),
    }


def root(ads: AdsClient) -> dict[str, Awaitable[Any]]:
    audience = AudienceEstimateQuery(
        ad_account_id=ID,
        start_date=SOON,
        end_date=LATER,
        asset_format=AssetFormat.AUDIO,
        objective=CampaignObjective.REACH,
        bid_strategy=BidStrategy.MAX_BID,
        bid_micro_amount=20_000_000,
        budget=EstimateBudget(micro_amount=250_000_000, type=BudgetType.LIFETIME, currency="NOK"),
        targets=TARGETS,
    )
    bid = BidEstimateQuery(
        asset_format=AssetFormat.AUDIO,
        objective=CampaignObjective.REACH,
        bid_strategy=BidStrategy.MAX_BID,
        currency="NOK",
        targets=TARGETS,
    )
    return {
        "getAdCategories": ads.ad_categories.list(q="cars"),
        "createBusiness": ads.businesses.create(BusinessCreate(name="Acme", type=BusinessType.ADVERTISER)),
        "getBusinesses": ads.businesses.list(),
        "estimateAudience": ads.estimates.audience(audience),
        "estimateBid": ads.estimates.bid(bid),
        "getPodcastShows": ads.podcast_shows.list(market="NO", q="news"),
        "getArtistTargets": ads.targets.artists(q="grieg"),
        "getGenreTargets": ads.targets.genres(q="folk"),
        "getGeoTargets": ads.targets.geos(q="Oslo", country_code="NO"),
        "getInterestTargets": ads.targets.interests(q="ski"),
        "getLanguageTargets": ads.targets.languages(q="norwegian", ad_account_id=ID),
        "getPlaylistTargets": ads.targets.playlists(q="holiday"),
        "getEpisodeTopicTargets": ads.targets.episode_topics(q="pets"),
        "getSensitiveTopicTargets": ads.targets.sensitive_topics(q="weapons"),
    }
