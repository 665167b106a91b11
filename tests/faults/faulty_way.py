"""A client whose connection to its server may fail, beside one whose connection does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import giftpay
from giftpay.client import Client

from tests.faults.fault_proxy import FaultProxy, fault_proxy, tcp
from tests.stories.evening import Evening, evening

JUDGE_S = 60


@dataclass(frozen=True, slots=True)
class FaultyWay:
    """The parts of such a trial."""

    client: Client
    judge: Client  # on a connection without faults
    proxy: FaultProxy
    gifts: Evening


@asynccontextmanager
async def faulty_way(address: str, *, timeout_s: float) -> AsyncIterator[FaultyWay]:
    """A client with this timeout, through a proxy to the server at the address."""
    async with (
        fault_proxy(tcp(address)) as proxy,
        giftpay.connect(proxy.address, timeout=timeout_s) as client,
        giftpay.connect(address, timeout=JUDGE_S) as judge,
    ):
        yield FaultyWay(client, judge, proxy, await evening(judge, deadline_s=timeout_s))
