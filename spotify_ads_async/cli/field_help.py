"""Help of commands that send a request: it ends with the request's fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

if TYPE_CHECKING:  # only help needs them
    import msgspec

    from spotify_ads_async.bulk.plan.columns import Column

__all__ = ["field_help"]


def field_help(struct: type[msgspec.Struct], *, whole: bool) -> type[TyperCommand]:
    """A command whose help ends with the fields of a request.

    What each holds, in which unit, and which must be there.
    """

    class WithFields(TyperCommand):
        def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - click's own
            """Write the fields."""
            from spotify_ads_async.bulk.plan.columns import Kind, columns_of  # noqa: PLC0415 - only here
            from spotify_ads_async.bulk.workbook.describing import describe  # noqa: PLC0415 - the same
            from spotify_ads_async.bulk.workbook.kinds import lacking  # noqa: PLC0415 - the same

            super().format_epilog(ctx, formatter)
            columns = columns_of(struct)
            needed = set(lacking(struct, {})) if whole else set[str]()
            shown = {
                name: one
                for name, one in columns.items()
                if one.kind is not Kind.MONEY and not _is_whole(name, columns)
            }
            with formatter.section(
                "Fields (--set FIELD=VALUE), * must be there" if whole else "Fields (--set FIELD=VALUE)"
            ):
                formatter.write_dl(
                    [(f"{name}{' *' if name in needed else ''}", describe(one)) for name, one in shown.items()]
                )

    return WithFields


def _is_whole(name: str, columns: Mapping[str, Column]) -> bool:
    """Whether a column is an object whose parts are columns themselves."""
    return any(one.startswith(f"{name}.") for one in columns)
