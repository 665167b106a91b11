"""The load of orders and payments in addition to gifts, against a server of the generated code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
from giftpay.v1 import (
    PAYMENT_PROVIDER_TRUSTED,
    ConfirmTopUpRequest,
    ConfirmTopUpResponse,
    CreateTopUpRequest,
    CreateTopUpResponse,
    GiftServiceServicer,
    SendGiftRequest,
    SendGiftResponse,
    TopUp,
    TopUpServiceServicer,
    add_GiftServiceServicer_to_server,
    add_TopUpServiceServicer_to_server,
)

from benchmarks.beside import Beside
from benchmarks.load import UNARY, Load


class Shop(GiftServiceServicer, TopUpServiceServicer):
    """Sends every gift, makes every order, and refuses each third payment."""

    def __init__(self) -> None:
        self.gifts = 0
        self.orders: list[CreateTopUpRequest] = []
        self.payments: list[ConfirmTopUpRequest] = []

    async def SendGift(self, request: SendGiftRequest, context: Any) -> SendGiftResponse:
        self.gifts += 1
        return SendGiftResponse()

    async def CreateTopUp(self, request: CreateTopUpRequest, context: Any) -> CreateTopUpResponse:
        self.orders.append(request)
        return CreateTopUpResponse(top_up=TopUp(top_up_id=request.idempotency_key))

    async def ConfirmTopUp(
        self, request: ConfirmTopUpRequest, context: Any
    ) -> ConfirmTopUpResponse:
        self.payments.append(request)
        if len(self.payments) % 3 == 0:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "closed")
        return ConfirmTopUpResponse()


@pytest.fixture
async def shop() -> AsyncIterator[tuple[str, Shop]]:
    servicer = Shop()  # type: ignore[abstract]  # three rpcs of theirs
    server = grpc.aio.server()
    add_GiftServiceServicer_to_server(servicer, server)
    add_TopUpServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}", servicer
    await server.stop(None)


async def test_every_order_is_paid_once_and_counted_beside_the_gifts(
    shop: tuple[str, Shop],
) -> None:
    address, servicer = shop
    load = Load(addresses=(address,), method=UNARY, connections=2)
    sample = await Beside(load, rate=400).run(0.05, 0.3)
    orders, payments = servicer.orders, servicer.payments
    assert {order.idempotency_key for order in orders} == {paid.top_up_id for paid in payments}
    assert len({paid.payment_reference for paid in payments}) == len(payments) == len(orders)
    assert {order.provider for order in orders} == {PAYMENT_PROVIDER_TRUSTED}
    refused = len(payments) // 3
    assert sample.acknowledged == servicer.gifts + len(orders) + len(payments) - refused
    assert 0 < sample.others < sample.acknowledged - sample.gifts
    assert 0 < sample.failed <= refused
