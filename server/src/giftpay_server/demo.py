"""The demo: a live evening on a server of its own, with an audit of the books at the end."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import giftpay
import uvloop
from giftpay.v1 import (
    PAYMENT_PROVIDER_SANDBOX,
    REDEMPTION_STATE_HELD,
    REDEMPTION_STATE_SUBMITTED,
    REDEMPTION_STATE_UNKNOWN,
    ConfirmTopUpRequest,
    CreateRedemptionRequest,
    CreateTopUpRequest,
    ErrorReason,
    GetRedemptionRequest,
    GetTrialBalanceRequest,
    GetWalletRequest,
    GiftOutcome,
    ListCoinPackagesRequest,
    OpenWalletRequest,
    RedemptionState,
    SendGiftRequest,
    SystemAccount,
    TrialBalance,
    Unit,
    VerifyLedgerRequest,
)

from giftpay_server.app import foundation, serving
from giftpay_server.config import Config
from giftpay_server.protobuf import short_name

VIEWERS = [f"viewer-{n}" for n in range(1, 301)]
CREATORS = [f"creator-{n}" for n in range(1, 13)]
STAR = CREATORS[0]
GIFTS = {"rose": 60, "live": 25, "applause": 8, "dynamic-duo": 4, "directors-chair": 2}  # weights
CALM, BURST, RETRIES = 3_000, 3_000, 1_000  # gifts
# Magic destinations of giftpay_server.sandbox.
DESTINATIONS = [
    "star@example.com",
    "lost@sandbox.example",
    "pending@sandbox.example",
    "decline@sandbox.example",
    "late@sandbox.example",
]
OPEN = (REDEMPTION_STATE_HELD, REDEMPTION_STATE_SUBMITTED, REDEMPTION_STATE_UNKNOWN)
CALLS_MAX = 64  # concurrent calls


async def play(client: giftpay.Client, sandbox_url: str) -> bool:
    """Plays the evening; returns whether the books balance at its end."""
    chance = random.Random(7)
    await _open_wallets(client)
    await _top_up(client, sandbox_url, chance)
    calm = [_gift(chance, chance.choice(CREATORS)) for _ in range(CALM)]
    await _send(client, calm, "gifts to 12 creators")
    burst = _combos(chance, BURST)
    await _send(client, burst, f"gifts in combos, a burst on {STAR}")
    again = chance.sample(calm + burst, RETRIES)
    await _send(client, again, "of these again, under the same keys")
    await _redeem(client)
    return await _balance(client)


async def _open_wallets(client: giftpay.Client) -> None:
    await _each(
        client.wallets.OpenWallet(
            OpenWalletRequest(owner_id=owner_id, country_code="DE", age_verified=True)
        )
        for owner_id in VIEWERS + CREATORS
    )
    _say(f"{len(VIEWERS)} viewers and {len(CREATORS)} creators have a wallet")


async def _top_up(client: giftpay.Client, sandbox_url: str, chance: random.Random) -> None:
    listed = await client.catalog.ListCoinPackages(ListCoinPackagesRequest(country_code="DE"))
    packages = [package.package_id for package in listed.packages[:4]]
    async with aiohttp.ClientSession(sandbox_url) as sandbox:
        bought = await _each(
            _buy(client, sandbox, owner_id, chance.choice(packages)) for owner_id in VIEWERS
        )
    coins = sum(coins for coins, _ in bought)
    euros = sum(cents for _, cents in bought) / 100
    _say(f"{len(bought)} top-ups paid at the sandbox: {euros:,.2f} EUR for {coins:,} coins")


async def _buy(
    client: giftpay.Client, sandbox: aiohttp.ClientSession, owner_id: str, package_id: str
) -> tuple[int, int]:
    order = CreateTopUpRequest(
        owner_id=owner_id, package_id=package_id, provider=PAYMENT_PROVIDER_SANDBOX
    )
    top_up = (await client.top_ups.CreateTopUp(order)).top_up
    payment = {"currency": top_up.price.currency_code, "minor_units": top_up.price.minor_units}
    async with sandbox.post("/payments", json=payment) as answer:
        reference = (await answer.json())["reference"]
    await client.top_ups.ConfirmTopUp(
        ConfirmTopUpRequest(top_up_id=top_up.top_up_id, payment_reference=reference)
    )
    return top_up.coins + top_up.bonus_coins, top_up.price.minor_units


def _gift(chance: random.Random, recipient_id: str, **fields: Any) -> SendGiftRequest:
    (gift_id,) = chance.choices(list(GIFTS), weights=list(GIFTS.values()))
    return SendGiftRequest(
        idempotency_key=giftpay.new_key(),
        sender_id=chance.choice(VIEWERS),
        recipient_id=recipient_id,
        gift_id=fields.pop("gift_id", gift_id),
        **fields,
    )


def _combos(chance: random.Random, size: int) -> list[SendGiftRequest]:
    taps: list[SendGiftRequest] = []
    while len(taps) < size:
        combo = {"gift_id": "rose", "context": "live/1", "combo_id": f"combo-{len(taps)}"}
        first = _gift(chance, STAR, message="Go, star!", **combo)
        taps.append(first)
        for _ in range(chance.randrange(30)):
            tap = _gift(chance, STAR, **combo)
            tap.sender_id = first.sender_id
            taps.append(tap)
    return taps[:size]


async def _send(client: giftpay.Client, gifts: Sequence[SendGiftRequest], what: str) -> None:
    started = time.perf_counter()
    outcomes = [outcome async for outcome in client.send_gifts(gifts)]
    rate = len(outcomes) / (time.perf_counter() - started)
    sent = sum(outcome.HasField("gift") for outcome in outcomes)
    replayed = sum(outcome.replayed for outcome in outcomes)
    refused = ", ".join(f"{n} {name}" for name, n in _refusals(outcomes).items()) or "none"
    _say(f"{len(outcomes):,} {what}: {sent:,} posted, refused: {refused}")
    _say(f"    {replayed:,} were replays; {rate:,.0f} a second")


def _refusals(outcomes: Iterable[GiftOutcome]) -> Counter[str]:
    reasons = [outcome.refusal.reason for outcome in outcomes if outcome.HasField("refusal")]
    return Counter(short_name(ErrorReason, r).lower() for r in reasons)


async def _redeem(client: giftpay.Client) -> None:
    redemptions: list[str] = []
    for creator, destination in zip(CREATORS, DESTINATIONS, strict=False):
        wallet = (await client.wallets.GetWallet(GetWalletRequest(owner_id=creator))).wallet
        request = CreateRedemptionRequest(
            owner_id=creator,
            diamonds=wallet.diamonds.available,
            currency_code="EUR",
            destination=destination,
        )
        created = await client.redemptions.CreateRedemption(request)
        redemptions.append(created.redemption.redemption_id)
    for redemption_id, destination in zip(redemptions, DESTINATIONS, strict=True):
        _say(f"{await _ended(client, redemption_id)} to {destination}")


async def _ended(client: giftpay.Client, redemption_id: str) -> str:
    request = GetRedemptionRequest(redemption_id=redemption_id)
    while True:
        redemption = (await client.redemptions.GetRedemption(request)).redemption
        if redemption.state not in OPEN:
            break
        await asyncio.sleep(0.1)
    quote = redemption.quote
    state = short_name(RedemptionState, redemption.state).lower()
    euros = quote.amount.minor_units / 100
    return f"{quote.diamonds:,} diamonds, {euros:,.2f} EUR after the fee: {state}"


async def _balance(client: giftpay.Client) -> bool:
    verified = await client.admin.VerifyLedger(VerifyLedgerRequest(), timeout=60)
    trial = await client.admin.GetTrialBalance(GetTrialBalanceRequest())
    _say("the trial balance:")
    for balance in trial.balances:
        _print_trial(balance)
    found = "every check passed" if verified.clean else f"broken: {verified.broken}"
    _say(f"{verified.entries:,} entries in {verified.transactions:,} transactions: {found}")
    return verified.clean and all(balance.total == 0 for balance in trial.balances)


def _print_trial(balance: TrialBalance) -> None:
    lines = [("owners", balance.owners)]
    for system in balance.system_accounts:
        name = short_name(SystemAccount, system.system_account).lower()
        lines.append((name, system.balance))
    print(f"    {short_name(Unit, balance.unit).lower()}s")
    for name, amount in [*lines, ("total", balance.total)]:
        print(f"      {name:<18}{amount:>12,}")


async def _each(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    slots = asyncio.Semaphore(CALLS_MAX)

    async def bounded(call: Awaitable[Any]) -> Any:
        async with slots:
            return await call

    return await asyncio.gather(*map(bounded, calls))


def _say(text: str) -> None:
    print(text, flush=True)


@asynccontextmanager
async def _server(state: Path) -> AsyncIterator[tuple[str, str]]:
    config = Config(state=state, listen="127.0.0.1:0", payout_poll_s=0.1)
    async with foundation(config) as config, serving(config) as server:
        yield server.address, config.sandbox_url


async def _main() -> bool:
    with TemporaryDirectory(prefix="giftpay-demo-") as state:
        async with _server(Path(state)) as (address, sandbox_url):
            _say(f"a server on {address}, with a Postgres and a sandbox provider of its own")
            async with giftpay.connect(address) as client:
                return await play(client, sandbox_url)


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    raise SystemExit(0 if uvloop.run(_main()) else 1)
