"""The load generator's own messages, against the generated code and a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import islice
from typing import Any
from uuid import UUID

import grpc.aio
import pytest
from giftpay.v1 import (
    BatchSendGiftsRequest,
    Gift,
    GiftOutcome,
    GiftServiceServicer,
    SendGiftRequest,
    SendGiftResponse,
    StreamGiftsRequest,
    StreamGiftsResponse,
    add_GiftServiceServicer_to_server,
)

from benchmarks.gifts import Spread, batches, gifts, new_keys
from benchmarks.load import STREAM, UNARY, Calls, Load, Streams
from benchmarks.outcomes import OutcomeCounter


def test_gifts_are_requests_with_a_key_of_their_own_each() -> None:
    sent = [SendGiftRequest.FromString(gift) for gift in islice(gifts(Spread.UNIFORM), 300)]
    assert len({gift.idempotency_key for gift in sent}) == 300
    assert {len(gift.sender_id) for gift in sent} == {10}
    assert {gift.gift_id for gift in sent} == {"rose"}


def test_keys_are_canonical_uuids_of_version_7() -> None:
    for key in new_keys(50):
        assert str(UUID(key.decode())) == key.decode()
        assert UUID(key.decode()).version == 7


def test_with_the_hot_spread_all_gifts_go_to_one_creator() -> None:
    sent = [SendGiftRequest.FromString(gift) for gift in islice(gifts(Spread.HOT), 50)]
    assert {gift.recipient_id for gift in sent} == {"c000000000"}


def test_a_batch_has_the_given_number_of_gifts_with_their_messages() -> None:
    suffix = SendGiftRequest(message="Good luck!").SerializeToString()
    batch = BatchSendGiftsRequest.FromString(next(batches(gifts(Spread.ZIPF, suffix), 20)))
    assert [gift.message for gift in batch.gifts] == ["Good luck!"] * 20


def test_outcomes_are_counted_however_the_data_is_cut() -> None:
    outcomes = [GiftOutcome(idempotency_key=f"{n}", gift=Gift(message="x" * n)) for n in range(200)]
    messages = [
        StreamGiftsResponse(outcomes=outcomes[:150]),
        StreamGiftsResponse(outcomes=outcomes[150:]),
    ]
    data = b"".join(
        b"\0" + len(m.SerializeToString()).to_bytes(4, "big") + m.SerializeToString()
        for m in messages
    )
    for size in (1, 7, 1_000, len(data)):
        counter = OutcomeCounter()
        counted = sum(counter.feed(data[at : at + size]) for at in range(0, len(data), size))
        assert counted == 200


class Busy(GiftServiceServicer):
    """Answers two calls of three, and every gift of a stream."""

    calls = 0

    async def SendGift(self, request: SendGiftRequest, context: Any) -> SendGiftResponse:
        self.calls += 1
        if self.calls % 3 == 0:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy")
        return SendGiftResponse()

    async def StreamGifts(
        self, requests: AsyncIterator[StreamGiftsRequest], context: Any
    ) -> AsyncIterator[StreamGiftsResponse]:
        async for request in requests:
            outcomes = [GiftOutcome(idempotency_key=g.idempotency_key) for g in request.gifts]
            yield StreamGiftsResponse(outcomes=outcomes)


@pytest.fixture
async def busy() -> AsyncIterator[tuple[str, Busy]]:
    servicer = Busy()  # type: ignore[abstract]  # two rpcs of them
    server = grpc.aio.server()
    add_GiftServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}", servicer
    await server.stop(None)


async def test_calls_are_counted_by_their_status(busy: tuple[str, Busy]) -> None:
    address, servicer = busy
    load = Load(addresses=(address,), method=UNARY, connections=2, callers=3)
    sample = await Calls(load).run(0.05, 0.3)
    assert sample.failed == 0
    assert sample.refused > 0
    assert sample.gifts < sample.acknowledged <= servicer.calls


async def test_a_stream_of_many_megabytes_is_counted_to_the_last_gift(
    busy: tuple[str, Busy],
) -> None:
    address, _ = busy
    load = Load(addresses=(address,), method=STREAM, connections=1, size=1_000)
    sample = await Streams(load).run(0.05, 0.5)
    assert sample.failed == 0
    assert sample.acknowledged % 1_000 == 0
    assert sample.acknowledged > 2_000
