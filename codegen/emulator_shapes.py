"""The emulator's table of request shapes: what the document allows in paths, queries and bodies, and which statuses it declares.

The emulator judges requests by this table and not by the SDK's own models, so that a mistake in one shows in the other.
Run it with the document's path or URL: ``python -m codegen.emulator_shapes openapi-v3.yaml``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from codegen.document import load

__all__ = ["TARGET", "formatted", "table"]

TARGET: Final = Path(__file__).parent.parent / "spotify_ads_async" / "emulator" / "shapes.py"

KEPT = (
    "type",
    "format",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "nullable",
    "default",
)
METHODS = ("get", "post", "patch", "delete", "put")

OVERRIDES: dict[str, dict[str, Any]] = {
    # The document says "This field is required" in words only.
    "AdSetCreateRequest": {"required": ["name", "start_time", "budget", "asset_format", "targets", "bid_strategy", "campaign_id"]},
    # The document requires a property called "bill_to_address.name", which it declares nowhere.
    "CreateAdAccountRequest": {"required": ["country_code", "name", "industry", "type"]},
}


class Reader:
    """Reads shapes out of one document; collects the named ones that requests use."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.named: dict[str, Any] = {}

    def follow(self, node: dict[str, Any]) -> dict[str, Any]:
        """The node itself, or what its reference points to."""
        while "$ref" in node:
            found: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def shape(self, node: dict[str, Any]) -> dict[str, Any]:
        """The shape of ``node``: objects by name, everything else in place, ``allOf`` flattened."""
        name = node.get("$ref", "").rsplit("/", 1)[-1]
        target = self.follow(node)
        if name and ({"properties", "allOf", "oneOf"} & set(target)):
            flat = self.flat(target)
            if "properties" not in flat and "oneOf" not in flat:
                return flat
            if name not in self.named:
                self.named[name] = {}
                self.named[name] = flat | OVERRIDES.get(name, {})
            return {"ref": name}
        return self.flat(target)

    def flat(self, node: dict[str, Any]) -> dict[str, Any]:
        """One level of a shape, with its parts merged."""
        node = self.follow(node)
        out = {key: node[key] for key in KEPT if key in node}
        for part in node.get("allOf", ()):
            merged = self.flat(part)
            properties = out.get("properties", {}) | merged.pop("properties", {})
            required = [*out.get("required", ()), *merged.pop("required", ())]
            out |= merged
            if properties:
                out["properties"] = properties
            if required:
                out["required"] = required
        if "oneOf" in node:
            mapping = node["discriminator"]["mapping"]
            out["tag"] = node["discriminator"]["propertyName"]
            out["oneOf"] = {tag: self.shape({"$ref": reference}) for tag, reference in mapping.items()}
        if "items" in node:
            out["items"] = self.shape(node["items"])
        if "properties" in node:
            own = {name: self.shape(value) for name, value in node["properties"].items() if not self.follow(value).get("readOnly")}
            out["properties"] = out.get("properties", {}) | own
        if node.get("required"):
            out["required"] = [*out.get("required", ()), *node["required"]]
        return out

    def operation(self, node: dict[str, Any]) -> dict[str, Any]:
        """What the document says about one operation's requests."""
        out: dict[str, Any] = {}
        for parameter in map(self.follow, node.get("parameters", ())):
            place = out.setdefault(f"{parameter['in']}_parameters", {"type": "object", "properties": {}, "required": []})
            place["properties"][parameter["name"]] = self.shape(parameter["schema"])
            if parameter.get("required"):
                place["required"].append(parameter["name"])
        if "requestBody" in node:
            content = self.follow(node["requestBody"])["content"]
            ((media_type, media),) = content.items()
            out["body"] = self.shape(media["schema"])
            out["media_type"] = media_type
            out["body_required"] = bool(node["requestBody"].get("required"))
        out["statuses"] = [int(status) for status in node["responses"]]
        return out


def table(document: dict[str, Any]) -> str:
    """The Python module for ``document``."""
    reader = Reader(document)
    operations = {
        node["operationId"]: reader.operation(node)
        for item in document["paths"].values()
        for method, node in item.items()
        if method in METHODS
    }
    return "\n".join(
        [
            "# Generated by `python -m codegen.emulator_shapes DOCUMENT`: change codegen/, not this file.",
            '"""What requests may hold: operations by operationId, and the named shapes that they use."""',
            "",
            "from __future__ import annotations",
            "",
            "from typing import Any, Final",
            "",
            f"OPERATIONS: Final[dict[str, dict[str, Any]]] = {operations!r}",
            "",
            f"NAMED: Final[dict[str, dict[str, Any]]] = {dict(sorted(reader.named.items()))!r}",
            "",
        ]
    )


def formatted(text: str) -> str:
    """The module as the project's formatter lays it out."""
    command = [Path(sys.executable).with_name("ruff"), "format", "-q", "--stdin-filename", TARGET, "-"]
    ended = subprocess.run(command, input=text, capture_output=True, text=True, check=True)  # noqa: S603 - the formatter beside this interpreter
    return ended.stdout


def main() -> None:
    """Write the table from the document named on the command line."""
    TARGET.write_text(formatted(table(load(sys.argv[1]))), encoding="utf-8")


if __name__ == "__main__":
    main()
