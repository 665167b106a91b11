"""UpdateWallet: freezing, age, and closing."""

from __future__ import annotations

import asyncio
from typing import Any

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import (
    AGE_STATUS_ADULT,
    AGE_STATUS_UNDER_AGE,
    AGE_STATUS_UNVERIFIED,
    PAYMENT_PROVIDER_TRUSTED,
    SHORTFALL_POLICY_DEBT,
    UNIT_COIN,
    UNIT_DIAMOND,
    WALLET_STATUS_ACTIVE,
    WALLET_STATUS_CLOSED,
    WALLET_STATUS_FROZEN,
    CancelTopUpRequest,
    CreateTopUpRequest,
    GetTransactionRequest,
    GetWalletRequest,
    ReverseGiftRequest,
    UpdateWalletRequest,
    Wallet,
    WalletStatus,
)
from giftpay_server.app import Running
from giftpay_server.ledger.model import Outcome
from giftpay_server.postgres.pool import Pool
from giftpay_server.slices import REGISTRY
from giftpay_server.wallet.messages import update_command
from giftpay_server.wire.commands import ask
from giftpay_server.wire.identity import Call

from tests.conftest import OpenWallet
from tests.wallet.conftest import adjust, give


async def update(client: Client, owner_id: str, **change: Any) -> Wallet:
    request = UpdateWalletRequest(owner_id=owner_id, **change)
    return (await client.wallets.UpdateWallet(request)).wallet


async def get(client: Client, owner_id: str) -> Wallet:
    return (await client.wallets.GetWallet(GetWalletRequest(owner_id=owner_id))).wallet


@pytest.mark.parametrize(
    "statuses",
    [
        [WALLET_STATUS_FROZEN, WALLET_STATUS_ACTIVE, WALLET_STATUS_FROZEN],
        [WALLET_STATUS_ACTIVE, WALLET_STATUS_CLOSED, WALLET_STATUS_CLOSED],
        [WALLET_STATUS_FROZEN, WALLET_STATUS_FROZEN, WALLET_STATUS_CLOSED],
    ],
)
async def test_a_status_follows_another(
    client: Client, open_wallet: OpenWallet, statuses: list[WalletStatus.ValueType]
) -> None:
    owner_id = await open_wallet()
    for status in statuses:
        assert (await update(client, owner_id, status=status)).status == status
        assert (await get(client, owner_id)).status == status


async def test_a_wallet_with_coins_freezes_and_keeps_them(
    client: Client, open_wallet: OpenWallet
) -> None:
    owner_id = await open_wallet(coins=7)
    frozen = await update(client, owner_id, status=WALLET_STATUS_FROZEN)
    assert (frozen.status, frozen.coins.balance) == (WALLET_STATUS_FROZEN, 7)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"age_verified": True}, AGE_STATUS_ADULT),
        ({"age_verified": False}, AGE_STATUS_UNVERIFIED),
        ({"date_of_birth": "2000-02-29"}, AGE_STATUS_ADULT),
        ({"date_of_birth": "2020-02-29"}, AGE_STATUS_UNDER_AGE),
    ],
)
async def test_the_last_update_of_the_age_holds(
    client: Client, open_wallet: OpenWallet, change: dict[str, Any], status: int
) -> None:
    owner_id = await open_wallet()
    for earlier in ({"age_verified": True}, {"date_of_birth": "2019-01-01"}):
        await update(client, owner_id, **earlier)
        assert (await update(client, owner_id, **change)).age_status == status


async def test_the_date_of_birth_is_not_kept(
    client: Client, open_wallet: OpenWallet, pool: Pool
) -> None:
    owner_id, key = await open_wallet(), giftpay.new_key()
    await update(client, owner_id, idempotency_key=key, date_of_birth="2001-07-19")
    (stored,) = await pool.fetch(
        """SELECT t.request, p.value FROM transactions t, personal_data p
            WHERE t.id = $1 AND p.transaction_id = t.id""",
        key,
    )
    assert b"2001-07-19" not in stored["request"]
    assert stored["value"] is None


