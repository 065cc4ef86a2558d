from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from support.emulated import Api, Apis

from spotify_ads_async.emulator import Fault
from spotify_ads_async.emulator.server.faults import parse_faults
from spotify_ads_async.emulator.server.latency import Latency

CAMPAIGN = {"name": "Autumn", "objective": "REACH"}


async def campaigns(api: Api) -> int:
    return (await api.get(f"{api.account}/campaigns", limit=1))["paging"]["total_results"]


async def create(api: Api, key: str | None = None, **change: str) -> tuple[int, Any, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    return await api.send("POST", f"{api.account}/campaigns", json=CAMPAIGN | change, headers=headers)


async def test_a_lost_answer_took_effect_and_a_reset_did_not(api: Api) -> None:
    before = await campaigns(api)
    for kind, effects in (("reset", 0), ("lost_answer", 1)):
        api.server.add_fault(kind, operation="createCampaign", times=1)
        with pytest.raises(aiohttp.ClientConnectionError):
            await create(api)
        assert await campaigns(api) == before + effects
    assert api.server.statistics().statuses[0] == 2


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 503, "headers": {"Retry-After": "2"}}])
async def test_errors_come_before_the_effect(api: Api, fault: dict[str, Any]) -> None:
    before = await campaigns(api)
    armed = api.server.add_fault("error", operation="createCampaign", times=2, **fault)
    for _ in range(2):
        status, content, headers = await create(api)
        assert (status, headers.get("Retry-After")) == (fault["status"], fault.get("headers", {}).get("Retry-After"))
        assert content["sp_trace_id"]
    assert await campaigns(api) == before
    assert (await create(api))[0] == 200
    assert (armed.hits, armed.seen) == (2, 2)


async def test_faults_can_wait_for_their_turn(api: Api) -> None:
    api.server.add_fault("error", skip=2, times=1)
    assert [(await api.send("GET", "/businesses"))[0] for _ in range(4)] == [200, 200, 503, 200]


async def test_answers_can_be_cut_short_or_be_no_json(api: Api) -> None:
    api.server.add_fault("truncated", times=1)
    with pytest.raises(aiohttp.ClientError):
        await api.send("GET", "/businesses")
    api.server.add_fault("garbage", times=1)
    with pytest.raises(ValueError, match="decode"):
        await api.send("GET", "/businesses")
    api.server.add_fault("html", times=1, status=502)
    status, content, headers = await api.send("GET", "/businesses")
    assert (status, headers["Content-Type"]) == (502, "text/html")
    assert b"<html>" in content


async def test_a_storm_of_401s_ends_when_the_fault_is_removed(api: Api) -> None:
    storm = api.server.add_fault("unauthorized")
    assert {(await api.send("GET", "/businesses"))[0] for _ in range(5)} == {401}
    storm.remove()
    await api.get("/businesses")


async def test_a_spurious_429_carries_the_headers_asked_for(api: Api) -> None:
    api.server.add_fault("rate_limited", times=1, headers={"Retry-After": "0"})
    status, _, headers = await api.send("GET", "/businesses")
    assert (status, headers["Retry-After"]) == (429, "0")
    assert api.server.statistics().refused == 0


async def test_answers_can_hold_what_no_document_lists(api: Api) -> None:
    plain = await api.first("ad_sets")
    api.server.add_fault("unknown_fields")
    api.server.add_fault("unknown_values")
    odd = await api.first("ad_sets")
    assert odd["status"] == f"NEW_{plain['status']}"
    assert odd["targets"]["platforms"] == [f"NEW_{platform}" for platform in plain["targets"]["platforms"]]
    assert odd["targets"].pop("attribute_added_later")
    api.server.clear_faults()
    assert await api.first("ad_sets") == plain


async def test_refusals_can_write_their_codes_in_camel_case(api: Api) -> None:
    api.server.add_fault("camel_case", times=1)
    _, content, _ = await create(api, name="x")
    assert content["errorCodes"][0]["code"] == "BAD_REQUEST"
    assert "error_codes" not in content


async def test_delays_add_to_the_latency(api: Api) -> None:
    api.server.add_fault("delay", delay=0.2, times=1)
    loop = asyncio.get_running_loop()
    start = loop.time()
    await api.get("/businesses")
    assert loop.time() - start >= 0.2


async def test_shares_follow_the_seed(apis: Apis) -> None:
    async def outcomes(seed: int) -> list[int]:
        api = await apis.start(seed=seed, faults=[Fault(kind="error", share=0.5)])
        return [(await api.send("GET", "/businesses"))[0] for _ in range(40)]

    first, again, other = [await outcomes(seed) for seed in (1, 1, 2)]
    assert first == again
    assert first != other
    assert 5 < first.count(503) < 35


async def test_skewed_clocks_show_in_new_rows(api: Api) -> None:
    api.server.clock.skew += 86_400 * 400
    _, campaign, _ = await create(api)
    assert campaign["created_at"] > (await api.get("/businesses"))["businesses"][0]["created_at"]


