"""Load of gifts, with orders for coins and their payments at a steady rate."""

from __future__ import annotations

import asyncio
import random

import uvloop
from giftpay.v1 import (
    PAYMENT_PROVIDER_TRUSTED,
    ConfirmTopUpRequest,
    CreateTopUpRequest,
    CreateTopUpResponse,
)

from benchmarks.gifts import PACKAGE_ID, VIEWERS, new_keys, viewer
from benchmarks.http2 import Connection
from benchmarks.load import Calls, Load
from benchmarks.pace import paced
from benchmarks.samples import Sample

ORDER = "/giftpay.v1.TopUpService/CreateTopUp"
PAYMENT = "/giftpay.v1.TopUpService/ConfirmTopUp"
GRPC_PREFIX_BYTES = 5


def run_beside(rate: float, load: Load, warm_up_s: float, seconds: float) -> Sample:
    """Like run_load, with other commands at a rate: orders, and as many payments."""
    return uvloop.run(Beside(load, rate).run(warm_up_s, seconds))


class Beside(Calls):
    """Calls of gifts, and orders on another connection, each paid once it is made."""

    def __init__(self, load: Load, rate: float) -> None:
        super().__init__(load)
        self._orders_a_second = rate / 2

    async def run(self, warm_up_s: float, seconds: float) -> Sample:
        address = self._load.addresses[0]
        self._orders = await self._connect(
            address, lambda: Connection(ORDER, self._other_ended, self._ordered)
        )
        self._payments = await self._connect(
            address, lambda: Connection(PAYMENT, self._other_ended)
        )
        sample = await super().run(warm_up_s, seconds)
        self._orders.close()
        self._payments.close()
        return sample

    def _start(self) -> None:
        super()._start()
        self._orders_pace = asyncio.create_task(paced(self._orders_a_second, self._order))

    def _stop(self) -> None:
        super()._stop()
        self._orders_pace.cancel()

    def _order(self, number: int) -> None:
        self._in_flight += 1
        self._orders.call(_order())

    def _ordered(self, connection: Connection, data: bytes) -> None:
        answer = CreateTopUpResponse.FromString(data[GRPC_PREFIX_BYTES:])
        self._in_flight += 1
        self._payments.call(_payment(answer.top_up.top_up_id))

    def _other_ended(self, connection: Connection, seconds: float, status: int) -> None:
        self._one_ended()
        if status == 0:
            self._acknowledged += 1
            self._count.accepted_beside()
        else:
            self._count.not_accepted(1, status)


def _order() -> bytes:
    return CreateTopUpRequest(
        idempotency_key=_new_key(),
        owner_id=viewer(random.randrange(VIEWERS)),
        package_id=PACKAGE_ID,
        provider=PAYMENT_PROVIDER_TRUSTED,
    ).SerializeToString()


def _payment(top_up_id: str) -> bytes:
    return ConfirmTopUpRequest(
        idempotency_key=_new_key(), top_up_id=top_up_id, payment_reference=f"paid-{top_up_id}"
    ).SerializeToString()


def _new_key() -> str:
    return new_keys(1)[0].decode()
