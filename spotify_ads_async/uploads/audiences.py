"""``account.audiences``: the calls of audiences, and uploads of customer lists."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Generator, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import anyio
import anyio.to_thread
import msgspec

from spotify_ads_async import operations
from spotify_ads_async.core.signed_urls import Storage
from spotify_ads_async.errors import ConfigurationError, InvalidAnswer, InvalidRequest, NotFound, RequestRejected
from spotify_ads_async.json_values import reworded
from spotify_ads_async.models import Audience, AudienceStatus, AudienceSubtype, CustomAudienceCreate
from spotify_ads_async.operation import Repeat
from spotify_ads_async.resources import audiences
from spotify_ads_async.spreadsheets import SpreadsheetError, open_spreadsheet
from spotify_ads_async.spreadsheets.detection import is_workbook
from spotify_ads_async.spreadsheets.spooling import open_content
from spotify_ads_async.spreadsheets.text import TextFile, lines_of
from spotify_ads_async.types import UNSET, Secret
from spotify_ads_async.uploads.hash_folder import hash_folder
from spotify_ads_async.uploads.identifiers import (
    Counts,
    NotCsvError,
    distinct,
    encoding_of,
    holds_identifiers,
    identifiers,
    lines_of_workbook,
    missing_from,
)
from spotify_ads_async.validation.requests import check_body

__all__ = ["AudienceFailed", "Audiences", "UploadedAudience"]

_NEW_PLACE = msgspec.structs.replace(operations.CREATE_UPLOAD_URL, repeat=Repeat.SAFE)
_PLACE = msgspec.structs.replace(operations.REPLACE_UPLOAD_URL, repeat=Repeat.SAFE)
"""Asking twice for a signed URL leaves one behind that nobody uses."""
_USELESS = frozenset({"ARCHIVED", "DELETED", "ERROR", "EXPIRED", "FAILED", "REJECTED"})
"""Statuses that no waiting changes; those too that no document lists among them, for they may come."""
_SETTLED = frozenset({"BOOKABLE", "LIVE", "EMPTY", *_USELESS})
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.25, 60.0, 1.6
_NOTICED_AFTER = 30.0
_CONTENT_TYPE = "text/csv"
_NO_ID = str(UUID(int=0))
"""Stands for the id that the server gives with the address."""


logger = logging.getLogger("spotify_ads_async")


class AudienceFailed(RequestRejected):
    """The audience's status is final, and nobody can use it. The message says what to do."""


class UploadedAudience(msgspec.Struct, frozen=True, kw_only=True):
    """A customer list that was uploaded.

    Attributes:
        audience: the audience as it was read last; it may still be PROCESSING, which can take days.
        identifiers: how many different identifiers the list has.
        repeated: how many came again and were left out.
        cleaned: how many had something around or in them that does not belong to them, such as ``mailto:`` or invisible
            characters.
        refused: how many lines were not plainly one customer's; nothing of them was uploaded.
        empty: how many rows below a header have something, and nothing in the columns of identifiers.
        encoding: what the file was read as, empty where there was no file.
        encoding_assumed: whether the file does not tell that.
        unchanged: whether an audience whose list was replaced still looks as it did before: the new list may be waiting
            to be processed, or nothing that is shown has changed.
    """

    audience: Audience
    identifiers: int
    repeated: int
    refused: int
    cleaned: int = 0
    empty: int = 0
    encoding: str = ""
    encoding_assumed: bool = False
    unchanged: bool = False

    @property
    def id(self) -> str:
        """The audience's ID."""
        return self.audience.id or ""

    @property
    def status(self) -> AudienceStatus | None:
        """How far the audience is; it can be targeted when it is BOOKABLE or LIVE."""
        return self.audience.status


