from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import aiohttp
import msgspec
import pytest
from support.emulated import Api, Apis, Json

from spotify_ads_async.limits import Limit


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
        {"kind": "delay", "delay": -1},
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
    assert (seen["requests"], seen["refused"], seen["fullest"], seen["statuses"]) == (
        3,
        2,
        {"ip": 3},
        {"200": 1, "429": 2},
    )
    assert seen["operations"] == {"getBusinesses": 3}
    await admin(api, 204, "DELETE", "statistics")
    assert (await admin(api, 200, "GET", "statistics"))["requests"] == 0
    assert (await api.send("GET", "/businesses"))[0] == 429


async def test_latency_clock_and_tokens_change_while_the_server_runs(api: Api) -> None:
    await admin(api, 204, "PATCH", "settings", json={"latency": "0.0-0.001", "clock_skew": 86_400.0})
    made = await api.expect(200, "POST", "/businesses", json={"name": "Tomorrow", "type": "AGENCY"})
    assert made["created_at"] > (await api.get("/businesses"))["businesses"][0]["created_at"]
    for latency in ("slow", "nan", "1e400", "5-1", "-1"):
        await admin(api, 400, "PATCH", "settings", json={"latency": latency})
    await admin(api, 400, "PATCH", "settings", json={"speed": 1})
    await admin(api, 400, "PATCH", "settings", json={"clock_skew": 1e300})
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


async def test_the_feed_tells_windows_seconds_requests_and_faults(apis: Apis) -> None:
    api = await apis.start(limits=[Limit("ip", requests=5, window=60.0), Limit("client_id", requests=20, window=60.0)])
    await api.send("GET", "/businesses")
    await api.send("GET", f"{api.account}/campaigns?limit=0")
    await admin(api, 200, "POST", "faults", json={"kind": "reset", "times": 1})
    with pytest.raises(aiohttp.ClientConnectionError):
        await api.send("POST", "/businesses", json={})
    async with api.client.get(f"{api.server.origin}/_emulator/events") as feed:
        assert feed.content_type == "text/event-stream"
        line = await feed.content.readline()
    snapshot = msgspec.json.decode(line.removeprefix(b"data: "))
    assert (snapshot["requests"], snapshot["refused"]) == (3, 0)
    assert [(one["limit"], one["requests"], one["most"]) for one in snapshot["windows"]] == [
        ("client_id", 3, 20),
        ("ip", 3, 5),
    ]
    assert sum(one["requests"] for one in snapshot["seconds"]) == 3
    good, bad, broken = snapshot["latest"]
    assert (good["method"], good["path"], good["status"], good["message"]) == ("GET", "/businesses", 200, "")
    assert (bad["path"], bad["status"], "limit" in bad["message"]) == (f"{api.account}/campaigns?limit=0", 400, True)
    assert (broken["status"], broken["message"]) == (0, "the connection was broken")
    assert [(one["fault"]["kind"], one["hits"]) for one in snapshot["faults"]] == [("reset", 1)]


async def test_rows_are_paged_and_searched(api: Api) -> None:
    made = await api.expect(200, "POST", f"{api.account}/campaigns", json={"name": "Brand new", "objective": "REACH"})
    found = await admin(api, 200, "GET", "rows/campaigns?limit=1")
    assert (found["rows"], found["total"]) == (
        [made],
        len(api.server.store.account(api.server.ad_account_id).campaigns),
    )
    account = f"ad_account_id={api.server.ad_account_id}"
    assert (await admin(api, 200, "GET", f"rows/campaigns?{account}&search=BRAND%20n"))["rows"] == [made]
    assert (await admin(api, 200, "GET", f"rows/campaigns?{account}&search={made['id']}"))["total"] == 1
    assert (await admin(api, 200, "GET", f"rows/ad_sets?{account}&offset=55&limit=20"))["total"] == 60
    for path in ("rows/secrets", "rows/campaigns?ad_account_id=nobody", "rows/ads?offset=x"):
        await admin(api, 400, "GET", path)


async def test_the_clock_that_is_set_apart_shows_in_the_date_of_answers(api: Api) -> None:
    await admin(api, 204, "PATCH", "settings", json={"clock_skew": 86_400.0})
    _, _, headers = await api.send("GET", "/businesses")
    ahead = parsedate_to_datetime(headers["Date"]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < ahead < timedelta(hours=24, minutes=1)
