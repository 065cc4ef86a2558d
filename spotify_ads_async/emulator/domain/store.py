"""What the emulator knows: businesses, ad accounts and everything in them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec

from spotify_ads_async.emulator.domain.answers import missing
from spotify_ads_async.emulator.domain.clock import Clock
from spotify_ads_async.emulator.domain.delivery import Delivery
from spotify_ads_async.emulator.domain.file_storage import Storage
from spotify_ads_async.emulator.domain.patching import PatchMode
from spotify_ads_async.emulator.domain.tables import Listener, Row, Table

__all__ = ["Account", "Business", "Store"]


class _Owner:
    """Whose rows lie in tables of its own, by kind."""

    def __init__(self, store: Store, row: Row) -> None:
        self.id: str = row["id"]
        self.store = store
        self.tables: dict[str, Table] = {}

    def _table(self, kind: str, noun: str, key: str = "id") -> Table:
        """A new table: what one row is, and the attribute of its id."""
        table = self.tables[kind] = Table(f"{self.id}/{kind}", noun, self.store.listeners, key)
        return table


class Account(_Owner):
    """One ad account and everything in it."""

    def __init__(self, store: Store, row: Row) -> None:
        super().__init__(store, row)
        self.campaigns = self._table("campaigns", "Campaign")
        self.ad_sets = self._table("ad_sets", "Ad set")
        self.ads = self._table("ads", "Ad")
        self.assets = self._table("assets", "Asset")
        self.audiences = self._table("audiences", "Audience")
        self.campaign_drafts = self._table("campaign_drafts", "Campaign draft")
        self.ad_set_drafts = self._table("ad_set_drafts", "Ad set draft")
        self.ad_drafts = self._table("ad_drafts", "Ad draft")
        self.members = self._table("members", "Member", "member_id")
        self.changes = self._table("changes", "Change", "change_id")
        self.reports = self._table("reports", "Report")
        self.sales_orders = self._table("sales_orders", "Sales order")
        self.processing = self._table("processing", "Processing")
        self.uploads: dict[str, tuple[str, dict[int, bytes]]] = {}
        self.delivery = Delivery(store.clock, self.ad_sets)

    def start_processing(self, asset_id: str, outcome: Row) -> None:
        """Let an asset or an audience be processed, with this change of its row in the end."""
        ready_at = self.store.clock.ahead(self.store.processing_seconds).timestamp()
        self.processing.put({"id": asset_id, "ready_at": ready_at, "outcome": outcome})

    def processed(self, table: Table, row: Row) -> Row:
        """The row as it is now: processing ends when its time has come."""
        done = self.processing.rows.get(row["id"])
        if done is None or self.store.clock.now().timestamp() < done["ready_at"]:
            return row
        self.processing.remove(row["id"])
        return table.put({**row, **done["outcome"], "updated_at": self.store.clock.text()})

    @property
    def row(self) -> Row:
        """The account itself, as the API answers it."""
        return self.store.account_rows.rows[self.id]

    @property
    def currency(self) -> str:
        """The account's billing currency."""
        return self.row["currency_code"]


class Business(_Owner):
    """One business and everything in it, apart from what its ad accounts hold."""

    def __init__(self, store: Store, row: Row) -> None:
        super().__init__(store, row)
        self.members = self._table("members", "Member", "member_id")
        self.invitations = self._table("invitations", "Invitation")
        self.pixels = self._table("pixels", "Pixel")
        self.capi_integrations = self._table("capi_integrations", "CAPI integration", "capi_connection_id")
        self.capi_tokens = self._table("capi_tokens", "CAPI token", "capi_auth_token_id")
        self.datasets = self._table("datasets", "Dataset")
        self.mobile_apps = self._table("mobile_apps", "Mobile app")

    @property
    def row(self) -> Row:
        """The business itself, as the API answers it."""
        return self.store.business_rows.rows[self.id]

    def accounts(self) -> list[Account]:
        """The business's ad accounts."""
        return [account for account in self.store.accounts.values() if account.row["business_id"] == self.id]


class User(msgspec.Struct, frozen=True):
    """The person behind every token."""

    member_id: str = "emulator-user"
    name: str = "Emma Emulator"
    email_address: str = "emma@example.com"


class Store:
    """Everything, with the clock and the random numbers that it is made with."""

    def __init__(
        self, clock: Clock, rng: random.Random, processing_seconds: float = 0.0, patch: PatchMode = PatchMode.MERGE
    ) -> None:
        self.clock = clock
        self.random = rng
        self.user = User()
        self.processing_seconds = processing_seconds
        self.patch = patch
        # Enum values that entities have or had, and the document lacks.
        self.newer: set[str] = set()
        self.secret = rng.randbytes(32)
        self.storage = Storage(clock, rng, self.secret)
        self.listeners: list[Listener] = []
        self.business_rows = Table("businesses", "Business", self.listeners)
        self.account_rows = Table("ad_accounts", "Ad account", self.listeners)
        self.businesses: dict[str, Business] = {}
        self.accounts: dict[str, Account] = {}
        self.account_types = Table("account_types", "Type", self.listeners)

    def new_id(self) -> str:
        """A UUID that was not there before, the same ones again from the same seed."""
        return uuid_text(self.random.getrandbits(128))

    def renew_identifiers(self, origin: bytes) -> None:
        """Draw other identifiers from now on, so that rows which came from elsewhere keep theirs to themselves.

        ``origin`` says where the rows came from: the same origin and seed give the same identifiers.
        """
        self.random.seed(self.random.randbytes(16) + origin)

    def account(self, identifier: str) -> Account:
        """The ad account with this id.

        Raises:
            Refusal: there is none (404).
        """
        account = self.accounts.get(identifier)
        if account is None:
            raise missing("Ad account", identifier)
        return account

    def business(self, identifier: str) -> Business:
        """The business with this id.

        Raises:
            Refusal: there is none (404).
        """
        business = self.businesses.get(identifier)
        if business is None:
            raise missing("Business", identifier)
        return business

    def put_business(self, row: Row) -> Business:
        """Add or replace a business."""
        self.business_rows.put(row)
        return self.businesses.setdefault(row["id"], Business(self, row))

    def put_account(self, row: Row) -> Account:
        """Add or replace an ad account."""
        self.account_rows.put(row)
        return self.accounts.setdefault(row["id"], Account(self, row))

    def restore(self, name: str, row: Row) -> None:
        """Put a row into the table of this name."""
        if name == self.business_rows.name:
            self.put_business(row)
        elif name == self.account_rows.name:
            self.put_account(row)
        elif name == self.account_types.name:
            self.account_types.put(row)
        else:
            owner, _, kind = name.partition("/")
            (self.accounts.get(owner) or self.businesses[owner]).tables[kind].put(row)

    def tables(self) -> Iterator[Table]:
        """Every table, owners before what they own."""
        yield self.business_rows
        yield self.account_rows
        yield self.account_types
        for business in self.businesses.values():
            yield from business.tables.values()
        for account in self.accounts.values():
            yield from account.tables.values()


def uuid_text(bits: int) -> str:
    """128 random bits as a version 4 UUID."""
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) & 3]}{text[17:20]}-{text[20:]}"
