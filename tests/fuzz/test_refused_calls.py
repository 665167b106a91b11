"""A caller whose calls are all refused keeps its connection: each call ends for good at its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from giftpay.v1 import GetWalletRequest
from grpc import StatusCode, aio

from tests.stories.processes import server_process

CALLS = 1_000  # more than any connection may have under way
GET_WALLET = "/giftpay.v1.WalletService/GetWallet"


async def test_a_thousand_refusals_on_one_connection_are_refusals_to_the_end(
    new_database: Callable[[], Awaitable[str]],
) -> None:
    async with (
        server_process(DATABASE_URL=await new_database()) as server,
        aio.insecure_channel(server.address) as channel,
    ):
        get_wallet: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(GET_WALLET)
        request = GetWalletRequest(owner_id="nobody").SerializeToString()
        codes = [await code_of(get_wallet(request, timeout=10)) for _ in range(CALLS)]
    assert codes == [StatusCode.NOT_FOUND] * CALLS


async def code_of(call: aio.UnaryUnaryCall[bytes, bytes]) -> StatusCode:
    """The status that a call ends with."""
    return await call.code()