class Audiences(audiences.Audiences):
    """Audiences: lists of listeners to target or to leave out."""

    async def upload_file(
        self,
        source: str | os.PathLike[str] | Iterable[str],
        *,
        name: str | None = None,
        description: str | None = None,
        audience_id: str | None = None,
        columns: Sequence[str] | None = None,
        skip_invalid: bool = False,
        encoding: str | None = None,
        timeout: float | None = 600.0,  # noqa: ASYNC109 - it covers processing alone
    ) -> UploadedAudience:
        """Upload a customer list: a new audience, or with ``audience_id`` a new list for an audience that is there.

        E-mail addresses and mobile advertising ids are normalised and hashed with SHA-256 on this machine; hashes are
        taken as they are. A list replaces the one before it whole: the API adds nobody and removes nobody one by one.

        Args:
            source: a text file with one identifier a line, a CSV file with a header, a workbook, or the identifiers
                themselves.
            name: the new audience's name, 2 to 80 characters; the file's name if left out.
            description: the new audience's description, at most 80 characters.
            audience_id: the audience whose list is replaced.
            columns: the columns of a CSV file that hold identifiers, where their names don't tell.
            skip_invalid: leave out lines that are not plainly one identifier's, instead of refusing the list.
            encoding: the file's encoding. By default UTF-8, or UTF-16 where its bytes say so; else Windows-1252 is
                taken for granted, and an identifier with other letters than ASCII is refused, for its hash would depend
                on that.
            timeout: seconds to wait until the audience can be used; after them it is returned as it is. None does not
                wait.

        Raises:
            InvalidRequest: the list holds no identifier, lines without one, or is in no encoding that can be told;
                nothing was sent. It names lines, never contents.
            ConfigurationError: the hashes that were written to the disk are not those that were read; nothing was sent.
            AudienceFailed: the audience is archived, or failed: nobody can use it.
            InvalidAnswer: the new audience is there, and is called otherwise than was asked; or an answer is none.
            RequestRejected: the storage or the API refuses.
            SpotifyAdsError: what else a call raised.
        """
        if audience_id is None:
            name = name or _name_of(source)
            self._require_creatable(name, description)
        with hash_folder() as folder:
            # Only hashes reach the disk, and only this user can read them.
            ready = folder / "list.csv"
            counts, read_as, assumed = await anyio.to_thread.run_sync(_prepare, source, columns, encoding, ready)
            _require(counts, skip_invalid=skip_invalid)
            before = None if audience_id is None else await self.get(audience_id)
            new_id, address = await self._place(audience_id)
            await self._put(address, ready)
        if audience_id is None:
            await self._create(new_id, name or "", description)
        audience = await self._read(new_id)
        if audience_id is None:
            _require_called(audience, name or "", description)
        if timeout is not None:
            audience = await self._settled(new_id, audience, before, timeout)
        _require_usable(audience)
        return _uploaded(audience, counts, read_as, assumed=assumed, unchanged=audience == before)

    async def _place(self, audience_id: str | None) -> tuple[str, Secret]:
        """The id of an audience, and a signed URL for its list."""
        path = {"ad_account_id": self._ad_account_id}
        if audience_id is None:
            place = await self._session.call(_NEW_PLACE, path=path)
        else:
            place = await self._session.call(_PLACE, path={**path, "audience_id": audience_id})
        if not place.id or place.upload_url is None:
            raise InvalidAnswer("the answer names no address to upload to", operation=operations.CREATE_UPLOAD_URL.id)
        if audience_id is not None and place.id.lower() != audience_id.lower():
            raise InvalidAnswer(
                f"the answer names an address for audience {place.id} and not for {audience_id}: nothing was sent",
                operation=operations.REPLACE_UPLOAD_URL.id,
            )
        return place.id, place.upload_url

    async def _put(self, address: Secret, file: Path) -> None:
        async with Storage(self._session.transport_options, self._session.policy) as storage:
            await storage.put(address, file, content_type=_CONTENT_TYPE)

    def _require_creatable(self, name: str, description: str | None) -> None:
        """Find out what is wrong with a new audience before its list is read and sent."""
        if self._session.options.validate:
            check_body(operations.CREATE_AUDIENCE, _new_audience(_NO_ID, name, description), now=datetime.now(UTC))

    async def _create(self, identifier: str, name: str, description: str | None) -> Audience:
        body = _new_audience(identifier, name, description)

        async def created() -> Audience | None:
            # The id is known before the audience is there: looking it up settles everything.
            try:
                return await self.get(identifier)
            except NotFound:
                return None

        return await self.create(body, verify=created)

    async def _read(self, identifier: str) -> Audience:
        audience = await self.get(identifier)
        if (audience.id or "").lower() != identifier.lower():
            raise InvalidAnswer(
                f"the answer is about audience {audience.id} and not about {identifier}",
                operation=operations.GET_AUDIENCE.id,
            )
        return audience

    async def _settled(self, identifier: str, audience: Audience, before: Audience | None, timeout: float) -> Audience:  # noqa: ASYNC109 - between questions
        """The audience once its list is processed, or when time is up.

        A replaced list counts once the audience shows it.
        """
        begun = time.monotonic()
        pause = _FIRST_PAUSE
        while audience.status not in _SETTLED or audience == before:
            waited = time.monotonic() - begun + pause
            # An equal list may change nothing that the audience shows.
            if waited > timeout or (audience == before and waited > _NOTICED_AFTER):
                break
            await anyio.sleep(pause)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)
            audience = await self._read(identifier)
        return audience


