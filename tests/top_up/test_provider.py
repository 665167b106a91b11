"""The provider as it may be: away, late, losing answers, undecided. Nothing of it is pinned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import giftpay
import grpc.aio
import pytest
from giftpay import new_key
from giftpay.client import Client, connect
from giftpay.status import call_error
from giftpay.v1 import (
    ERROR_REASON_PAYMENT_NOT_FOUND,
    PAYMENT_PROVIDER_SANDBOX,
    PAYMENT_PROVIDER_TRUSTED,
    TOP_UP_STATE_PENDING,
    ConfirmTopUpRequest,
    CreateTopUpRequest,
    GetTransactionRequest,
    Money,
    PaymentProvider,
    TopUp,
    TopUpServiceStub,
)
from giftpay_server.app import Running, serving
from giftpay_server.config import Config
from giftpay_server.top_up.payments import amount_paid
from giftpay_server.top_up.providers import Payment, PaymentState
from giftpay_server.wire.refusals import RefusedError

from tests.conftest import MovableClock, OpenWallet
from tests.top_up.conftest import Shop

AWAY = {"action": "refuse_before"}
LOST = {"action": "lose_answer"}


def confirmation(order: TopUp, reference: str, key: str = "") -> ConfirmTopUpRequest:
    return ConfirmTopUpRequest(
        idempotency_key=key or new_key(), top_up_id=order.top_up_id, payment_reference=reference
    )


async def failure(server: Running, request: ConfirmTopUpRequest) -> giftpay.GiftpayError:
    """How one attempt fails; the shipped client would repeat it until its deadline."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await TopUpServiceStub(channel).ConfirmTopUp(request, timeout=10)
    return call_error(ended.value, (request.idempotency_key,))


async def decided(shop: Shop, key: str) -> bool:
    try:
        await shop.client.wallets.GetTransaction(GetTransactionRequest(idempotency_key=key))
    except giftpay.TransactionNotFound:
        return False
    return True


async def test_nothing_is_decided_while_the_provider_is_away(
    shop: Shop, open_wallet: OpenWallet, server: Running
) -> None:
    order, key = await shop.order(await open_wallet()), new_key()
    reference = await shop.pay(order)
    await shop.script(reference, AWAY)
    unknown = await failure(server, confirmation(order, reference, key))
    assert unknown.reason == "ERROR_REASON_PROVIDER_UNAVAILABLE"
    assert unknown.metadata == {"provider": "SANDBOX"}
    assert not await decided(shop, key)
    assert (await shop.current(order)).state == TOP_UP_STATE_PENDING


@pytest.mark.parametrize("failure", [AWAY, LOST])
async def test_a_provider_that_fails_twice_costs_the_caller_nothing(
    shop: Shop, open_wallet: OpenWallet, failure: dict[str, str]
) -> None:
    anna = await open_wallet()
    order = await shop.order(anna)
    reference = await shop.pay(order)
    await shop.script(reference, failure, failure)
    assert not (await shop.confirm(order, reference)).replayed
    assert await shop.coins(anna) == order.coins