async def test_a_key_has_one_effect_and_names_it_when_it_comes_again(api: Api) -> None:
    before = await campaigns(api)
    status, campaign, _ = await create(api, "key")
    assert status == 200
    status, content, _ = await create(api, "key")
    assert (status, content["error_codes"][0]["code"]) == (409, "IDEMPOTENCY_REQUEST_ALREADY_COMPLETED")
    assert await api.expect(200, "GET", content["resource_uri"]) == campaign
    status, content, _ = await create(api, "key", name="Something else")
    assert (status, content["error_codes"][0]["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert await campaigns(api) == before + 1


async def test_a_key_whose_request_still_runs_is_told_to_wait(apis: Apis) -> None:
    api = await apis.start(latency=600.0)
    first = asyncio.create_task(create(api, "key"))
    while not api.server.statistics().requests:  # noqa: ASYNC110 - only the server knows
        await asyncio.sleep(0.005)
    api.server.set_latency(0.0)
    for _ in range(2):
        status, waiting, headers = await create(api, "key")
        assert (status, waiting["error_codes"][0]["code"]) == (409, "IDEMPOTENCY_REQUEST_IN_PROGRESS")
        assert headers["Retry-After"] == "1"
    first.cancel()


async def test_an_indeterminate_outcome_stays_one(api: Api) -> None:
    api.server.add_fault("indeterminate", times=1)
    assert (await create(api, "key"))[0] == 500
    status, content, _ = await create(api, "key")
    assert (status, content["error_codes"][0]["code"]) == (409, "IDEMPOTENCY_OUTCOME_INDETERMINATE")


async def test_a_key_is_free_again_when_nothing_happened(api: Api) -> None:
    api.server.add_fault("error", times=1)
    api.server.add_fault("reset", times=1)
    assert (await create(api, "key"))[0] == 503
    with pytest.raises(aiohttp.ClientConnectionError):
        await create(api, "key")
    assert (await create(api, "key", name="x"))[0] == 400
    assert (await create(api, "key"))[0] == 200


async def test_keys_belong_to_a_client(api: Api) -> None:
    assert (await create(api, "key"))[0] == 200
    headers = {"Idempotency-Key": "key", "Authorization": "Bearer somebody-else"}
    await api.expect(200, "POST", f"{api.account}/campaigns", json=CAMPAIGN, headers=headers)


def test_faults_are_written_as_shares() -> None:
    faults = parse_faults("reset=0.01, error=0.5:500,delay=1:2.5")
    assert [(fault.kind, fault.share, fault.status, fault.delay) for fault in faults] == [
        ("reset", 0.01, 503, 0.0),
        ("error", 0.5, 500, 0.0),
        ("delay", 1.0, 503, 2.5),
    ]


@pytest.mark.parametrize(
    ("kind", "operation", "share", "said"),
    [
        ("error", "getBusinesess", 1.0, "no operation is called getBusinesess"),
        ("error", "getBusinesses", 1.5, "between 0 and 1"),
        ("error", "getBusinesses", -0.1, "between 0 and 1"),
        ("eror", "getBusinesses", 1.0, "no fault is called eror; there are camel_case, delay, denied, error"),
    ],
)
async def test_faults_that_could_not_strike_as_meant_are_refused(
    api: Api,
    kind: Any,  # noqa: ANN401 - also none
    operation: str,
    share: float,
    said: str,
) -> None:
    with pytest.raises(ValueError, match=said):
        api.server.add_fault(kind, operation=operation, share=share)
    assert (await api.send("GET", "/businesses"))[0] == 200


@pytest.mark.parametrize("text", ["nonsense=1", "reset=2", "reset=often", "error=1:x"])
def test_wrong_faults_are_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"no fault is called|share"):
        parse_faults(text)


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        ("0.05", Latency(shortest=0.05, longest=0.05)),
        ("0.02-0.12", Latency(shortest=0.02, longest=0.12)),
        ("lognormal:0.05,0.6", Latency(kind="lognormal", median=0.05, sigma=0.6)),
        ("exponential:0.02,0.05", Latency(kind="exponential", shortest=0.02, median=0.05)),
    ],
)
def test_latencies_are_written_as_text(text: str, latency: Latency) -> None:
    assert Latency.of(text) == latency


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 422, 429, 500, 502, 599])
async def test_a_failure_has_the_status_that_was_asked_for_on_every_operation(api: Api, status: int) -> None:
    api.server.add_fault("error", status=status, message="as asked")
    for path in (
        "/businesses",
        f"{api.account}/campaigns",
        f"{api.account}/drafts/campaigns",
        "/ad_categories",
        "/targets/genres",
    ):
        got, content, _ = await api.send("GET", path)
        assert (got, content["messages"]) == (status, ["as asked"]), path


async def test_one_ad_account_or_one_business_can_be_denied(api: Api) -> None:
    armed = api.server.add_fault("denied", ad_accounts=frozenset({api.server.ad_account_id}))
    assert [(await api.send("GET", path))[0] for path in (f"{api.account}/campaigns", "/businesses")] == [403, 200]
    armed.remove()
    api.server.add_fault("denied", businesses=frozenset({api.server.business_id}))
    assert [
        (await api.send("GET", path))[0] for path in (f"{api.business}/ad_accounts", f"{api.account}/campaigns")
    ] == [403, 200]
    api.server.clear_faults()
    api.server.add_fault("terms")
    status, content, _ = await api.send("GET", "/businesses")
    assert (status, "terms" in content["messages"][0]) == (403, True)
    with pytest.raises(ValueError, match="between 400 and 599"):
        api.server.add_fault("error", status=200)
