"""``spotify-ads drafts list|validate|publish|delete``: drafts of campaigns, each with everything in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated

import typer

from spotify_ads_async.cli.completing import complete_id
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.consent import Yes, agreed
from spotify_ads_async.cli.listing import add_reading
from spotify_ads_async.cli.options import AdAccount, command_group, needed
from spotify_ads_async.cli.progress import counting
from spotify_ads_async.cli.run import DONE, FAILED, in_words, run, say, usage_error
from spotify_ads_async.cli.short_ids import whole_ids
from spotify_ads_async.cli.trees import say_errors
from spotify_ads_async.client import AdAccount as Account
from spotify_ads_async.errors import RequestRejected, SpotifyAdsError
from spotify_ads_async.models import CampaignStatus

__all__ = ["app"]

app = command_group(
    "Drafts of campaigns, each with its ad sets and ads: nothing in them delivers until they are published."
)

_LIVE: Mapping[CampaignStatus | None, str] = {
    CampaignStatus.ACTIVE: "live",
    CampaignStatus.PAUSED: "live, and paused",
    CampaignStatus.ARCHIVED: "published, and archived: nothing in it delivers",
    None: "published, and the server does not say whether it runs",
}
"""What became of a draft, by the status of its campaign."""
_ARGUMENT = typer.Argument(metavar="ID", help="Drafts of campaigns.", autocompletion=complete_id)
Ids = Annotated[list[str], _ARGUMENT]
IdsOrAll = Annotated[list[str] | None, _ARGUMENT]


add_reading(app, "drafts")


@app.command()
def validate(ids: Ids, *, ad_account: AdAccount = None) -> None:
    """Say what keeps drafts from going live. Nothing is changed."""

    async def one(account: Account, draft_id: str) -> bool:
        errors = await account.trees.validate(draft_id)
        say_errors(draft_id, errors)
        say(f"{draft_id}: {f'{len(errors)} errors' if errors else 'could go live'}")
        return not errors

    _each(ids, needed(ad_account), one, "could go live")


@app.command()
def publish(
    ids: IdsOrAll = None,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Every draft of the ad account, whoever made it; they are named first.")
    ] = False,
    yes: Yes = False,
    ad_account: AdAccount = None,
) -> None:
    """Let drafts go live, each whole or not at all. This cannot be undone."""
    if bool(ids) == every:
        usage_error("which drafts? give their IDs, or --all")

    async def one(account: Account, draft_id: str) -> bool:
        errors = await account.trees.publish(draft_id)
        say_errors(draft_id, errors)
        if errors:
            say(f"{draft_id}: not published")
            return False
        try:
            status = (await account.campaigns.get(draft_id)).status
        except SpotifyAdsError as error:
            say(f"{draft_id}: published, and whether it runs is not known: {in_words(error)}")
            return False
        say(f"{draft_id}: {_LIVE.get(status, f'live, with the status {status}')}")
        return status is not None

    _each(ids or [], needed(ad_account), one, "published", question="" if yes else "publish")


@app.command()
def delete(ids: Ids, *, yes: Yes = False, ad_account: AdAccount = None) -> None:
    """Delete drafts with everything in them. What is live stays as it is."""

    async def one(account: Account, draft_id: str) -> bool:
        await account.trees.delete(draft_id)
        say(f"{draft_id}: deleted")
        return True

    _each(ids, needed(ad_account), one, "deleted", question="" if yes else "delete")


def _counted(ids: list[str]) -> str:
    return f"the draft {ids[0]}" if len(ids) == 1 else f"{len(ids)} drafts"


async def _all_drafts(account: Account) -> list[str]:
    """The drafts of an ad account, which are named to whoever will be asked about them."""
    found: list[str] = []
    async for draft in account.drafts.campaigns.list():
        if draft.id:
            say(f"{draft.id}: {draft.name}")
            found.append(draft.id)
    return found


def _each(
    ids: list[str], ad_account: str, do: Callable[[Account, str], Awaitable[bool]], done: str, *, question: str = ""
) -> None:
    """Do the same with each, or with every draft where none is named, after a question if there is a word for it.

    What the server refuses for one does not keep the others from it.
    """

    async def command() -> int:
        if question and ids and not await agreed(f"{question} {_counted(ids)}?", yes=False):
            say("nothing was changed")
            return DONE
        async with connected() as client:
            account = client.ad_account(ad_account)
            named = await whole_ids(client, "drafts", ad_account, ids) if ids else await _all_drafts(account)
            if not named:
                say("there are no drafts")
            elif question and not ids and not await agreed(f"{question} {_counted(named)}?", yes=False):
                say("nothing was changed")
                return DONE
            good = 0
            with counting("drafts", len(named)) as count:
                for draft_id in named:
                    count()
                    try:
                        good += await do(account, draft_id)
                    except RequestRejected as refused:
                        say(f"failed: {draft_id}: {in_words(refused)}")
                    except SpotifyAdsError as error:
                        error.add_note(f"that was draft {draft_id}; before it, {good} of {len(named)} were {done}")
                        raise
        if len(named) > 1:
            say(f"{good} of {len(named)} drafts {done}")
        return DONE if good == len(named) else FAILED

    run(command)
