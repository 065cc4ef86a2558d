"""What a plan's journal says of drafts: which campaigns have one from this plan, and which row is in which draft."""

from __future__ import annotations

import enum
import sqlite3
from typing import Any

import msgspec

from spotify_ads_async.bulk.records import Step, StepState
from spotify_ads_async.bulk.store.schema import Known, decode

__all__ = ["CAMPAIGN_STATES", "AroundTable", "CampaignState", "DraftCampaign", "DraftTables", "StagedRow"]


class CampaignState(enum.StrEnum):
    """Where a campaign's draft stands."""

    OPEN = "open"
    """It is filled, or to be validated."""
    VALID = "valid"
    INVALID = "invalid"
    PUBLISHING = "publishing"
    """The request may have left; what came of it is not known yet."""
    PUBLISHED = "published"
    DELETED = "deleted"
    """It was taken back."""


CAMPAIGN_STATES, _STEP_STATES = Known(CampaignState), Known(StepState)


class DraftCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign with a draft. ``version`` is the one that was validated; ``made_at`` is empty where it is not known.

    In the plan of a workbook the ``id`` of a new campaign is its number there.
    """

    id: str
    draft_id: str
    state: CampaignState
    version: int | None = None
    made_at: str = ""

    @property
    def is_new(self) -> bool:
        """Whether the campaign itself is new: then its draft is ours, and deleting that deletes all that is in it."""
        return self.id.isdecimal()


class StagedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row's request with its draft.

    Attributes:
        step: the request.
        draft_id: the draft, empty until it is known.
        campaign_id: the campaign that it is published with.
        parent_id: what it is listed by.
        filled: whether the row's values are in it, or may be, as the row and what it was planned on are now.
        goes: whether the row is neither refused nor in conflict, nor as wanted already.
    """

    step: Step
    draft_id: str
    campaign_id: str
    parent_id: str
    filled: bool
    goes: bool

    @property
    def still_filled(self) -> bool:
        """Whether the row failed, or is to be made again, though its values are in its draft, or may be."""
        return self.goes and self.filled and self.step.state in {StepState.WAITING, StepState.FAILED}


_STAGED = (
    "SELECT step.row, position, entity_id, body, step.state, sent, draft_id, campaign_id, parent_id, "
    "filled, decision = 'planned' "
    "FROM step JOIN row ON number = step.row JOIN draft ON draft.row = step.row "
)


class AroundTable:
    """What is live, and has drafts that are published along with those of a plan."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def surround(self, entity_id: str, campaign_id: str, state: str) -> None:
        """Write down how the campaign, or an ad set in it, is live just before its draft is made."""
        self._connection.execute("INSERT OR REPLACE INTO around VALUES (?, ?, ?)", (entity_id, campaign_id, state))

    def around(self, campaign_id: str) -> dict[str, dict[str, Any]]:
        """What is not in rows and in a campaign's draft, by id: each as it was just before."""
        found = self._connection.execute("SELECT id, state FROM around WHERE campaign_id = ?", (campaign_id,))
        return {identifier: decode(state) for identifier, state in found}


