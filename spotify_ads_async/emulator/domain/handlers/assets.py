"""Assets: metadata, whole and chunked upload, and the way from WAITING_UPLOAD over PROCESSING to READY."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spotify_ads_async.emulator.domain.answers import Response, refused
from spotify_ads_async.emulator.domain.call import Call, page
from spotify_ads_async.emulator.domain.media import describe
from spotify_ads_async.emulator.domain.store import Account
from spotify_ads_async.emulator.domain.tables import Row

__all__ = ["MAX_CHUNK_SIZE_MB"]

MAX_CHUNK_SIZE_MB = 5
"""What startUploadChunkedAsset answers; transferChunkedAsset refuses larger sections."""

_AUDIO_AD = frozenset({"ADSTUDIO_SUPPLIED_AUDIO", "USER_UPLOADED_AUDIO"})
_BACKGROUND = frozenset({"BACKGROUND_MUSIC", "STOCK_BACKGROUND_MUSIC"})
_GENERAL: Mapping[str, frozenset[str]] = {"AUDIO_AD": _AUDIO_AD, "BACKGROUND_MUSIC": _BACKGROUND}

_FILE_TYPES = {"AUDIO": "MP3", "IMAGE": "JPEG", "VIDEO": "MP4"}
"""What is assumed until a file comes: without it the document's three shapes of an asset cannot be told apart."""


def create_asset(call: Call) -> Response:
    """``createAsset``: metadata only, the file is still to come."""
    store, body = call.store, call.body
    if body["asset_type"] == "AUDIO" and "asset_subtype" not in body:
        raise refused("asset_subtype: required when asset_type is AUDIO")
    now = store.clock.text()
    row: Row = {
        "id": store.new_id(),
        "name": body["name"],
        "asset_type": body["asset_type"],
        "status": "WAITING_UPLOAD",
        "created_at": now,
        "updated_at": now,
    }
    row["file_type"] = _FILE_TYPES[body["asset_type"]]
    if body["asset_type"] == "AUDIO":
        row["audio_type"] = body["asset_subtype"]
    return Response(call.account.assets.put(row))


def _current(account: Account, asset_id: str) -> Row:
    return account.processed(account.assets, account.assets.get(asset_id))


def get_asset(call: Call) -> Response:
    """``getAsset``."""
    return Response(_current(call.account, call.path["asset_id"]))


def update_asset(call: Call) -> Response:
    """``updateAsset``: the name changes, and what audio is; the type says which asset is meant."""
    account, body = call.account, call.body
    row = _of_type(account, call.path["asset_id"], body["asset_type"])
    changed: Row = {"name": body.get("name", row["name"]), "updated_at": call.store.clock.text()}
    if row["asset_type"] == "AUDIO" and "asset_subtype" in body:
        changed["audio_type"] = body["asset_subtype"]
    return Response(account.assets.put({**row, **changed}))


def _of_type(account: Account, asset_id: str, asset_type: str) -> Row:
    row = _current(account, asset_id)
    if row["asset_type"] != asset_type:
        raise refused(f"asset_type: asset {asset_id} is of type {row['asset_type']}")
    return row


def _waiting(account: Account, asset_id: str, asset_type: str) -> Row:
    row = _of_type(account, asset_id, asset_type)
    if row["status"] not in {"WAITING_UPLOAD", "ERROR"}:
        raise refused(f"status: asset {asset_id} is {row['status']} and takes no upload")
    return row


def _receive(account: Account, row: Row, content: bytes) -> Row:
    """Take the file.

    The asset is processed and, after a while, ready, or in error when the file is nothing of its type.
    """
    described = describe(row["asset_type"], content)
    outcome: Row = {"status": "ERROR"}
    if described is not None:
        outcome = {"status": "READY", **described, "url": f"https://assets.example.com/{row['id']}"}
        if row["asset_type"] == "VIDEO":
            outcome["thumbnail_url"] = f"https://assets.example.com/{row['id']}/thumbnail.jpg"
    account.start_processing(row["id"], outcome)
    return account.assets.put({**row, "status": "PROCESSING", "updated_at": account.store.clock.text()})


