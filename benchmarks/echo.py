"""The floor of a call: GiftService.SendGift that answers with a gift and does nothing."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import grpc.aio
import uvloop
from giftpay.v1 import (
    Gift,
    GiftServiceServicer,
    SendGiftRequest,
    SendGiftResponse,
    add_GiftServiceServicer_to_server,
)

from benchmarks.gifts import GIFT_ID, creator, viewer

GIFT = Gift(
    transaction_id=str(uuid.UUID(int=1)),
    sender_id=viewer(0),
    recipient_id=creator(0),
    gift_id=GIFT_ID,
    count=1,
    coins=1,
    diamonds=1,
    catalog_version=1,
    create_time=datetime.now(UTC),  # type: ignore[arg-type]
)


class Echo(GiftServiceServicer):
    """Answers with giftpay's messages, parsed and serialized in the same way."""

    async def SendGift(self, request: SendGiftRequest, context: Any) -> SendGiftResponse:
        return SendGiftResponse(gift=GIFT)


async def main() -> None:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_GiftServiceServicer_to_server(Echo(), server)  # type: ignore[abstract]  # one rpc of them
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"echo serves on 127.0.0.1:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