def _uploaded(audience: Audience, counts: Counts, encoding: str, *, assumed: bool, unchanged: bool) -> UploadedAudience:
    return UploadedAudience(
        audience=audience,
        identifiers=counts.identifiers,
        repeated=counts.repeated,
        refused=counts.refused,
        cleaned=counts.cleaned,
        empty=counts.empty,
        encoding=encoding,
        encoding_assumed=assumed,
        unchanged=unchanged,
    )


def _new_audience(identifier: str, name: str, description: str | None) -> CustomAudienceCreate:
    return CustomAudienceCreate(
        name=name,
        description=UNSET if description is None else description,
        audience_id=identifier,
        subtype=AudienceSubtype.CUSTOMER_LIST,
    )


def _name_of(source: str | os.PathLike[str] | Iterable[str]) -> str:
    if isinstance(source, str | os.PathLike):
        return Path(source).stem
    raise InvalidRequest(
        "a new audience needs a name (name=…)", operation=operations.CREATE_AUDIENCE.id, path="body.name", rule="given"
    )


def _require_called(audience: Audience, name: str, description: str | None) -> None:
    """Hold a new audience to its name and description, where the server tells them.

    Raises:
        InvalidAnswer: one of them is another.
    """
    for what, wanted, told in (("name", name, audience.name), ("description", description, audience.description)):
        if wanted is not None and told is not None and not reworded(wanted, told):
            raise InvalidAnswer(
                f"audience {audience.id} is there with its list, and its {what} is {told!r} and not {wanted!r}: change"
                " it, for uploading the list again would make another audience",
                operation=operations.GET_AUDIENCE.id,
                may_have_taken_effect=True,
            )


def _require_usable(audience: Audience) -> None:
    """Say what to do where the audience's status is final and of no use."""
    if audience.status in _USELESS:
        raise AudienceFailed(
            f"audience {audience.id} is {str(audience.status).lower()} and cannot be used: upload the list as a new"
            " audience",
            operation=operations.GET_AUDIENCE.id,
        )
    if audience.status == AudienceStatus.EMPTY:
        logger.warning(
            "audience %s is EMPTY: nobody on its list was found on Spotify; check the list, and replace it", audience.id
        )


