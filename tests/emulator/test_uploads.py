from __future__ import annotations

import io
import struct

import aiohttp
from support.emulated import Api, Apis, Json

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 640) + b"\x08\x02\0\0\0"
MP3 = b"ID3" + bytes(48_000)


def form(media: bytes, **fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData(fields)
    data.add_field("media", io.BytesIO(media), filename="file", content_type="application/octet-stream")
    return data


async def create(api: Api, kind: str, **details: str) -> Json:
    asset = await api.expect(
        200, "POST", f"{api.account}/assets", json={"asset_type": kind, "name": "A file", **details}
    )
    assert asset["status"] == "WAITING_UPLOAD"
    return asset


async def test_a_file_is_uploaded_processed_and_ready(apis: Apis) -> None:
    api = await apis.start(processing=30.0)
    asset = await create(api, "IMAGE")
    path = f"{api.account}/assets/{asset['id']}"
    uploaded = await api.expect(200, "POST", f"{path}/upload", data=form(PNG, asset_type="IMAGE"))
    assert (uploaded["status"], (await api.get(path))["status"]) == ("PROCESSING", "PROCESSING")
    await api.expect(400, "POST", f"{path}/upload", data=form(PNG, asset_type="IMAGE"))
    api.server.clock.skew += 31
    ready = (await api.get(f"{api.account}/assets", statuses="READY", asset_ids=asset["id"]))["assets"][0]
    assert (ready["file_type"], ready["aspect_ratio"], ready["width"], ready["height"]) == ("PNG", "SQUARE", 640, 640)
    assert ready["url"].startswith("https://")
    assert await api.get(path) == ready


async def test_a_file_in_sections_arrives_in_any_order(apis: Apis) -> None:
    api = await apis.start(processing=0.0)
    asset = await create(api, "AUDIO", asset_subtype="USER_UPLOADED_AUDIO")
    path = f"{api.account}/assets/{asset['id']}"
    session = await api.expect(200, "POST", f"{path}/chunked_upload/start")
    identity = {"asset_type": "AUDIO", "upload_session_id": session["upload_session_id"]}
    parts = {2: MP3[40_000:], 1: MP3[:40_000]}
    complete = {**identity, "number_of_sections": 2}
    for number, part in parts.items():
        await api.expect(400, "POST", f"{path}/chunked_upload/complete", json=complete)
        data = form(part, **identity, upload_section=str(number))
        assert await api.expect(200, "POST", f"{path}/chunked_upload/transfer", data=data) == {"success": True}
    await api.expect(400, "POST", f"{path}/chunked_upload/complete", json={**complete, "number_of_sections": 1})
    await api.expect(200, "POST", f"{path}/chunked_upload/complete", json=complete)
    ready = await api.get(path)
    assert (ready["status"], ready["file_type"], ready["duration_ms"]) == ("READY", "MP3", len(MP3) * 1000 // 16_000)
    await api.expect(400, "POST", f"{path}/chunked_upload/complete", json=complete)


async def test_sections_are_bounded_by_what_the_start_answered(api: Api) -> None:
    asset = await create(api, "VIDEO")
    path = f"{api.account}/assets/{asset['id']}/chunked_upload"
    session = await api.expect(200, "POST", f"{path}/start")
    fields = {"asset_type": "VIDEO", "upload_session_id": session["upload_session_id"]}
    large = bytes(session["max_chunk_size_mb"] * 1024 * 1024 + 1)
    await api.expect(400, "POST", f"{path}/transfer", data=form(large, **fields, upload_section="1"))
    await api.expect(400, "POST", f"{path}/transfer", data=form(b"x", **fields, upload_section="0"))


async def test_files_over_20_mb_are_refused(api: Api) -> None:
    asset = await create(api, "IMAGE")
    await api.expect(
        400,
        "POST",
        f"{api.account}/assets/{asset['id']}/upload",
        data=form(bytes(20 * 1024 * 1024 + 1), asset_type="IMAGE"),
    )


async def test_a_file_of_the_wrong_type_ends_in_error_and_may_come_again(apis: Apis) -> None:
    api = await apis.start(processing=0.0)
    asset = await create(api, "IMAGE")
    path = f"{api.account}/assets/{asset['id']}"
    await api.expect(400, "POST", f"{path}/upload", data=form(MP3, asset_type="AUDIO"))
    await api.expect(200, "POST", f"{path}/upload", data=form(MP3, asset_type="IMAGE"))
    assert (await api.get(path))["status"] == "ERROR"
    await api.expect(200, "POST", f"{path}/upload", data=form(PNG, asset_type="IMAGE"))
    assert (await api.get(path))["status"] == "READY"


async def test_assets_are_renamed_by_type(api: Api) -> None:
    asset = await api.first("assets", asset_types="AUDIO")
    path = f"{api.account}/assets/{asset['id']}"
    await api.expect(400, "PATCH", path, json={"asset_type": "VIDEO", "name": "New name"})
    assert (await api.expect(200, "PATCH", path, json={"asset_type": "AUDIO", "name": "New name"}))[
        "name"
    ] == "New name"
    assert (await api.get(f"{api.account}/assets", name="new NAME"))["paging"]["total_results"] == 1
    assert (await api.get(f"{api.account}/assets", asset_subtypes="BACKGROUND_MUSIC"))["assets"] == []


async def put(url: str, content: bytes, **headers: str) -> int:
    async with aiohttp.ClientSession() as client, client.put(url, data=content, headers=headers) as answer:
        return answer.status


async def test_a_customer_list_goes_to_storage_and_becomes_an_audience(apis: Apis) -> None:
    api = await apis.start(processing=30.0)
    place = await api.expect(200, "POST", f"{api.account}/audiences/upload_url")
    assert await put(place["upload_url"], b"x", Authorization="Bearer test-token") == 400
    assert await put(place["upload_url"].replace("Signature=", "Signature=0"), b"x") == 403
    assert await put(place["upload_url"], b"\n".join(b"%064d" % number for number in range(1234))) == 200
    body = {"audience_type": "CUSTOM", "subtype": "CUSTOMER_LIST", "name": "Customers", "audience_id": place["id"]}
    audience = await api.expect(201, "POST", f"{api.account}/audiences", json=body)
    assert (audience["id"], audience["status"]) == (place["id"], "PROCESSING")
    await api.expect(400, "POST", f"{api.account}/audiences", json=body)
    api.server.clock.skew += 31
    path = f"{api.account}/audiences/{audience['id']}"
    assert ((await api.get(path))["status"], (await api.get(path))["size"]) == ("LIVE", {"min": 1200, "max": 1300})
    again = await api.expect(200, "POST", f"{api.account}/audiences/upload_url/{audience['id']}")
    assert await put(again["upload_url"], b"one\ntwo\n") == 200
    assert (await api.get(path))["status"] == "PROCESSING"
    api.server.clock.skew += 31
    assert (await api.get(path))["size"] == {"min": 0, "max": 100}


async def test_signed_urls_expire(api: Api) -> None:
    place = await api.expect(200, "POST", f"{api.account}/audiences/upload_url")
    api.server.clock.skew += 3601
    assert await put(place["upload_url"], b"x") == 400


async def test_audiences_in_use_are_not_deleted(apis: Apis) -> None:
    api = await apis.start(processing=0.0)
    campaign = await api.first("campaigns")
    body = {
        "audience_type": "CUSTOM",
        "subtype": "AD_ENGAGEMENT",
        "name": "Listeners",
        "campaign_ids": [campaign["id"]],
    }
    seed = await api.expect(201, "POST", f"{api.account}/audiences", json=body)
    look = {"audience_type": "LOOKALIKE", "name": "Alike", "seed_audience_id": seed["id"]}
    alike = await api.expect(201, "POST", f"{api.account}/audiences", json=look)
    assert (await api.get(f"{api.account}/audiences/{seed['id']}"))["lookalike_audience_ids"] == [alike["id"]]
    await api.expect(409, "DELETE", f"{api.account}/audiences/{seed['id']}")
    ad_set = f"{api.account}/ad_sets/{(await api.first('ad_sets'))['id']}"
    await api.expect(200, "PATCH", ad_set, json={"targets": {"audience_ids": [alike["id"]]}})
    await api.expect(409, "DELETE", f"{api.account}/audiences/{alike['id']}")
    await api.expect(200, "PATCH", ad_set, json={"targets": {"audience_ids": []}})
    assert await api.expect(200, "DELETE", f"{api.account}/audiences/{alike['id']}") == {"deletion_count": 1}
    assert await api.expect(200, "DELETE", f"{api.account}/audiences/{seed['id']}") == {"deletion_count": 1}


async def test_audiences_are_edited_listed_and_checked(apis: Apis) -> None:
    api = await apis.start(processing=0.0)
    path = f"{api.account}/audiences"
    for body in (
        {"audience_type": "SOMETHING", "name": "Wrong"},
        {"audience_type": "CUSTOM", "name": "No file"},
        {"audience_type": "CUSTOM", "name": "No campaign", "subtype": "AD_ENGAGEMENT"},
        {"audience_type": "CUSTOM", "name": "No days", "subtype": "WEB_EVENT", "lookback_days": 45},
        {"audience_type": "LOOKALIKE", "name": "No seed"},
    ):
        await api.expect(400, "POST", path, json=body)
    made = [
        await api.expect(201, "POST", path, json={"audience_type": "CUSTOM", "subtype": "LIVERAMP", "name": name})
        for name in ("Bb", "Aa")
    ]
    edit = {"audience_type": "CUSTOM", "name": "Cc", "description": "New"}
    assert (await api.expect(200, "PATCH", f"{path}/{made[0]['id']}", json=edit))["description"] == "New"
    await api.expect(400, "PATCH", f"{path}/{made[0]['id']}", json={**edit, "audience_type": "LOOKALIKE"})
    assert [row["name"] for row in (await api.get(path, sort_field="NAME", sort_direction="ASC"))["audiences"]] == [
        "Aa",
        "Cc",
    ]
    assert [row["name"] for row in (await api.get(path, q="c", audience_types="CUSTOM"))["audiences"]] == ["Cc"]
