"""Random answers made from the document's schemas, as strict or as loose as the API may become."""

from __future__ import annotations

import json
import random
import string
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from conformance.document import Document, Schema

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST_LIST = 2
WORDS = ["Grüße", "🎧", "Sommer", "夏", "naïve", "\\", '"', "/", "\u2028", "plain", "words"]


@dataclass
class Answers:
    """Makes answers.

    A ``loose`` one leaves fields out, sets them to null, adds some, and holds values that nobody has published.
    """

    document: Document
    chance: random.Random
    loose: bool

    def make(self, schema: Schema) -> Any:  # noqa: ANN401 - any JSON value
        variants = self.document.variants(schema)
        if variants:
            return self._variant(*variants)
        flat = self.document.flat(schema)
        kind = flat.get("type")
        if isinstance(kind, list):
            if self.chance.random() < 0.2:
                return None
            kind = kind[0]
        return (
            self._member([one for one in flat["enum"] if one is not None]) if "enum" in flat else self._of(kind, flat)
        )

    def _of(self, kind: str | None, flat: Schema) -> Any:  # noqa: ANN401 - any JSON value
        match kind:
            case "array":
                return self._list(flat)
            case "object" | None:
                return self._object(flat)
            case "integer":
                return self._integer(flat)
            case "number":
                return round(
                    self.chance.uniform(flat.get("minimum", -1e6), flat.get("maximum", 1e6)), self.chance.randint(0, 6)
                )
            case "boolean":
                return self.chance.random() < 0.5
            case "string":
                return self._string(flat)
        raise AssertionError(f"no answers of type {kind}")

    def _list(self, flat: Schema) -> list[Any]:
        low = flat.get("minItems", 0)
        items = [self.make(flat["items"]) for _ in range(self.chance.randint(low, max(low, LONGEST_LIST)))]
        return list({json.dumps(one): one for one in items}.values()) if flat.get("uniqueItems") else items

    def _variant(self, tag: str, schemas: dict[str, Schema]) -> Any:  # noqa: ANN401 - an object
        name = self.chance.choice(list(schemas))
        made = self.make(schemas[name])
        made[tag] = name
        if self.loose and self.chance.random() < 0.3:
            made[tag] = self.chance.choice(["HOLOGRAM", None, 5])
            if self.chance.random() < 0.3:
                del made[tag]
        return made

    def _object(self, flat: Schema) -> dict[str, Any]:
        properties: dict[str, Schema] = flat.get("properties", {})
        if not properties:
            return {self._word(): self._anything() for _ in range(self.chance.randint(0, LONGEST_LIST))}
        made: dict[str, Any] = {}
        for name, schema in properties.items():
            may_lack = self.loose or name not in flat.get("required", ())
            if may_lack and self.chance.random() < 0.25:
                continue
            made[name] = None if self.loose and self.chance.random() < 0.1 else self.make(schema)
        if self.loose and self.chance.random() < 0.3:
            made[f"brand_new_{self._word()}"] = self._anything()
        return made

    def _member(self, values: list[Any]) -> Any:  # noqa: ANN401 - any JSON value
        return (
            f"BRAND_NEW_{self.chance.randint(0, 9)}"
            if self.loose and self.chance.random() < 0.15
            else self.chance.choice(values)
        )

    def _integer(self, flat: Schema) -> int:
        bound = 2**31 if flat.get("format") == "int32" else 2**63
        low, high = max(flat.get("minimum", -bound), -bound), min(flat.get("maximum", bound - 1), bound - 1)
        return self.chance.choice(
            [low, high, self.chance.randint(low, high), max(low, min(high, self.chance.randint(0, 1000)))]
        )

    def _string(self, flat: Schema) -> str:
        match flat.get("format"):
            case "uuid":
                return str(uuid.UUID(int=self.chance.getrandbits(128)))
            case "uri":
                return f"https://www.example.com/{self._word()}?a={self.chance.randint(0, 9)}#x"
            case "date-time":
                return self._time()
            case _:
                return self._text(flat.get("minLength", 2 if "pattern" in flat else 0), flat.get("maxLength", 40))

    def _time(self) -> str:
        moment = EPOCH + timedelta(seconds=self.chance.randint(0, 2**32))
        written = f"{moment:%Y-%m-%dT%H:%M:%S}"
        return written + self.chance.choice(["Z", "Z", "Z", ".5Z", ".123456Z", "+00:00", "+02:00", "-05:30"])

    def _text(self, low: int, high: int) -> str:
        """Words without spaces at the ends, which keeps to every pattern that answers have."""
        text = " ".join(self.chance.choice(WORDS) for _ in range(self.chance.randint(1, 4)))
        text = text[: max(low, high if self.chance.random() < 0.1 else self.chance.randint(low, high))].strip()
        return text if len(text) >= low and (text or not low) else "x" * max(low, 1)

    def _word(self) -> str:
        return "".join(self.chance.choices(string.ascii_lowercase, k=5))

    def _anything(self) -> Any:  # noqa: ANN401 - any JSON value
        return self.chance.choice([None, True, 5, 1.5, "text", [], [1, "a", {}], {}, {"a": {"b": [None]}}])
