"""Parts of stories: a catalog, wallets with coins, statements, and books that balance."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import giftpay
from giftpay.client import Client
from giftpay.v1 import (
    PAYMENT_PROVIDER_TRUSTED,
    ApplyCatalogRequest,
    Catalog,
    CatalogGift,
    CoinPackage,
    ConfirmTopUpRequest,
    CreateTopUpRequest,
    Entry,
    GetTransactionRequest,
    GetTrialBalanceRequest,
    GetWalletRequest,
    ListEntriesRequest,
    Money,
    OpenWalletRequest,
    PayoutRate,
    Rational,
    SendGiftRequest,
    Unit,
    VerifyLedgerRequest,
)

PRICES = {"rose": 1, "live": 5}
PACKAGES = (20, 1_000)  # coins
ONE = Rational(numerator=1, denominator=1)


async def apply_catalog(client: Client, prices: Mapping[str, int] = PRICES) -> int:
    """Puts two gifts and two packages on sale; the version that this is."""
    packages = [
        CoinPackage(
            package_id=f"eur-{coins}",
            price=Money(currency_code="EUR", minor_units=coins),
            coins=coins,
        )
        for coins in PACKAGES
    ]
    catalog = Catalog(
        gifts=[CatalogGift(gift_id=name, name=name, coins=n) for name, n in prices.items()],
        packages=packages,
        diamonds_per_coin=ONE,
        payout_rates=[
            PayoutRate(currency_code="EUR", minor_units_per_diamond=ONE, minimum_diamonds=1)
        ],
        default_currency_code="EUR",
    )
    return (await client.catalog.ApplyCatalog(ApplyCatalogRequest(catalog=catalog))).version


async def open_wallet(client: Client, *, coins: int = 0) -> str:
    """A new adult owner, who buys a package of so many coins if any."""
    owner_id = f"o-{uuid.uuid4().hex[:10]}"
    opening = OpenWalletRequest(owner_id=owner_id, country_code="DE", age_verified=True)
    await client.wallets.OpenWallet(opening)
    if coins:
        top_up_id = await order(client, owner_id, coins=coins)
        payment = ConfirmTopUpRequest(top_up_id=top_up_id, payment_reference=owner_id)
        await client.top_ups.ConfirmTopUp(payment)
    return owner_id


async def order(client: Client, owner_id: str, *, coins: int) -> str:
    """An order of a package, yet to be paid."""
    wanted = CreateTopUpRequest(
        owner_id=owner_id, package_id=f"eur-{coins}", provider=PAYMENT_PROVIDER_TRUSTED
    )
    return (await client.top_ups.CreateTopUp(wanted)).top_up.top_up_id


async def statement(client: Client, owner_id: str, unit: Unit.ValueType) -> list[Entry]:
    """All entries of an account, oldest first."""
    entries: list[Entry] = []
    while True:
        request = ListEntriesRequest(
            owner_id=owner_id, unit=unit, after_seq=len(entries), page_size=1_000
        )
        page = (await client.wallets.ListEntries(request)).entries
        entries += page
        if len(page) < 1_000:
            return entries


async def prove_books(client: Client) -> None:
    """The trial balance is zero, and no row disagrees with another."""
    trial = await client.admin.GetTrialBalance(GetTrialBalanceRequest())
    assert [balance.total for balance in trial.balances] == [0, 0]
    verified = await client.admin.VerifyLedger(VerifyLedgerRequest())
    assert verified.clean, verified.broken


async def balances(client: Client, owner_id: str) -> tuple[int, int]:
    """An owner's coins and diamonds."""
    wallet = (await client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))).wallet
    return wallet.coins.balance, wallet.diamonds.balance


async def is_decided(client: Client, gift: SendGiftRequest) -> bool:
    """Whether anything was ever decided under the gift's key."""
    named = GetTransactionRequest(idempotency_key=gift.idempotency_key)
    try:
        await client.wallets.GetTransaction(named)
    except giftpay.TransactionNotFound:
        return False
    return True
