"""Types whose names carry a unit or a rule, used by every generated struct.

Sources: the Ads API's OpenAPI document (formats) and its "Time Format" page.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, NoReturn, Self, TypeAlias, TypeVar, cast, get_args

import msgspec
from msgspec import UNSET, UnsetType

__all__ = [
    "ABSENT_ID",
    "INT32",
    "UNIQUE",
    "UNSET",
    "URI",
    "Answer",
    "AnsweredId",
    "MicroAmount",
    "OpenEnum",
    "OpenUnion",
    "Request",
    "Secret",
    "Stored",
    "UnsetType",
    "UtcTime",
    "Uuid",
    "as_request",
    "decode_hook",
    "in_utc",
    "is_text",
    "keep_source",
    "moment_of",
    "source_of",
    "time_text",
    "whole_seconds",
]

MicroAmount: TypeAlias = int
"""Money in millionths of the account's currency unit: 12.50 is 12_500_000, for JPY too."""

UtcTime: TypeAlias = datetime
"""An instant, with ``datetime.timezone.utc`` and whole seconds: the API takes no offset and no fraction."""


Uuid: TypeAlias = Annotated[str, msgspec.Meta(extra_json_schema={"format": "uuid"})]
"""An id as the API writes it, such as ``ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a``."""


if TYPE_CHECKING:
    AnsweredId: TypeAlias = str
else:
    AnsweredId = str | None
"""The ID of something that was answered. The API gives one to everything; where a server does not, this is None."""

ABSENT_ID: Any = None
"""What stands for an ID that was not answered."""


def whole_seconds(request: Request, *names: str) -> None:
    """Cut fractions of a second off a request's times: the API takes none."""
    for name in names:
        value = getattr(request, name)
        if isinstance(value, datetime) and value.microsecond:
            msgspec.structs.force_setattr(request, name, value.replace(microsecond=0))


def is_text(value: str) -> bool:
    """Whether UTF-8 can hold it: not what Python makes of an environment's bytes that are none, lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def in_utc(moment: datetime) -> datetime:
    """A moment in UTC, as the API tells all of them; one without an offset is that already.

    Raises:
        OverflowError: it has no place in UTC's calendar, at either end.
    """
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def time_text(moment: datetime) -> str:
    """A moment as the API writes it, ``2030-01-31T18:30:00Z``, with four digits of the year whatever the year is.

    Raises:
        OverflowError: it has no place in UTC's calendar, at either end.
    """
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def moment_of(text: object) -> datetime | None:
    """The moment that an answer names, in whole seconds whatever its offset and fraction; None where it names none."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment.replace(microsecond=0) if moment is not None and moment.tzinfo is not None else None


UNIQUE = msgspec.Meta(extra_json_schema={"uniqueItems": True})
"""A list that holds every item once only."""

URI = msgspec.Meta(extra_json_schema={"format": "uri"})
"""An absolute URI."""

INT32 = msgspec.Meta(extra_json_schema={"format": "int32"})
"""An integer of 32 bits."""


class OpenEnum(enum.StrEnum):
    """A string enum that also holds values which the API added later.

    ``Status("NEW_VALUE")`` gives a member that decodes, compares, prints and encodes as ``"NEW_VALUE"``;
    :attr:`known` is false on it. The API publishes new enum values as non-breaking.
    """

    answer_only = enum.nonmember(frozenset[str]())
    """Values that stand in answers and are not sent."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member

    @property
    def known(self) -> bool:
        """Whether this SDK's version of the API document lists the value."""
        return self.value in type(self).__members__.values()