async def test_what_was_decided_is_replayed_while_the_provider_is_away(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    order, wrong, key, wrong_key = (
        await shop.order(anna),
        await shop.order(anna),
        new_key(),
        new_key(),
    )
    reference, too_little = await shop.pay(order), await shop.pay(order, minor_units=1)
    first = await shop.confirm(order, reference, key)
    with pytest.raises(giftpay.PaymentMismatch):
        await shop.confirm(wrong, too_little, wrong_key)
    for each in (reference, too_little):
        await shop.script(each, *[AWAY] * 100)
    again = await shop.confirm(order, reference, key)
    assert again.replayed
    assert again.top_up == first.top_up
    with pytest.raises(giftpay.PaymentMismatch):
        await shop.confirm(wrong, too_little, wrong_key)


async def test_a_paid_order_is_answered_under_a_new_key_while_the_provider_is_away(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    paid, reference = await shop.bought(await open_wallet())
    await shop.script(reference, *[AWAY] * 100)
    answer = await shop.confirm(paid, reference)
    assert answer.top_up == paid


async def test_answers_that_come_late_and_crosswise_credit_once(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    order = await shop.order(anna)
    reference = await shop.pay(order)
    delays = (150, 20, 100, 50, 200, 1, 80, 120)
    await shop.script(reference, *({"action": "answer_late", "delay_ms": ms} for ms in delays))
    await asyncio.gather(*(shop.confirm(order, reference) for _ in delays))
    assert await shop.coins(anna) == order.coins


async def test_an_unknown_payment_is_refused_until_it_is_known(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    order, reference, key = await shop.order(anna), shop.new_reference(), new_key()
    with pytest.raises(giftpay.PaymentNotFound) as refused:
        await shop.confirm(order, reference, key)
    assert refused.value.payment_reference == reference
    assert not await decided(shop, key)
    await shop.pay(order, reference)
    assert not (await shop.confirm(order, reference, key)).replayed
    assert await shop.coins(anna) == order.coins


async def test_a_pending_payment_is_refused_until_it_is_complete(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    order, reference, key = await shop.order(anna), shop.new_reference(), new_key()
    await shop.script(reference, {"action": "pending_then_pay"}, call="submit")
    await shop.pay(order, reference)
    with pytest.raises(giftpay.PaymentNotComplete) as refused:
        await shop.confirm(order, reference, key)
    assert (refused.value.payment_reference, refused.value.state) == (reference, "PENDING")
    assert not (await shop.confirm(order, reference, key)).replayed
    assert await shop.coins(anna) == order.coins


async def test_a_declined_payment_credits_nothing(shop: Shop, open_wallet: OpenWallet) -> None:
    anna = await open_wallet()
    order, reference = await shop.order(anna), shop.new_reference()
    await shop.script(reference, {"action": "decline"}, call="submit")
    await shop.pay(order, reference)
    with pytest.raises(giftpay.PaymentNotComplete) as refused:
        await shop.confirm(order, reference)
    assert refused.value.state == "DECLINED"
    assert await shop.coins(anna) == 0


async def test_a_payment_that_went_back_credits_nothing(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    order = await shop.order(anna)
    reference = await shop.pay(order)
    await shop.refund(reference)
    with pytest.raises(giftpay.PaymentNotComplete) as refused:
        await shop.confirm(order, reference)
    assert refused.value.state == "REFUNDED"
    assert await shop.coins(anna) == 0


class LooseProvider:
    """Knows one payment of EUR 0.99, by its reference in any spelling."""

    async def find(self, reference: str) -> Payment | None:
        return Payment(reference.lower(), PaymentState.PAID, "EUR", 99)


async def test_a_payment_has_one_spelling() -> None:
    paid = await amount_paid(LooseProvider(), "LOOSE", "pay-1")
    assert paid == Money(currency_code="EUR", minor_units=99)
    with pytest.raises(RefusedError) as refused:
        await amount_paid(LooseProvider(), "LOOSE", "PAY-1")
    assert refused.value.refusal.reason == ERROR_REASON_PAYMENT_NOT_FOUND


@pytest.fixture
async def lone_server(server: Running, clock: MovableClock) -> AsyncIterator[Running]:
    """A second server on the same books; it knows no provider and trusts nobody."""
    config = Config(database_url=server.parts.config.database_url, listen="127.0.0.1:0")
    async with serving(config, clock=clock) as other:
        yield other


@pytest.fixture
async def alone(lone_server: Running) -> AsyncIterator[Client]:
    async with connect(lone_server.address) as client:
        yield client


async def test_nothing_is_ordered_from_a_provider_that_is_not_connected(
    shop: Shop, open_wallet: OpenWallet, alone: Client
) -> None:
    request = CreateTopUpRequest(
        owner_id=await open_wallet(),
        package_id=shop.package_id,
        provider=PAYMENT_PROVIDER_SANDBOX,
    )
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await alone.top_ups.CreateTopUp(request)
    assert refused.value.field == "provider"
    assert refused.value.limit == "one that this server is connected to: none"


@pytest.mark.parametrize("provider", [0, 99])
async def test_who_names_no_provider_learns_which_there_are(
    shop: Shop, open_wallet: OpenWallet, provider: PaymentProvider.ValueType
) -> None:
    request = CreateTopUpRequest(
        owner_id=await open_wallet(), package_id=shop.package_id, provider=provider
    )
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await shop.client.top_ups.CreateTopUp(request)
    assert (refused.value.field, refused.value.limit) == (
        "provider",
        "one that this server is connected to: PAYMENT_PROVIDER_SANDBOX, PAYMENT_PROVIDER_TRUSTED",
    )


async def test_an_order_outlives_the_connection_to_its_provider(
    shop: Shop, open_wallet: OpenWallet, lone_server: Running
) -> None:
    anna = await open_wallet()
    order, key = await shop.order(anna), new_key()
    reference = await shop.pay(order)
    unknown = await failure(lone_server, confirmation(order, reference, key))
    assert unknown.reason == "ERROR_REASON_PROVIDER_UNAVAILABLE"
    await shop.confirm(order, reference, key)
    assert await shop.coins(anna) == order.coins


async def test_a_trusted_callers_confirmation_is_a_payment(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    order = await shop.order(anna, provider=PAYMENT_PROVIDER_TRUSTED)
    paid = (await shop.confirm(order, shop.new_reference())).top_up
    assert paid.provider == PAYMENT_PROVIDER_TRUSTED
    assert await shop.coins(anna) == order.coins


async def test_a_trusted_reference_pays_once_too(shop: Shop, open_wallet: OpenWallet) -> None:
    anna = await open_wallet()
    first, second = [await shop.order(anna, provider=PAYMENT_PROVIDER_TRUSTED) for _ in range(2)]
    reference = shop.new_reference()
    await shop.confirm(first, reference)
    with pytest.raises(giftpay.PaymentReferenceUsed):
        await shop.confirm(second, reference)


async def test_references_of_different_providers_are_different(
    shop: Shop, open_wallet: OpenWallet
) -> None:
    anna = await open_wallet()
    _, reference = await shop.bought(anna)
    order = await shop.order(anna, provider=PAYMENT_PROVIDER_TRUSTED)
    await shop.confirm(order, reference)
    assert await shop.coins(anna) == 2 * order.coins


async def test_nobody_else_may_order_from_the_trusted_provider(
    shop: Shop, open_wallet: OpenWallet, alone: Client
) -> None:
    request = CreateTopUpRequest(
        idempotency_key=new_key(),
        owner_id=await open_wallet(),
        package_id=shop.package_id,
        provider=PAYMENT_PROVIDER_TRUSTED,
    )
    with pytest.raises(giftpay.PermissionDenied) as refused:
        await alone.top_ups.CreateTopUp(request)
    assert refused.value.right == "trusted_payments"
    assert not await decided(shop, request.idempotency_key)


async def test_nobody_else_may_confirm_a_trusted_order(
    shop: Shop, open_wallet: OpenWallet, alone: Client
) -> None:
    anna = await open_wallet()
    order = await shop.order(anna, provider=PAYMENT_PROVIDER_TRUSTED)
    request = confirmation(order, shop.new_reference())
    with pytest.raises(giftpay.PermissionDenied):
        await alone.top_ups.ConfirmTopUp(request)
    assert not await decided(shop, request.idempotency_key)
    assert await shop.coins(anna) == 0