async def test_the_same_key_changes_nothing_again(client: Client, open_wallet: OpenWallet) -> None:
    owner_id = await open_wallet()
    request = UpdateWalletRequest(
        idempotency_key=giftpay.new_key(), owner_id=owner_id, status=WALLET_STATUS_FROZEN
    )
    assert not (await client.wallets.UpdateWallet(request)).replayed
    await update(client, owner_id, status=WALLET_STATUS_ACTIVE)
    again = await client.wallets.UpdateWallet(request)
    assert (again.replayed, again.wallet.status) == (True, WALLET_STATUS_ACTIVE)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"status": WALLET_STATUS_ACTIVE}, ("status",)),
        ({"age_verified": True}, ("status", "age_verified")),
        ({"date_of_birth": "2000-01-01"}, ("status", "date_of_birth")),
    ],
)
async def test_the_same_key_for_another_change_is_refused_by_name(
    client: Client, open_wallet: OpenWallet, change: dict[str, Any], fields: tuple[str, ...]
) -> None:
    owner_id, key = await open_wallet(), giftpay.new_key()
    await update(client, owner_id, idempotency_key=key, status=WALLET_STATUS_FROZEN)
    with pytest.raises(giftpay.KeyReused) as refused:
        await update(client, owner_id, idempotency_key=key, **change)
    assert refused.value.fields == fields


@pytest.mark.parametrize(
    "change",
    [
        {"status": WALLET_STATUS_ACTIVE},
        {"status": WALLET_STATUS_FROZEN},
        {"age_verified": False},
        {"date_of_birth": "2000-01-01"},
    ],
)
async def test_a_closed_wallet_changes_no_more(
    client: Client, open_wallet: OpenWallet, change: dict[str, Any]
) -> None:
    owner_id = await open_wallet()
    closed = await update(client, owner_id, status=WALLET_STATUS_CLOSED)
    with pytest.raises(giftpay.WalletClosed) as refused:
        await update(client, owner_id, **change)
    assert refused.value.owner_id == owner_id
    assert await get(client, owner_id) == closed


@pytest.mark.parametrize("figure", ["coins", "diamonds"])
async def test_a_wallet_with_a_balance_does_not_close(
    client: Client, open_wallet: OpenWallet, figure: str
) -> None:
    owner_id = await open_wallet(**{figure: 12})
    with pytest.raises(giftpay.WalletNotEmpty) as refused:
        await update(client, owner_id, status=WALLET_STATUS_CLOSED)
    figures = {"coins": "0", "diamonds": "0", "held": "0", "open_top_ups": "0", figure: "12"}
    assert refused.value.metadata == {"owner_id": owner_id, **figures}
    assert (await get(client, owner_id)).status == WALLET_STATUS_ACTIVE


async def test_a_refusal_is_pinned_to_its_key(client: Client, open_wallet: OpenWallet) -> None:
    owner_id = await open_wallet(coins=12)
    close = {"idempotency_key": giftpay.new_key(), "status": WALLET_STATUS_CLOSED}
    with pytest.raises(giftpay.WalletNotEmpty):
        await update(client, owner_id, **close)
    await adjust(client, owner_id, UNIT_COIN, -12)
    with pytest.raises(giftpay.WalletNotEmpty) as again:
        await update(client, owner_id, **close)
    assert again.value.coins == 12
    assert (await update(client, owner_id, status=WALLET_STATUS_CLOSED)).coins.balance == 0


async def test_a_wallet_in_debt_does_not_close(client: Client, open_wallet: OpenWallet) -> None:
    anna, ben = await open_wallet(coins=1), await open_wallet()
    (gift_id,) = await give(client, anna, ben, messages=[""])
    await adjust(client, ben, UNIT_DIAMOND, -1)
    reverse = ReverseGiftRequest(
        transaction_id=gift_id, reason="test", shortfall_policy=SHORTFALL_POLICY_DEBT
    )
    await client.admin.ReverseGift(reverse)
    with pytest.raises(giftpay.WalletNotEmpty) as refused:
        await update(client, ben, status=WALLET_STATUS_CLOSED)
    assert refused.value.diamonds == -1


