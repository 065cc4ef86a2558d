"""From a method and a path to an operation, one dictionary look-up per segment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

__all__ = ["Router"]

TargetT = TypeVar("TargetT")


class _Node:
    __slots__ = ("fixed", "methods", "name", "variable")

    def __init__(self) -> None:
        self.fixed: dict[str, _Node] = {}
        self.variable: _Node | None = None
        self.name = ""
        self.methods: dict[str, tuple[Any, tuple[str, ...]]] = {}


class Router(Generic[TargetT]):
    """A tree of path segments; fixed segments win over variables."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, method: str, path: str, target: TargetT) -> None:
        """Route ``method`` on ``path``, such as ``/ads/{ad_id}``, to ``target``."""
        node = self._root
        names: list[str] = []
        for segment in path.strip("/").split("/"):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                if node.variable is None:
                    node.variable = _Node()
                node = node.variable
            else:
                node = node.fixed.setdefault(segment, _Node())
        node.methods[method] = (target, tuple(names))

    def find(self, method: str, path: str) -> tuple[TargetT, dict[str, str]] | frozenset[str]:
        """The target and the path's values, or the methods that the path takes: none where there is no such path."""
        values: list[str] = []
        node = self._descend(self._root, path.strip("/").split("/"), 0, values)
        if node is None:
            return frozenset()
        found = node.methods.get(method)
        if found is None:
            return frozenset(node.methods)
        target, names = found
        return target, dict(zip(names, values, strict=True))

    def _descend(self, node: _Node, segments: list[str], index: int, values: list[str]) -> _Node | None:
        if index == len(segments):
            return node if node.methods else None
        fixed = node.fixed.get(segments[index])
        if fixed is not None:
            found = self._descend(fixed, segments, index + 1, values)
            if found is not None:
                return found
        if node.variable is None or not segments[index]:
            return None
        depth = len(values)
        values.append(segments[index])
        found = self._descend(node.variable, segments, index + 1, values)
        if found is None:
            del values[depth:]
        return found

    def methods(self) -> Iterable[TargetT]:
        """Every target, in no particular order."""
        open_nodes = [self._root]
        while open_nodes:
            node = open_nodes.pop()
            open_nodes.extend(node.fixed.values())
            if node.variable is not None:
                open_nodes.append(node.variable)
            yield from (target for target, _ in node.methods.values())
