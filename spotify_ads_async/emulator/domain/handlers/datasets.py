"""Datasets: each integration (pixel, CAPI, mobile app) belongs to exactly one."""

from __future__ import annotations

from datetime import timedelta

from spotify_ads_async.emulator.domain.answers import Refusal, Response, missing, refused
from spotify_ads_async.emulator.domain.call import Call, Handler, paging
from spotify_ads_async.emulator.domain.clock import parse
from spotify_ads_async.emulator.domain.signals import PIXEL_EVENTS, events_in_hour, hours
from spotify_ads_async.emulator.domain.store import Account, Business
from spotify_ads_async.emulator.domain.tables import Row, Table

__all__ = ["attach", "own_account", "shared_with", "sharing"]

_INTEGRATIONS = ("pixels", "capi_integrations", "mobile_apps")
_SOURCES = {"pixels": "PIXEL", "capi_integrations": "CAPI", "mobile_apps": "MOBILE_APP"}
_BUCKETS = {"HOURLY": 24, "DAILY": 7}
"""Granularity → how many of its buckets the diagnostics show."""


def attach(business: Business, kind: str, dataset_id: str | None, name: str) -> str:
    """The dataset for a new integration: the one named, where its place for the kind is free, or a new one."""
    if dataset_id is None:
        return new_dataset(business, name)["id"]
    row = business.datasets.rows.get(dataset_id.lower())
    if row is None:
        raise missing("Dataset", dataset_id)
    if kind != "mobile_apps" and any(other["dataset_id"] == row["id"] for other in business.tables[kind]):
        raise Refusal(409, "CONFLICT", f"dataset {dataset_id} has an integration of this kind already")
    return row["id"]


def new_dataset(business: Business, name: str) -> Row:
    """Put a new dataset without integrations."""
    return business.datasets.put(
        {"id": business.store.new_id(), "name": name, "is_archived": False, "shared_ad_accounts": []}
    )


def _integrations(business: Business, dataset_id: str) -> list[tuple[str, Row]]:
    return [
        (kind, row) for kind in _INTEGRATIONS for row in business.tables[kind] if row.get("dataset_id") == dataset_id
    ]


def _find_integration(business: Business, integration_id: str) -> tuple[Table, Row]:
    for kind in _INTEGRATIONS:
        for row in business.tables[kind]:
            if row.get("integration_id") == integration_id.lower():
                return business.tables[kind], row
    raise missing("Integration", integration_id)


def shown(business: Business, row: Row) -> Row:
    """A dataset as the API answers it, with its integrations."""
    found = _integrations(business, row["id"])
    signals = {entry["event_type"] for _, one in found for entry in one.get("events_received", ())}
    answer: Row = {
        **row,
        "ad_set_count": sum(
            ad_set.get("dataset_id") == row["id"] and ad_set["status"] in {"ACTIVE", "READY"}
            for account in business.accounts()
            for ad_set in account.ad_sets
        ),
        "is_receiving_events": bool(signals),
        "is_receiving_lead_events": "LEAD" in signals,
    }
    for kind, integration in found:
        if kind != "mobile_apps":
            answer["pixel" if kind == "pixels" else "capi_integration"] = integration
    return answer


def own_account(business: Business, ad_account_id: str) -> Account:
    """The business's ad account with this id.

    Raises:
        Refusal: the business has none (404).
    """
    account = business.store.accounts.get(ad_account_id)
    if account is None or account.row["business_id"] != business.id:
        raise missing("Ad account", ad_account_id)
    return account


def shared_with(row: Row, account: Account) -> bool:
    """Whether a dataset or mobile app is shared with the ad account."""
    return any(shared["id"] == account.id for shared in row["shared_ad_accounts"])


def _listed(business: Business, rows: list[Row]) -> Response:
    datasets = [shown(business, row) for row in rows]
    return Response({"paging": paging(len(rows), 0, max(1, len(rows))), "datasets": datasets})


def get_datasets_by_business_id(call: Call) -> Response:
    """``getDatasetsByBusinessId``."""
    return _listed(call.business, list(call.business.datasets))


def get_datasets_by_ad_account_id(call: Call) -> Response:
    """``getDatasetsByAdAccountId``."""
    business = call.business
    account = own_account(business, call.path["ad_account_id"])
    return _listed(business, [row for row in business.datasets if shared_with(row, account)])


def create_dataset(call: Call) -> Response:
    """``createDataset``: the integrations named move into it; datasets left without any are archived."""
    business, body = call.business, call.body
    found = [_find_integration(business, identifier) for identifier in body["integration_ids"]]
    kinds = [id(table) for table, _ in found if table is not business.mobile_apps]
    if len(set(kinds)) < len(kinds):
        raise refused("integration_ids: a dataset holds one pixel and one CAPI integration")
    dataset = new_dataset(business, body["name"])
    for table, row in found:
        _move(business, table, row, dataset["id"])
    return Response(shown(business, dataset), status=201)