async def order(client: Client, owner_id: str) -> str:
    request = CreateTopUpRequest(
        owner_id=owner_id, package_id="eur-65", provider=PAYMENT_PROVIDER_TRUSTED
    )
    return (await client.top_ups.CreateTopUp(request)).top_up.top_up_id


async def test_a_wallet_closes_once_no_order_waits_for_payment(
    client: Client, open_wallet: OpenWallet
) -> None:
    owner_id = await open_wallet()
    orders = [await order(client, owner_id) for _ in range(2)]
    for waiting in (2, 1):
        with pytest.raises(giftpay.WalletNotEmpty) as refused:
            await update(client, owner_id, status=WALLET_STATUS_CLOSED)
        assert refused.value.open_top_ups == waiting
        await client.top_ups.CancelTopUp(CancelTopUpRequest(top_up_id=orders.pop()))
    closed = await update(client, owner_id, status=WALLET_STATUS_CLOSED)
    assert closed.status == WALLET_STATUS_CLOSED


async def test_of_an_order_and_a_closing_at_once_one_is_refused(
    client: Client, open_wallet: OpenWallet
) -> None:
    owners = [await open_wallet() for _ in range(30)]
    calls = [
        call
        for owner_id in owners
        for call in (
            order(client, owner_id),
            update(client, owner_id, status=WALLET_STATUS_CLOSED),
        )
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for ordered, closed in zip(answers[::2], answers[1::2], strict=True):
        assert isinstance(ordered, giftpay.WalletClosed) != isinstance(
            closed, giftpay.WalletNotEmpty
        )


async def test_a_closing_is_alone_in_its_batch(
    client: Client, server: Running, open_wallet: OpenWallet
) -> None:
    # An order of the same batch would not be written yet when the open orders are counted.
    frozen, closed = WALLET_STATUS_FROZEN, WALLET_STATUS_CLOSED
    statuses = [frozen, frozen, closed, closed, frozen, frozen]
    commands = [
        update_command(
            ask(
                UpdateWalletRequest(
                    idempotency_key=giftpay.new_key(), owner_id=await open_wallet(), status=status
                ),
                Call("local"),
            ),
            REGISTRY.open_items,
            today=server.parts.clock().date(),
        )
        for status in statuses
    ]
    answers = await server.parts.journal.record_all(commands)
    times = [answer.transaction.create_time for answer in answers if isinstance(answer, Outcome)]
    assert [times.count(time) for time in times] == [4, 4, 1, 1, 4, 4]


async def test_an_owner_without_a_wallet_is_not_found(client: Client) -> None:
    for change in ({"status": WALLET_STATUS_FROZEN}, {"age_verified": True}):
        with pytest.raises(giftpay.WalletNotFound):
            await update(client, "nobody", **change)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({}, "change"),
        ({"owner_id": "", "age_verified": True}, "owner_id"),
        ({"idempotency_key": "x" * 129, "age_verified": True}, "idempotency_key"),
        ({"status": 0}, "status"),
        ({"status": 4}, "status"),
        ({"date_of_birth": ""}, "date_of_birth"),
        ({"date_of_birth": "2999-01-01"}, "date_of_birth"),
        ({"date_of_birth": "1999-2-28"}, "date_of_birth"),
        ({"date_of_birth": "2000-W01-1"}, "date_of_birth"),
    ],
)
async def test_a_malformed_field_is_named_and_nothing_is_decided(
    client: Client, open_wallet: OpenWallet, change: dict[str, Any], field: str
) -> None:
    key = giftpay.new_key()
    fields = {"idempotency_key": key, "owner_id": await open_wallet(), **change}
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await update(client, **fields)
    assert refused.value.field == field
    with pytest.raises(giftpay.TransactionNotFound):
        await client.wallets.GetTransaction(GetTransactionRequest(transaction_id=key))
