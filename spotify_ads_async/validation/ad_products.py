"""The catalogue of ad products: rules that hold for one product and stand in no document. Pure.

Source: ``GET /ad_product_catalog``, which Spotify's own tooling reads before every write. Nobody promises its form, so
whatever is read otherwise than expected is kept as text for people, and never raises.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias, cast

import msgspec

__all__ = ["DEFAULT_PRODUCT", "Action", "AdProductCatalog", "AdProductRules", "EntityKind", "Violation", "product_of"]

EntityKind: TypeAlias = Literal["campaign", "ad_set", "ad"]
Action: TypeAlias = Literal["create", "update"]

DEFAULT_PRODUCT = "AUCTION"
_DEFAULTED = frozenset({"", "UNSET", "UNKNOWN"})
_ALWAYS = "both"
_SENTENCES = ("constraints", "restrictions", "cross_field_rules")
_FIELD = re.compile(
    r"\s*(?P<path>[A-Za-z_]\w*(?:(?:\[\])?\.[A-Za-z_]\w*)*)(?:\[\])?\s*(?::\s*(?P<text>.*))?", re.DOTALL
)
_CONDITION = re.compile(
    r"\b(when|if|unless|except|only|depend\w*|for|with|without|or|either|after|before|until)\b", re.IGNORECASE
)
"""Words of a rule that holds sometimes: such a rule is for people."""


class Violation(msgspec.Struct, frozen=True):
    """What of a request breaks a rule of its ad product: the field (dotted), its value, and the rule in words."""

    field: str
    value: object
    rule: str

    def __str__(self) -> str:
        return f"{self.field}: {self.rule}"


class AdProductRules(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What holds for one kind of entity of an ad product, when it is created or when it is changed.

    Attributes:
        product: the ad product, such as ``AUCTION``.
        entity: ``campaign``, ``ad_set`` or ``ad``.
        action: ``create`` or ``update``.
        allowed_values: dotted fields with the only values that they take.
        required_fields: dotted fields that must be there, each with what the catalogue says of it.
        forbidden_fields: dotted fields that must not be there, likewise.
        most_impressions: frequency unit → the most impressions that a frequency cap may allow.
        sentences: rules that only people can read.
    """

    product: str
    entity: EntityKind
    action: Action
    allowed_values: tuple[tuple[str, tuple[object, ...]], ...] = ()
    required_fields: tuple[tuple[str, str], ...] = ()
    forbidden_fields: tuple[tuple[str, str], ...] = ()
    most_impressions: Mapping[str, int] = {}
    sentences: tuple[str, ...] = ()

    @functools.cached_property
    def _fields(self) -> frozenset[str]:
        """The fields that rules are about, without their parts."""
        paths = (path for path, _ in (*self.allowed_values, *self.required_fields, *self.forbidden_fields))
        return frozenset(path.partition(".")[0] for path in (*paths, "frequency_caps"))

    @property
    def checkable(self) -> bool:
        """Whether there is anything that a program can check."""
        return bool(self.allowed_values or self.required_fields or self.forbidden_fields or self.most_impressions)

    def are_about(self, fields: Iterable[str]) -> bool:
        """Whether any of these fields is one that rules for programs are about."""
        return not self._fields.isdisjoint(fields)

    def violations(self, body: Mapping[str, Any], present: Mapping[str, Any] | None = None) -> list[Violation]:
        """Every way in which a request breaks the rules.

        Args:
            body: the request as plain JSON values.
            present: what the server has, for an update: what stands there already is never held against the request.
        """
        if self.action == "update" and not self.are_about(body):
            return []
        old: Mapping[str, Any] = {} if present is None else present
        return [
            *self._of_values(body, old),
            *self._missing(body, old),
            *self._forbidden(body, old),
            *self._of_frequency_caps(body, old),
        ]

    def _of_values(self, body: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[Violation]:
        for path, allowed in self.allowed_values:
            for value in _leaves(body, path):
                if value not in allowed and value not in _leaves(old, path):
                    yield Violation(
                        path, value, f"{_shown(value)} is not among the values of {self.product}: {_listed(allowed)}"
                    )

    def _missing(self, body: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[Violation]:
        for path, text in self.required_fields:
            lost = self.action == "create" or (_touched(body, path) and bool(_leaves(old, path)))
            if lost and not _leaves(body, path):
                yield Violation(path, None, f"is required for {self.product}{_told(text)}")

    def _forbidden(self, body: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[Violation]:
        for path, text in self.forbidden_fields:
            values = _leaves(body, path)
            if values and values != _leaves(old, path):
                yield Violation(path, values[0], f"must be left out for {self.product}{_told(text)}")

    def _of_frequency_caps(self, body: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[Violation]:
        for cap in _leaves(body, "frequency_caps"):
            if not isinstance(cap, Mapping) or cap in _leaves(old, "frequency_caps"):
                continue
            facts = cast("Mapping[str, object]", cap)
            unit, impressions = facts.get("frequency_unit"), facts.get("max_impressions")
            most = self.most_impressions.get(str(unit)) if facts.get("frequency_period", 1) == 1 else None
            if most is not None and isinstance(impressions, int) and impressions > most:
                rule = f"{self.product} allows at most {most} impressions per {str(unit).lower()}, not {impressions}"
                yield Violation("frequency_caps.max_impressions", impressions, rule)


class AdProductCatalog:
    """The catalogue as it was answered.

    Args:
        raw: the answer as plain JSON values.
    """

    def __init__(self, raw: object) -> None:
        self.raw = raw
        self._products = _mapping(_mapping(raw).get("ad_products"))
        self._rules: dict[tuple[str, EntityKind, Action], AdProductRules] = {}

    @property
    def products(self) -> tuple[str, ...]:
        """The ad products that it has rules for."""
        return tuple(self._products)

    def rules(self, product: str, entity: EntityKind, action: Action) -> AdProductRules:
        """What holds for an entity of an ad product; nothing where the catalogue does not name the product."""
        if (known := self._rules.get((product, entity, action))) is not None:
            return known
        parts = _mapping(_mapping(self._products.get(product)).get(entity))
        read = _Reading()
        for name in (action, _ALWAYS):
            read.take(parts.get(name))
        found = self._rules[product, entity, action] = AdProductRules(
            product=product,
            entity=entity,
            action=action,
            allowed_values=tuple(read.allowed),
            required_fields=tuple(read.required),
            forbidden_fields=tuple(read.forbidden),
            most_impressions=read.most_impressions,
            sentences=tuple(dict.fromkeys(read.sentences)),
        )
        return found

    def __repr__(self) -> str:
        return f"AdProductCatalog({', '.join(self.products)})"


def product_of(campaign: Mapping[str, Any]) -> str:
    """The ad product of a campaign, or of a request for one: AUCTION where it names none."""
    named = campaign.get("ad_product")
    return named if isinstance(named, str) and named not in _DEFAULTED else DEFAULT_PRODUCT


class _Reading:
    """The rules of one section after another, sorted into those for programs and those for people."""

    def __init__(self) -> None:
        self.allowed: list[tuple[str, tuple[object, ...]]] = []
        self.required: list[tuple[str, str]] = []
        self.forbidden: list[tuple[str, str]] = []
        self.most_impressions: dict[str, int] = {}
        self.sentences: list[str] = []

    def take(self, section: object) -> None:
        """Read one section; what is of no known form is kept in words."""
        rules = _mapping(section)
        for name, said in rules.items():
            match name:
                case "allowed_values":
                    self._values(said)
                case "required_fields":
                    self._fields(said, self.required, "required")
                case "forbidden_fields":
                    self._fields(said, self.forbidden, "not allowed")
                case "frequency_caps":
                    self._caps(said)
                case _:
                    known = name in _SENTENCES
                    self.sentences.extend(_text(one) if known else f"{name}: {_text(one)}" for one in _list(said))
        if not rules:
            self.sentences.extend(_text(one) for one in _list(section or None))

    def _values(self, rules: object) -> None:
        for path, values in _mapping(rules).items():
            field, allowed = _FIELD.fullmatch(path), _list(values)
            plain = isinstance(values, list) and allowed and all(map(_is_plain, allowed))
            if field is not None and field["text"] is None and plain:
                self.allowed.append((_path(field), tuple(allowed)))
            else:
                self.sentences.append(f"{path}: {_text(cast('object', values))}")
        if not isinstance(rules, Mapping):
            self.sentences.extend(f"allowed values: {_text(one)}" for one in _list(rules))

    def _caps(self, rules: object) -> None:
        units = _mapping(_mapping(rules).get("max_impressions"))
        whole = {unit: most for unit, most in units.items() if isinstance(most, int) and not isinstance(most, bool)}
        for unit, most in whole.items():
            self.most_impressions[unit] = min(most, self.most_impressions.get(unit, most))
        if {"max_impressions": whole} != rules:
            self.sentences.append(f"frequency caps: {_text(rules)}")

    def _fields(self, entries: object, into: list[tuple[str, str]], word: str) -> None:
        """Fields with a plain rule; one that holds under a condition is a sentence."""
        for entry in _list(entries):
            field = _FIELD.fullmatch(entry) if isinstance(entry, str) else None
            if field is None:
                self.sentences.append(f"{word}: {_text(entry)}")
            elif field["text"] and _CONDITION.search(field["text"]):
                self.sentences.append(f"{word}: {entry}")
            else:
                into.append((_path(field), field["text"] or ""))


def _path(field: re.Match[str]) -> str:
    return field["path"].replace("[]", "")


def _leaves(value: object, path: str) -> list[object]:
    """What stands at a dotted path, lists laid flat; nulls are nothing."""
    found: list[object] = [value]
    for step in path.split("."):
        found = [inner for one in _flat(found) if (inner := _mapping(one).get(step)) is not None]
        if not found:
            break
    return list(_flat(found))


def _flat(values: Iterable[object]) -> Iterator[object]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(cast("list[object]", value))
        else:
            yield value


def _touched(body: Mapping[str, Any], path: str) -> bool:
    """Whether a change sets what stands at the path, or something around it."""
    value: object = body
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return True
        inner = cast("Mapping[str, object]", value)
        if step not in inner:
            return value is not body
        value = inner[step]
    return True


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else [] if value is None else [value]


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _shown(value: object) -> str:
    return _text(value)[:80]


def _listed(values: tuple[object, ...]) -> str:
    return ", ".join(_text(one) for one in values)


def _told(text: str) -> str:
    return f" ({text})" if text else ""
