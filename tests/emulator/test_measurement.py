from __future__ import annotations

from support.emulated import Api, Json


async def pixel(api: Api, name: str = "Shop", **details: str) -> Json:
    body = {"name": name, "domain": "https://shop.example.com", **details}
    return await api.expect(201, "POST", f"{api.business}/pixels", json=body)


async def dataset(api: Api, identifier: str) -> Json:
    return await api.get(f"{api.business}/datasets/{identifier}")


async def test_an_integration_has_a_dataset_and_moves_between_them(api: Api) -> None:
    one = await pixel(api)
    await api.expect(409, "POST", f"{api.business}/pixels", json={"name": "Shop", "domain": "https://shop.example.com"})
    await api.expect(409, "POST", f"{api.business}/pixels", json={"name": "Mail", "domain": "mailto:someone"})
    capi = await api.expect(
        201, "POST", f"{api.business}/capi", json={"name": "Server", "dataset_id": one["dataset_id"]}
    )
    shared = await dataset(api, one["dataset_id"])
    assert (shared["pixel"]["id"], shared["capi_integration"]["name"]) == (one["id"], "Server")
    await api.expect(409, "POST", f"{api.business}/capi", json={"name": "Server"})
    await api.expect(409, "POST", f"{api.business}/capi", json={"name": "Another", "dataset_id": one["dataset_id"]})
    left = await api.expect(
        200, "DELETE", f"{api.business}/datasets/{one['dataset_id']}/integrations/{capi['integration_id']}"
    )
    assert "capi_integration" not in left
    alone = (await api.get(f"{api.business}/capi/{capi['capi_connection_id']}"))["dataset_id"]
    assert alone != one["dataset_id"]
    ids = [one["integration_id"], capi["integration_id"]]
    both = await api.expect(201, "POST", f"{api.business}/datasets", json={"name": "Together", "integration_ids": ids})
    assert (both["pixel"]["id"], both["capi_integration"]["integration_id"]) == (one["id"], capi["integration_id"])
    assert (await dataset(api, alone))["is_archived"]
    renamed = await api.expect(200, "PATCH", f"{api.business}/datasets/{both['id']}", json={"name": "Renamed"})
    assert (renamed["name"], renamed["pixel"]["id"]) == ("Renamed", one["id"])
    assert both["id"] in {row["id"] for row in (await api.get(f"{api.business}/datasets"))["datasets"]}


async def test_pixels_are_named_in_their_datasets_and_changed(api: Api) -> None:
    made = await pixel(api)
    named = {row["pixel"]["id"] for row in (await api.get(f"{api.business}/datasets"))["datasets"] if row.get("pixel")}
    assert made["id"] in named
    await api.expect(405, "GET", f"{api.business}/pixels")
    changed = await api.expect(200, "PATCH", f"{api.business}/pixels/{made['id']}", json={"name": "Other"})
    assert set(changed) == {"id", "domain", "name", "created_at", "updated_at"}
    kept = await api.get(f"{api.business}/pixels/{made['id']}")
    assert (kept["name"], kept["auto_capture_opt_in"], kept["auto_capture_fields"]) == ("Other", False, [])


async def test_mobile_apps_are_listed_in_pages_and_limited(api: Api) -> None:
    for number in range(50):
        body = {"mobile_app": {"name": f"App {number}", "platform": "IOS", "mobile_measurement_partner": "SINGULAR"}}
        await api.expect(201, "POST", f"{api.business}/mobile_apps", json=body)
    answer = await api.get(f"{api.business}/mobile_apps", limit=20, offset=40)
    assert [row["name"] for row in answer["mobile_apps"]] == [f"App {number}" for number in range(40, 50)]
    assert answer["paging"]["total_results"] == 50
    refused = await api.expect(
        422, "POST", f"{api.business}/mobile_apps", json={"mobile_app": {"name": "One more", "platform": "IOS"}}
    )
    assert refused["error_codes"][0]["code"] == "LIMIT_EXCEEDED"


