"""Pydantic models of the same shape as the package's structs.

Made field by field, so that both decode the same things.
"""

from __future__ import annotations

import functools
import types
import typing
from typing import Any

import msgspec
import pydantic

__all__ = ["model_of"]


@functools.cache
def model_of(struct: type[msgspec.Struct]) -> type[pydantic.BaseModel]:
    """The model of a struct: same names, types and defaults, unknown fields dropped."""
    hints = typing.get_type_hints(struct)
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        default: Any = ... if field.required else field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = pydantic.Field(default_factory=field.default_factory, alias=field.encode_name)
        elif field.encode_name != field.name:
            default = pydantic.Field(default=default, alias=field.encode_name)
        fields[field.name] = (_translated(hints[field.name]), default)
    config = pydantic.ConfigDict(frozen=True, extra="ignore", protected_namespaces=())
    return pydantic.create_model(struct.__name__, __config__=config, **fields)


def _translated(kind: Any) -> Any:  # noqa: ANN401 -- any annotation
    """An annotation with every struct in it replaced by its model."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return model_of(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _translated(arguments[0])
    if origin in {typing.Union, types.UnionType}:
        return typing.Union[tuple(_translated(one) for one in arguments)]  # noqa: UP007 -- made of values
    if origin is None:
        return kind
    return origin[tuple(_translated(one) for one in arguments)]