def upload_asset(call: Call) -> Response:
    """``uploadAsset``."""
    account, body = call.account, call.body
    row = _waiting(account, call.path["asset_id"], body["asset_type"])
    return Response(_receive(account, row, body["media"]))


def start_upload_chunked_asset(call: Call) -> Response:
    """``startUploadChunkedAsset``."""
    account, asset_id = call.account, call.path["asset_id"]
    row = _current(account, asset_id)
    if row["status"] not in {"WAITING_UPLOAD", "ERROR"}:
        raise refused(f"status: asset {asset_id} is {row['status']} and takes no upload")
    session = call.store.new_id()
    account.uploads[session] = asset_id, {}
    return Response({"upload_session_id": session, "max_chunk_size_mb": MAX_CHUNK_SIZE_MB})


def _session(account: Account, call: Call) -> dict[int, bytes]:
    session = call.body["upload_session_id"].lower()
    asset_id, sections = account.uploads.get(session, ("", {}))
    if asset_id != call.path["asset_id"]:
        raise refused(f"upload_session_id: {session} is no open session of this asset")
    return sections


def transfer_chunked_asset(call: Call) -> Response:
    """``transferChunkedAsset``: sections may come in any order, and again."""
    account, body = call.account, call.body
    _of_type(account, call.path["asset_id"], body["asset_type"])
    sections = _session(account, call)
    if len(body["media"]) > MAX_CHUNK_SIZE_MB * 1024 * 1024:
        raise refused(f"media: the section is larger than {MAX_CHUNK_SIZE_MB} MB")
    sections[body["upload_section"]] = body["media"]
    return Response({"success": True})


def complete_upload_chunked_asset(call: Call) -> Response:
    """``completeUploadChunkedAsset``: every section from 1 on must be there."""
    account, body = call.account, call.body
    row = _waiting(account, call.path["asset_id"], body["asset_type"])
    sections = _session(account, call)
    expected = range(1, body["number_of_sections"] + 1)
    absent = [number for number in expected if number not in sections]
    if absent or len(sections) != len(expected):
        raise refused(f"number_of_sections: {body['number_of_sections']} named, {len(sections)} received")
    del account.uploads[body["upload_session_id"].lower()]
    return Response(_receive(account, row, b"".join(sections[number] for number in expected)))


def get_assets_by_ad_account(call: Call) -> Response:
    """``getAssetsByAdAccount``."""
    account, query = call.account, call.query
    for row in [row for row in account.assets if row["status"] == "PROCESSING"]:
        account.processed(account.assets, row)
    ids, name = query.get("asset_ids"), query.get("name", "").lower()
    wanted = None if ids is None else frozenset(identifier.lower() for identifier in ids)
    types, statuses, ratios = query.get("asset_types"), query.get("statuses"), query.get("aspect_ratios")
    subtypes = query.get("asset_subtypes")
    audio = None if subtypes is None else frozenset[str]().union(*(_GENERAL[subtype] for subtype in subtypes))

    def keep(row: Row) -> bool:
        return (
            (wanted is None or row["id"] in wanted)
            and (types is None or row["asset_type"] in types)
            and (audio is None or row.get("audio_type") in audio)
            and (statuses is None or row["status"] in statuses)
            and (ratios is None or row.get("aspect_ratio") in ratios)
            and (not name or name in row["name"].lower())
        )

    order = query.get("sort_field", "CREATED_AT").lower()
    direction = query["sort_direction"]
    question = (wanted, _key(types), _key(statuses), _key(ratios), audio, name, order, direction)
    rows = account.assets.select(question, keep, lambda row: row[order], descending=direction == "DESC")
    return page(call, rows, "assets")


def _key(values: list[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)