def _prepare(
    source: str | os.PathLike[str] | Iterable[str], columns: Sequence[str] | None, stated: str | None, ready: Path
) -> tuple[Counts, str, bool]:
    """Write the hashed list to ``ready``. It blocks: it runs in a thread.

    Returns:
        What was counted; the encoding, and whether it was taken for granted.
    """
    counts = Counts(refused_lines=[], sample=[])
    encoding, assumed = "", False
    try:
        if isinstance(source, str | os.PathLike):
            with open_content(Path(source)) as content:
                if is_workbook(content):
                    _write_sheet(content, columns, ready, counts)
                else:
                    encoding, assumed = encoding_of(content, stated)
                    with contextlib.closing(_lines_of(content, encoding)) as lines:
                        _write(lines, columns, ready, counts, ascii_only=assumed)
        else:
            # Columns of data frames hold numbers where nothing is: what is no text is no identifier.
            texts = (one if isinstance(one, str) else "?" for one in source)  # pyright: ignore[reportUnnecessaryIsInstance]
            _write(texts, columns, ready, counts, ascii_only=False)
    except KeyError as missing:
        raise _refusal(f"has no column {missing}", "the columns that are named") from None
    except NotCsvError as wrong:
        raise _refusal(
            f"has quotation marks that do not pair, in the row that begins at line {wrong.line}: where it ends is not"
            " clear",
            "a CSV file: a value with a quotation mark stands between quotation marks, and doubles it",
        ) from None
    except SpreadsheetError as wrong:
        raise _refusal(wrong.reason, "a text in UTF-8, UTF-16 or an encoding that is stated") from None
    with ready.open(encoding="ascii", errors="replace") as written:
        lost = missing_from(written, counts)
    if lost:
        raise ConfigurationError(
            f"the hashed list in {ready.parent} is not what was read ({lost}): is the disk full? nothing was sent"
        )
    return counts, encoding, assumed


def _lines_of(content: BinaryIO, encoding: str) -> Generator[str]:
    for _, line in lines_of(content, TextFile(encoding=encoding)):
        yield line


def _write(
    lines: Iterable[str], columns: Sequence[str] | None, ready: Path, counts: Counts, *, ascii_only: bool
) -> None:
    with ready.open("w", encoding="ascii") as out:
        found = identifiers(lines, columns, counts, ascii_only=ascii_only)
        out.writelines(f"{one}\n" for one in distinct(found, ready.parent, counts))


def _write_sheet(content: BinaryIO, columns: Sequence[str] | None, ready: Path, counts: Counts) -> None:
    """Write the hashed list of a workbook, whose one visible sheet holds it; hidden ones hold no identifiers."""
    with open_spreadsheet(content) as opened:
        tables = [
            table for table in opened.tables if (holds_identifiers(table) if table.hidden else table.first is not None)
        ]
        if len(tables) != 1:
            names = ", ".join(f"{table.name}{' (hidden)' * table.hidden}" for table in tables) or "none"
            raise SpreadsheetError(
                f"is a workbook in which one sheet must hold the list; sheets that hold something: {names}"
            )
        if tables[0].hidden:
            raise SpreadsheetError(f"holds the list in {tables[0].name}, which is hidden: show the sheet, or delete it")
        _write(lines_of_workbook(tables[0]), columns, ready, counts, ascii_only=False)


def _require(counts: Counts, *, skip_invalid: bool) -> None:
    if counts.refused and not skip_invalid:
        shown = ", ".join(map(str, counts.refused_lines)) + (
            ", …" if counts.refused > len(counts.refused_lines) else ""
        )
        raise _refusal(
            f"has {counts.refused} lines without an identifier (lines {shown}), or with one where none belongs: mend"
            " them, or leave them out with skip_invalid=True; where a line holds more than an identifier, the first"
            " must name the columns, such as E-Mail or IDFA",
            "an e-mail address, a mobile advertising id or a SHA-256 hash in every line",
        )
    if not counts.identifiers:
        raise _refusal("holds no identifier", "one identifier at least")


def _refusal(what: str, rule: str) -> InvalidRequest:
    return InvalidRequest(f"the list {what}", operation=operations.CREATE_UPLOAD_URL.id, path="source", rule=rule)
