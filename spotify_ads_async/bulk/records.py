"""What a plan file holds, as values."""

from __future__ import annotations

import enum

import msgspec

from spotify_ads_async.bulk.entities import ENTITIES, Entity
from spotify_ads_async.bulk.plan.columns import Cell

__all__ = ["Header", "NotAPlan", "PlanInUse", "PlannedRow", "RowOutcome", "RowState", "Step", "StepOutcome", "StepState", "WrongPlan"]


class NotAPlan(ValueError):
    """The file is no plan of this program, or of a newer version of it."""


class PlanInUse(RuntimeError):
    """Another process works on the plan."""


class WrongPlan(ValueError):
    """The plan cannot be carried out here, or not now."""


class RowState(enum.StrEnum):
    """What planning said of a row."""

    READ = "read"
    """Read from the file; the present state is not known yet."""
    PLANNED = "planned"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


class StepState(enum.StrEnum):
    """Where a request stands."""

    WAITING = "waiting"
    """It has not left, or surely took no effect and shall be made again."""
    SENT = "sent"
    """It may have left; what came of it is not known yet."""
    STAGED = "staged"
    """Its values are in a draft."""
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Reading back could not tell."""


class RowOutcome(enum.StrEnum):
    """What became of a row."""

    DONE = "done"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"
    WAITING = "waiting"
    """Not sent yet, or staged and not validated: the run was interrupted before it."""
    STAGED = "staged"
    """In a draft that was validated and is not published."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan is about. It applies to one ad account at one address and nowhere else."""

    entity: str
    ad_account_id: str
    base_url: str
    source: str
    created_at: str
    undo_of: str = ""
    currency: str = ""
    """The account's currency, where money is changed and it is known."""
    ready: bool = False
    drafts: bool = False
    """Whether the rows are staged as drafts: from the first run on, a plan keeps to that."""
    remarks: str = ""
    """What was taken for granted in reading the file, a line each."""
    guessed: bool = False
    """Whether the file's encoding is among that."""

    @property
    def kind(self) -> Entity:
        """What the rows are about."""
        return ENTITIES[self.entity]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a row. ``sent`` counts how often it was about to leave."""

    row: int
    position: int
    entity_id: str
    body: dict[str, Cell]
    before: dict[str, Cell]
    state: StepState
    sent: int = 0


class PlannedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row with everything known about it.

    Attributes:
        number: its place in the order of the input, from 1.
        line: its line in the file.
        entity_id: what it changes.
        change: the new values by column.
        verdict: what planning said of it.
        outcome: what became of it.
        reason: why it was refused or failed, or a remark.
        column: the column that ``reason`` is about, if it is about one.
        before: the fields that change, as they were when the plan was made.
        after: the same fields, as they shall be.
        applied: the fields that requests did change, as the server answered them.
        elsewhere: the writable fields that the row leaves alone, as they were when the plan was made.
        base: the values of an earlier export.
        bodies: the requests in their order.
        status: the HTTP status that ended it, where one did.
        trace_id: ``sp_trace_id`` of that answer.
        requests: how often a request was about to leave.
    """

    number: int
    line: int
    entity_id: str
    change: dict[str, Cell]
    verdict: RowState
    outcome: RowOutcome
    reason: str = ""
    column: str = ""
    before: dict[str, Cell] = {}
    after: dict[str, Cell] = {}
    applied: dict[str, Cell] = {}
    elsewhere: dict[str, Cell] = {}
    base: dict[str, Cell] = {}
    bodies: tuple[dict[str, Cell], ...] = ()
    status: int | None = None
    trace_id: str = ""
    requests: int = 0


class StepOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a request.

    Attributes:
        state: where it stands now.
        reason: why, where that needs saying.
        status: the HTTP status of the answer, if there was one.
        trace_id: ``sp_trace_id``, which Spotify's support asks for.
        found: the fields that the request touched, as the server has them now.
        transient: whether a failure is about the moment and not about the request.
    """

    state: StepState
    reason: str = ""
    status: int | None = None
    trace_id: str = ""
    found: dict[str, Cell] | None = None
    transient: bool = False