def _move(business: Business, table: Table, row: Row, dataset_id: str) -> None:
    before = row["dataset_id"]
    table.put({**row, "dataset_id": dataset_id})
    if before in business.datasets and not _integrations(business, before):
        business.datasets.put({**business.datasets.get(before), "is_archived": True})


def get_dataset_by_id(call: Call) -> Response:
    """``getDatasetById``."""
    return Response(shown(call.business, call.business.datasets.get(call.path["dataset_id"])))


def update_dataset_by_id(call: Call) -> Response:
    """``updateDatasetById``."""
    business = call.business
    row = business.datasets.put({**business.datasets.get(call.path["dataset_id"]), **call.body})
    return Response(shown(business, row))


def remove_integration_from_dataset(call: Call) -> Response:
    """``removeIntegrationFromDataset``: the integration moves to a dataset of its own."""
    business = call.business
    dataset = business.datasets.get(call.path["dataset_id"])
    table, row = _find_integration(business, call.path["integration_id"])
    if row["dataset_id"] != dataset["id"]:
        raise missing("Integration", call.path["integration_id"])
    _move(business, table, row, new_dataset(business, row["name"])["id"])
    return Response(shown(business, business.datasets.get(dataset["id"])))


def sharing(kind: str, identifier: str, *, shared: bool) -> Handler:
    """What shares a dataset or mobile app of a business with one of its ad accounts, or does so no longer."""

    def share(call: Call) -> Response:
        business = call.business
        table = business.tables[kind]
        row, account = table.get(call.path[identifier]), own_account(business, call.path["ad_account_id"])
        if shared_with(row, account) != shared:
            others = [one for one in row["shared_ad_accounts"] if one["id"] != account.id]
            added = [{"id": account.id, "name": account.row["name"]}] if shared else []
            table.put({**row, "shared_ad_accounts": [*others, *added]})
        return Response(status=204)

    return share


share_business_dataset_with_ad_account = sharing("datasets", "dataset_id", shared=True)
unshare_business_dataset_with_ad_account = sharing("datasets", "dataset_id", shared=False)


def get_diagnostics_by_dataset_id(call: Call) -> Response:
    """``getDiagnosticsByDatasetId``: the last 24 hours or 7 days of each integration."""
    business, query = call.business, call.query
    dataset = business.datasets.get(call.path["dataset_id"])
    wanted = query.get("datasource_ids")
    sources = [
        {
            "datasource_type": _SOURCES[kind],
            "datasource_id": row["integration_id"],
            "granularity": granularity,
            "timeseries": _timeseries(call, row, granularity),
        }
        for kind, row in _integrations(business, dataset["id"])
        if wanted is None or row["integration_id"] in wanted
        for granularity in dict.fromkeys(query["granularities"])
    ]
    return Response({"dataset_id": dataset["id"], "datasources": sources})


def _timeseries(call: Call, row: Row, granularity: str) -> list[Row]:
    received = {entry["event_type"]: parse(entry["first_event_time"]) for entry in row.get("events_received", ())}
    step = timedelta(hours=1) if granularity == "HOURLY" else timedelta(days=1)
    now = call.store.clock.now().replace(minute=0, second=0)
    last = now if granularity == "HOURLY" else now.replace(hour=0)
    series: list[Row] = []
    for number in range(_BUCKETS[granularity] if received else 0, 0, -1):
        start = last - number * step
        counts: list[Row] = [
            {
                "name": signal,
                "event_count": sum(
                    events_in_hour(row["integration_id"], event, hour, received[signal])
                    for hour in hours(start, start + step)
                ),
                "last_activity_ms": int((start + step).timestamp() * 1000) - 1,
            }
            for event, signal in PIXEL_EVENTS.items()
            if signal in received
        ]
        total = sum(count["event_count"] for count in counts)
        series.append({"total": total, "timestamp": int(start.timestamp() * 1000), "event_counts": counts})
    return series


def get_audience_eligible_datasets(call: Call) -> Response:
    """``getAudienceEligibleDatasets``: those shared with the ad account that have received events."""
    account, query = call.account, call.query
    business, text = call.store.business(account.row["business_id"]), query.get("q", "").lower()
    rows: list[Row] = []
    for dataset in business.datasets:
        found = _integrations(business, dataset["id"])
        events = sorted({entry["event_type"] for _, row in found for entry in row.get("events_received", ())})
        if events and shared_with(dataset, account) and text in dataset["name"].lower():
            rows.append({"id": dataset["id"], "name": dataset["name"], "events": events})
    return Response({"paging": paging(len(rows), 0, query["limit"]), "datasets": rows[: query["limit"]]})
