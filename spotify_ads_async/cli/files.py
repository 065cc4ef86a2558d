"""Where plans and results go: never over something that is still of use."""

from __future__ import annotations

from pathlib import Path

from spotify_ads_async import bulk

__all__ = ["check_results", "require_free", "unused"]


def unused(path: Path) -> Path:
    """A name that no file has yet: this one, or the first with a number."""
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(2, 1000))
    return next((one for one in (path, *numbered) if not one.exists()), path)


def require_free(target: Path, replace: bool) -> None:  # noqa: FBT001 - run_sync passes no names
    """See to it that a plan may be written.

    Raises:
        FileExistsError: something is there that is not to be replaced, or that can still be undone.
    """
    if not target.exists():
        return
    if not replace:
        raise FileExistsError(f"there is a file at {target} already: name another, or write over it with --replace")
    with bulk.PlanFile.open(target) as former:
        if former.begun():
            raise FileExistsError(
                f"the plan {target} has begun and can be undone, so it is not written over: name another file"
            )
    target.unlink()


def check_results(results: Path | None) -> None:
    """Refuse, before anything is sent, results that could not be written afterwards.

    Raises:
        FileNotFoundError: their folder is not there, or they are a folder.
    """
    if results is not None and (results.is_dir() or not results.parent.is_dir()):
        raise FileNotFoundError(
            f"no results can be written to {results}: name a file in a folder that is there; nothing was changed"
        )