class DraftTables(AroundTable):
    """The tables of drafts in an open plan."""

    def requeue(self) -> None:
        """Campaigns of which a row is to be staged, or staged again, are to be validated again."""
        self._connection.execute(
            "UPDATE campaign SET state = 'open' WHERE state IN ('valid', 'invalid') AND EXISTS (SELECT 1 FROM draft"
            " JOIN step USING (row) JOIN row ON number = draft.row WHERE campaign_id = campaign.id"
            " AND decision = 'planned' AND step.state IN ('waiting', 'sent', 'unknown'))"
        )

    def unlocated(self) -> list[int]:
        """Rows whose campaign is not known yet."""
        return [
            number
            for (number,) in self._connection.execute(
                "SELECT number FROM open WHERE number NOT IN (SELECT row FROM draft) ORDER BY 1"
            )
        ]

    def undrafted(self) -> dict[str, bool]:
        """The campaigns of open rows whose draft is not known, and whether this plan was about to make it."""
        found = self._connection.execute(
            "SELECT DISTINCT campaign_id, id IS NOT NULL FROM draft JOIN open ON number = draft.row LEFT JOIN campaign"
            " ON id = campaign_id WHERE coalesce(campaign.draft_id, '') = ''"
        )
        return {campaign_id: bool(begun) for campaign_id, begun in found}

    def begin(self, campaign_id: str) -> None:
        """Write down that a campaign's draft is about to be made."""
        self._connection.execute("INSERT OR IGNORE INTO campaign (id, state) VALUES (?, 'open')", (campaign_id,))

    def forget(self, campaign_id: str) -> None:
        """Write down that a campaign's draft is there no more: rows that changed nothing may be staged anew."""
        self._connection.execute(
            "DELETE FROM draft WHERE campaign_id = ? AND EXISTS (SELECT 1 FROM step WHERE step.row = draft.row AND"
            " (state = 'done' OR found IS NOT NULL))",
            (campaign_id,),
        )
        self._connection.execute("UPDATE draft SET draft_id = '', filled = 0 WHERE campaign_id = ?", (campaign_id,))
        self._connection.execute("DELETE FROM campaign WHERE id = ?", (campaign_id,))
        self._connection.execute("DELETE FROM around WHERE campaign_id = ?", (campaign_id,))

    def forget_row(self, row: int) -> None:
        """Write down that a row's draft is there no more, and perhaps what it was in."""
        self.remember(row, "")
        self.fill(row, filled=False)
        self._connection.execute(
            "DELETE FROM around WHERE id <> campaign_id AND id = (SELECT parent_id FROM draft WHERE row = ?)", (row,)
        )

    def locate(self, row: int, *, campaign_id: str, parent_id: str) -> None:
        """Write down where a row's draft belongs, before anything of it is made."""
        self._connection.execute(
            "INSERT INTO draft (row, campaign_id, parent_id) VALUES (?, ?, ?)", (row, campaign_id, parent_id)
        )

    def remember_campaign(self, campaign_id: str, draft_id: str, made_at: str) -> None:
        """Write down that a campaign's draft is there, and when it was made."""
        self._connection.execute(
            "UPDATE campaign SET draft_id = ?, made_at = ? WHERE id = ?", (draft_id, made_at, campaign_id)
        )

    def remember(self, row: int, draft_id: str) -> None:
        """Write down that a row's draft is there."""
        self._connection.execute("UPDATE draft SET draft_id = ? WHERE row = ?", (draft_id, row))

    def fill(self, row: int, *, filled: bool) -> None:
        """Write down whether a row's values are in its draft, or may be."""
        self._connection.execute("UPDATE draft SET filled = ? WHERE row = ?", (filled, row))

    def conclude(self, campaign_id: str, state: CampaignState, version: int | None = None) -> None:
        """Write down where a campaign's draft stands."""
        self._connection.execute(
            "UPDATE campaign SET state = ?, version = ? WHERE id = ?", (state, version, campaign_id)
        )

    def campaigns(self, state: CampaignState | None = None) -> list[DraftCampaign]:
        """The campaigns with drafts of this plan, in one state or all."""
        found = self._connection.execute(
            "SELECT id, draft_id, state, version, made_at FROM campaign WHERE ? IS NULL OR state = ?", (state, state)
        )
        return [
            DraftCampaign(id=one, draft_id=draft, state=CAMPAIGN_STATES[now], version=version, made_at=made_at)
            for one, draft, now, version, made_at in found
        ]

    def draft_of_campaign(self, campaign_id: str) -> str | None:
        """The id of a campaign's draft, empty until it is known; None where this plan was not about to make it."""
        found = self._connection.execute("SELECT draft_id FROM campaign WHERE id = ?", (campaign_id,)).fetchone()
        return found[0] if found else None

    def rows_of(self, campaign_id: str) -> list[StagedRow]:
        """The requests of a campaign's rows, in input order, without rows that do not go and have no draft."""
        chosen = "WHERE campaign_id = ? AND (decision = 'planned' OR draft_id <> '') ORDER BY step.row"
        return [_staged(values) for values in self._connection.execute(_STAGED + chosen, (campaign_id,))]

    def of_row(self, row: int) -> StagedRow:
        """One row's request."""
        return _staged(self._connection.execute(_STAGED + "WHERE step.row = ?", (row,)).fetchone())

    def publishable(self) -> int:
        """How many rows are in drafts that are valid and not published."""
        (count,) = self._connection.execute(
            "SELECT count(*) FROM draft JOIN campaign ON campaign.id = campaign_id WHERE campaign.state = 'valid'"
        ).fetchone()
        return count


def _staged(values: tuple[Any, ...]) -> StagedRow:
    row, position, entity_id, body, state, sent, draft_id, campaign_id, parent_id, filled, goes = values
    step = Step(
        row=row, position=position, entity_id=entity_id, body=decode(body), state=_STEP_STATES[state], sent=sent
    )
    return StagedRow(
        step=step,
        draft_id=draft_id,
        campaign_id=campaign_id,
        parent_id=parent_id,
        filled=bool(filled),
        goes=bool(goes),
    )