async def test_datasets_are_shared_and_eligible_once_they_receive_events(api: Api) -> None:
    quiet = (await pixel(api))["dataset_id"]
    loud = next(row for row in (await api.get(f"{api.business}/datasets"))["datasets"] if row["is_receiving_events"])[
        "id"
    ]
    for identifier in (quiet, loud):
        path = f"{api.business}/datasets/{identifier}{api.account}"
        await api.expect(204, "POST", path)
        await api.expect(204, "POST", path)
    shared = (await api.get(f"{api.business}{api.account}/datasets"))["datasets"]
    assert {row["id"] for row in shared} == {quiet, loud}
    eligible = (await api.get(f"{api.account}/audiences/datasets"))["datasets"]
    assert [row["id"] for row in eligible] == [loud]
    body = {
        "audience_type": "CUSTOM",
        "subtype": "WEB_EVENT",
        "name": "Visitors",
        "dataset_ids": [loud],
        "included_events": eligible[0]["events"],
        "lookback_days": 30,
    }
    assert (await api.expect(201, "POST", f"{api.account}/audiences", json=body))["datasets"][0]["id"] == loud
    await api.expect(204, "DELETE", f"{api.business}/datasets/{loud}{api.account}")
    await api.expect(400, "POST", f"{api.account}/audiences", json=body)


async def test_diagnostics_add_up(api: Api) -> None:
    loud = next(row for row in (await api.get(f"{api.business}/datasets"))["datasets"] if row["is_receiving_events"])[
        "id"
    ]
    found = await api.get(f"{api.business}/datasets/{loud}/diagnostics", granularities=["DAILY", "HOURLY"])
    assert [source["granularity"] for source in found["datasources"]] == ["DAILY", "HOURLY"]
    assert [len(source["timeseries"]) for source in found["datasources"]] == [7, 24]
    for source in found["datasources"]:
        for bucket in source["timeseries"]:
            assert bucket["total"] == sum(event["event_count"] for event in bucket["event_counts"])
    await api.expect(400, "GET", f"{api.business}/datasets/{loud}/diagnostics")


async def test_capi_tokens_are_made_listed_and_deleted(api: Api) -> None:
    capi = await api.expect(201, "POST", f"{api.business}/capi", json={"name": "Server"})
    path = f"{api.business}/capi/{capi['capi_connection_id']}"
    made = [(await api.expect(201, "POST", f"{path}/tokens"))["data"] for _ in range(2)]
    assert (await api.get(f"{path}/tokens"))["data"] == made
    await api.expect(204, "DELETE", f"{path}/tokens/{made[0]['capi_auth_token_id']}")
    assert (await api.get(f"{path}/tokens"))["data"] == made[1:]
    await api.expect(404, "DELETE", f"{path}/tokens/{made[0]['capi_auth_token_id']}")
    assert (await api.expect(200, "PATCH", path, json={"name": "Renamed"}))["name"] == "Renamed"


async def test_mobile_apps_are_made_changed_and_shared(api: Api) -> None:
    body = {"mobile_app": {"name": "Our app", "platform": "IOS", "id": "00000000-0000-4000-8000-000000000000"}}
    app = await api.expect(201, "POST", f"{api.business}/mobile_apps", json=body)
    assert app["id"] != body["mobile_app"]["id"]
    path = f"{api.business}/mobile_apps/{app['id']}"
    assert (await api.expect(200, "PATCH", path, json={"name": "New name"}))["platform"] == "IOS"
    assert [row["name"] for row in (await api.get(f"{api.business}/mobile_apps"))["mobile_apps"]] == ["New name"]
    await api.expect(204, "POST", f"{path}{api.account}")
    shared = (await api.get(f"{api.business}{api.account}/mobile_apps"))["mobile_apps"]
    assert [one["id"] for one in shared[0]["shared_ad_accounts"]] == [api.server.ad_account_id]
    await api.expect(204, "DELETE", f"{path}{api.account}")
    assert (await api.get(f"{api.business}{api.account}/mobile_apps"))["mobile_apps"] == []
    await api.expect(404, "GET", f"{api.business}/mobile_apps/00000000-0000-4000-8000-000000000000")