class Secret:
    """A string that shows itself only when asked: never in repr, str, format, logging or a pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself. Call it where the value is used, not before."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: read it again where it is needed")


class Request(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The root of what is sent. An attribute left out is ``UNSET``, apart from ``None`` and ``[]``."""

    at_least: ClassVar[int] = 0
    """How many attributes must be set."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """The root of what is answered.

    Every attribute may be absent or null, and is ``None`` then; unknown ones are in :attr:`json` alone.
    ``msgspec.to_builtins(answer)`` makes dicts and lists of it, and ``msgspec.json.encode(answer)`` JSON.
    """

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object that this came from, in its order, with the keys and values that this version does not know.

        What a call answers has it. The items of lists have it where the client was told to keep it:
        ``ads.with_options(keep_json=True)``. It is parsed anew at each use, so it may be changed and sent back.

        Raises:
            LookupError: this was not decoded from an answer, is a part of one, or stood in a list without
                ``keep_json``.
        """
        source = source_of(self)
        if source is None:
            raise LookupError(
                f"this {type(self).__name__} came without its JSON: what one call answers has it, "
                "and so have the items of lists that are read through ads.with_options(keep_json=True)"
            )
        return msgspec.json.decode(source)

    def __copy__(self) -> Self:
        copied: Self = cast("Any", super()).__copy__()
        vars(copied).update(vars(self))
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        made_with: Any = super().__reduce__()
        return *made_with, vars(self)


SOURCE = "_source"
"""The attribute of an answer that holds the JSON it was decoded from."""


def keep_source(answer: object, source: bytes) -> None:
    """Let an answer remember the JSON that it was decoded from; anything else has no need to."""
    if isinstance(answer, Answer):
        vars(answer)[SOURCE] = source  # the struct is frozen, and this is no attribute of it


def source_of(answer: Answer) -> bytes | None:
    """The JSON text that an answer was decoded from, None where it is not known."""
    return vars(answer).get(SOURCE)


RequestT = TypeVar("RequestT", bound=Request)


def as_request(answer: Answer, request: type[RequestT]) -> RequestT:
    """What was answered, in the shape of a request: to change a part of it and send it whole.

    Attributes that the request does not have, and those that are ``None``, are left out.

    Raises:
        TypeError: the answer lacks an attribute that the request must have.
    """
    given = {name: _sendable(getattr(answer, name, None)) for name in request.__struct_fields__}
    return request(**{name: value for name, value in given.items() if value is not None})


class Stored(Answer, Generic[RequestT], frozen=True):
    """What is answered in one shape and sent in another: ``Stored[Budget]`` is sent as a ``Budget``."""

    def as_request(self) -> RequestT:
        """The same for a request, without what is absent, null or only answered."""
        [stored] = cast("Any", type(self)).__orig_bases__
        return as_request(self, get_args(stored)[0])


def _sendable(value: object) -> object:
    if isinstance(value, list):
        return [_sendable(one) for one in cast("list[object]", value)]
    return cast("Stored[Any]", value).as_request() if isinstance(value, Stored) else value


class OpenUnion:
    """A family of answers that a tag tells apart.

    A tag that is absent or unknown gives the family's raw model, never an error.
    """

    __slots__ = ()
    tag_field: ClassVar[str]

    @classmethod
    def variants(cls) -> Mapping[str, type[Any]]:
        """Tag to struct."""
        raise NotImplementedError

    @classmethod
    def unknown(cls) -> type[Any]:
        """The raw model: a struct that holds all that was answered in ``data``."""
        raise NotImplementedError

    @classmethod
    def decode(cls, value: object) -> Any:  # noqa: ANN401 -- one of the family
        """The struct for a decoded JSON object.

        Raises:
            ValidationError: it is no object, or a known variant has an attribute of another type.
        """
        if not isinstance(value, dict):
            raise msgspec.ValidationError(f"Expected `object`, got `{type(value).__name__}`")
        data = cast("dict[str, Any]", value)
        tag = data.get(cls.tag_field)
        variant = cls.variants().get(tag) if isinstance(tag, str) else None
        if variant is not None:
            return msgspec.convert(data, variant, dec_hook=decode_hook)
        try:
            return msgspec.convert({**data, "data": data}, cls.unknown(), dec_hook=decode_hook)
        except msgspec.ValidationError:
            return cls.unknown()(data=data)


def decode_hook(kind: type, value: object) -> Any:  # noqa: ANN401 -- what `kind` says
    """The ``dec_hook`` of msgspec for the types of this module."""
    if kind is Secret:
        if not isinstance(value, str):
            raise msgspec.ValidationError(f"Expected `str`, got `{type(value).__name__}`")
        return Secret(value)
    if issubclass(kind, OpenUnion):
        return kind.decode(value)
    raise NotImplementedError(f"{kind.__name__} has no JSON form")
