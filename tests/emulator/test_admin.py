from __future__ import annotations

import pytest
from support.emulated import Api, Apis, Json

from spotify_ads_async.governor.limits import Limit


async def admin(api: Api, status: int, method: str, path: str, **details: Json) -> Json:
    got, content, _ = await api.send(method, f"{api.server.origin}/_emulator/{path}", **details)
    assert got == status, content
    return content


async def test_faults_come_and_go_while_the_server_runs(api: Api) -> None:
    body = {"kind": "error", "status": 500, "times": 1, "operations": ["getBusinesses"]}
    armed = await admin(api, 200, "POST", "faults", json=body)
    assert [(await api.send("GET", "/businesses"))[0] for _ in range(2)] == [500, 200]
    (listed,) = (await admin(api, 200, "GET", "faults"))["faults"]
    assert (listed["number"], listed["hits"], listed["fault"]["status"]) == (armed["number"], 1, 500)
    storm = await admin(api, 200, "POST", "faults", json={"kind": "unauthorized"})
    await admin(api, 204, "DELETE", f"faults/{storm['number']}")
    await admin(api, 400, "DELETE", f"faults/{storm['number']}")
    await admin(api, 204, "DELETE", "faults")
    assert (await admin(api, 200, "GET", "faults"))["faults"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "nonsense"},
        {"kind": "error", "share": "x"},
        {"kind": "error", "share": 1.5},
        {"kind": "error", "operations": ["getBusinesess"]},
        {"kind": "error", "operation": "getBusinesses"},
    ],
)
async def test_wrong_faults_are_refused(api: Api, body: Json) -> None:
    await admin(api, 400, "POST", "faults", json=body)
    await admin(api, 415, "POST", "faults", data=b"{}", headers={"Content-Type": "text/plain"})
    assert (await admin(api, 200, "GET", "faults"))["faults"] == []


async def test_statistics_are_read_and_reset(apis: Apis) -> None:
    api = await apis.start(limits=[Limit("ip", requests=1, window=60.0)])
    for _ in range(3):
        await api.send("GET", "/businesses")
    seen = await admin(api, 200, "GET", "statistics")
    assert (seen["requests"], seen["refused"], seen["fullest"], seen["statuses"]) == (3, 2, {"ip": 3}, {"200": 1, "429": 2})
    assert seen["operations"] == {"getBusinesses": 3}
    await admin(api, 204, "DELETE", "statistics")
    assert (await admin(api, 200, "GET", "statistics"))["requests"] == 0
    assert (await api.send("GET", "/businesses"))[0] == 429


async def test_latency_clock_and_tokens_change_while_the_server_runs(api: Api) -> None:
    await admin(api, 204, "PATCH", "settings", json={"latency": "0.0-0.001", "clock_skew": 86_400.0})
    made = await api.expect(200, "POST", "/businesses", json={"name": "Tomorrow", "type": "AGENCY"})
    assert made["created_at"] > (await api.get("/businesses"))["businesses"][0]["created_at"]
    await admin(api, 400, "PATCH", "settings", json={"latency": "slow"})
    await admin(api, 400, "PATCH", "settings", json={"speed": 1})
    await admin(api, 204, "POST", "tokens/revocation")


async def test_rows_move_under_a_walk(api: Api) -> None:
    path = f"{api.account}/ad_sets"
    first = (await api.get(path, limit=5))["ad_sets"]
    ids = (await admin(api, 200, "POST", "ad_sets", json={"count": 2}))["ids"]
    second = (await api.get(path, limit=5, offset=5))["ad_sets"]
    assert [row["id"] for row in second[:2]] == [row["id"] for row in first[3:]]
    assert {row["id"] for row in (await api.get(path, limit=2))["ad_sets"]} == set(ids)
    api.server.remove_ad_set(ids[0])
    assert (await api.get(path, limit=1))["paging"]["total_results"] == 61
    active = (await api.get(path, statuses="ACTIVE"))["ad_sets"]
    api.server.archive_ad_set(active[0]["id"])
    assert (await api.get(path, statuses="ACTIVE"))["ad_sets"][:40] == active[1:41]
    history = await api.get(f"{api.account}/change_history", entity_ids=active[0]["id"])
    assert history["change_history"][0]["changes"][0]["after"] == {"value": "ARCHIVED"}
