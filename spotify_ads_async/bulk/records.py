"""What a plan file holds, as values."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import msgspec

from spotify_ads_async.bulk.entities import ENTITIES, Entity
from spotify_ads_async.bulk.plan.columns import Cell
from spotify_ads_async.bulk.plan.effects import Conflict

__all__ = [
    "Decision",
    "Header",
    "NotAPlan",
    "PlanDamaged",
    "PlanInUse",
    "PlannedChange",
    "PlannedRow",
    "RowOutcome",
    "RowWork",
    "Step",
    "StepOutcome",
    "StepState",
    "StoredRow",
    "UnusualRow",
    "WrongPlan",
]


class NotAPlan(ValueError):
    """The file is no plan of this program, or of a newer version of it."""


class PlanDamaged(NotAPlan):
    """The plan cannot be read or written as it should.

    Bytes of it changed, it was cut off, or the disk takes no more.
    """


class PlanInUse(RuntimeError):
    """Another process works on the plan."""


class WrongPlan(ValueError):
    """The plan cannot be carried out here, or not now."""


class Decision(enum.StrEnum):
    """What a row comes down to."""

    READ = "read"
    """Read from the file; the present state is not known yet."""
    PLANNED = "planned"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    CONFLICT = "conflict"
    """Somebody else changed what the row changes, between planning and carrying out."""


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
    CONFLICT = "conflict"
    """Somebody else changed the same values since the plan was made: left alone."""
    FAILED = "failed"
    UNKNOWN = "unknown"
    WAITING = "waiting"
    """Not sent yet, or staged and not validated: the run was interrupted before it."""
    STAGED = "staged"
    """In a draft that was validated and is not published."""

    @property
    def as_planned(self) -> bool:
        """Whether there is nothing that somebody must look at."""
        return self in {RowOutcome.DONE, RowOutcome.STAGED, RowOutcome.UNCHANGED}


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
    allow_unusual: bool = False
    """Whether somebody agreed to its unusual amounts."""
    former: bool = False
    """Whether it was made by the version before, which kept no present state.

    It is shown and undone, and carried out no more.
    """
    remarks: str = ""
    """What was taken for granted in reading the file, a line each."""
    guessed: bool = False
    """Whether the file's encoding is among that."""

    @property
    def kind(self) -> Entity:
        """What the rows are about."""
        return ENTITIES[self.entity]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a row."""

    row: int
    position: int
    entity_id: str
    body: dict[str, Any]
    state: StepState
    sent: int = 0


class RowWork(msgspec.Struct, frozen=True, kw_only=True):
    """A row as it is carried out: what was read, what changes, and its requests in their order.

    Attributes:
        number: its place in the order of the input, from 1.
        entity_id: what it changes.
        name: the name of that.
        text: the entity's JSON as it was last looked at; empty where it is not known.
        before: the fields that change, as they were then.
        after: the same fields, as they shall be.
        steps: its requests, those that are done among them.
    """

    number: int
    entity_id: str
    name: str
    text: str
    before: dict[str, Any]
    after: dict[str, Any]
    steps: tuple[Step, ...]

    @property
    def state(self) -> dict[str, Any]:
        """The entity as it was last looked at."""
        return msgspec.json.decode(self.text) if self.text else {}

    @property
    def pending(self) -> tuple[Step, ...]:
        """The requests to make."""
        return tuple(step for step in self.steps if step.state is StepState.WAITING)


class StoredRow(NamedTuple):
    """What a plan file holds of a row as JSON texts; None and nothing stand for nothing."""

    change: str
    base: str | None
    bodies: tuple[str, ...]
    answered: tuple[tuple[str, str | None], ...]
    """The requests that are done, or of which a part may be, each with what the server answered."""


def _object(text: str | None) -> dict[str, Any]:
    return _decoder.decode(text) if text else {}


_decoder = msgspec.json.Decoder(dict[str, Any])


class PlannedChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a row comes down to.

    Attributes:
        number: its place in the order of the input, from 1.
        line: its line in the file.
        entity_id: what it changes.
        name: the name of that, as it was when it was looked at.
        decision: what it comes down to.
        unusual: what is unusual about its amounts of money, if anything is.
        before: the fields that change, as they were when it was last looked at.
        after: the same fields, as they shall be.
        text: the whole entity's JSON as it was last looked at; empty where it is not known.
        steps: how many requests it takes.
    """

    number: int
    line: int
    entity_id: str
    name: str = ""
    decision: Decision
    unusual: str = ""
    before: dict[str, Any]
    after: dict[str, Any]
    text: str = ""
    steps: int = 0

    @property
    def state(self) -> dict[str, Any]:
        """The whole entity as it was last looked at."""
        return _object(self.text)


class PlannedRow(PlannedChange, frozen=True, kw_only=True):
    """One row with everything known about it. What few ask for is read when they do.

    Attributes:
        outcome: what became of it.
        reason: why it was refused or failed, or a remark.
        column: the column that ``reason`` is about, if it is about one.
        conflicts: the values that somebody else changed too.
        status: the HTTP status that ended it, where one did.
        trace_id: ``sp_trace_id`` of that answer.
        requests: how often a request was about to leave.
        stored: the rest of it, as texts.
    """

    outcome: RowOutcome
    reason: str = ""
    column: str = ""
    conflicts: tuple[Conflict, ...] = ()
    status: int | None = None
    trace_id: str = ""
    requests: int = 0
    stored: StoredRow

    @property
    def change(self) -> dict[str, Cell]:
        """The new values by column."""
        return _object(self.stored.change)

    @property
    def base(self) -> dict[str, Cell]:
        """The values of an earlier export."""
        return _object(self.stored.base)

    @property
    def bodies(self) -> tuple[dict[str, Any], ...]:
        """The requests in their order."""
        return tuple(map(_object, self.stored.bodies))

    @property
    def applied(self) -> dict[str, Any]:
        """The fields that requests did change, or may have changed, as they left them."""
        applied: dict[str, Any] = {}
        for body, found in self.stored.answered:
            applied.update({**_object(body), **_object(found)})
        return applied


class UnusualRow(NamedTuple):
    """A row with an unusual amount of money: which one, and what is unusual about it, in words."""

    line: int
    entity_id: str
    name: str
    unusual: str


class StepOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a request.

    Attributes:
        state: where it stands now.
        reason: why, where that needs saying.
        status: the HTTP status of the answer, if there was one.
        trace_id: ``sp_trace_id``, which Spotify's support asks for.
        found: the fields that the request touched, as the server has them now; left out where nothing changed.
        transient: whether a failure is about the moment and not about the request.
        text: the whole entity's JSON after the request, where it is known.
        damage: the fields that changed besides, as they were.
        surprises: what changed though the row did not say so, in words.
    """

    state: StepState
    reason: str = ""
    status: int | None = None
    trace_id: str = ""
    found: dict[str, Any] | None = None
    transient: bool = False
    text: str = ""
    damage: dict[str, Any] = {}
    surprises: tuple[str, ...] = ()
