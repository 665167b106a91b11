"""WalletService: parse, record, answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from time import monotonic

from giftpay.v1 import (
    ERROR_REASON_SLOW_READER,
    ERROR_REASON_TRANSACTION_NOT_FOUND,
    ERROR_REASON_WALLET_NOT_FOUND,
    UNIT_COIN,
    GetTransactionRequest,
    GetTransactionResponse,
    GetWalletRequest,
    GetWalletResponse,
    ListEntriesRequest,
    ListEntriesResponse,
    OpenWalletRequest,
    OpenWalletResponse,
    UpdateWalletRequest,
    UpdateWalletResponse,
    Wallet,
    WatchEntriesRequest,
)

from giftpay_server.journal.feed import Feed
from giftpay_server.journal.journal import Journal
from giftpay_server.ledger.model import AccountKey, refuse, wallet
from giftpay_server.postgres.pool import Pool, as_durable_as_a_commit
from giftpay_server.protobuf import time_of
from giftpay_server.registration import Registry
from giftpay_server.wallet import store
from giftpay_server.wallet.followers import Followers
from giftpay_server.wallet.messages import open_command, update_command, wallet_message
from giftpay_server.wallet.reader import resume_error
from giftpay_server.wallet.statement import StatementLine, Statements, transaction_message
from giftpay_server.wallet.store import WalletState
from giftpay_server.wire.commands import ask, carry_out
from giftpay_server.wire.fields import InvalidArgumentError
from giftpay_server.wire.identity import Call
from giftpay_server.wire.keys import transaction_id
from giftpay_server.wire.lane import ReadLane
from giftpay_server.wire.pages import NUMBER_MAX, Listing, open_page, read_page
from giftpay_server.wire.refusals import RefusedError

DURABLE_MAX = 2  # connections of the pool that may wait for a standby; the rest are for reads
HEARTBEAT_S = 10.0
WRITE_MAX_S = 30.0  # backpressure of a reader for longer than this ends its stream
# The longest time between a batch's timestamp and its commit, with a margin: a command is posted
# within a minute by default, and the time-outs of its statements allow two minutes more.
BATCH_LIFE_MAX = timedelta(hours=1)


class WalletService:
    """The gRPC service of wallets."""

    def __init__(
        self,
        journal: Journal,
        pool: Pool,
        feed: Feed,
        clock: Callable[[], datetime],
        registry: Registry,
        reads: ReadLane,
        *,
        heartbeat_s: float = HEARTBEAT_S,
        write_max_s: float = WRITE_MAX_S,
    ) -> None:
        self._journal = journal
        self._pool = pool
        self._clock = clock
        self._registry = registry
        self._reads = reads
        self._statements = Statements(pool, registry.details)
        self._followers = Followers(pool, feed, self._statements, reads, heartbeat_s=heartbeat_s)
        self._write_max_s = write_max_s
        self._durable = asyncio.Semaphore(DURABLE_MAX)

    async def OpenWallet(self, request: OpenWalletRequest, call: Call) -> OpenWalletResponse:
        command = open_command(ask(request, call), today=self._clock().date())
        await store.open_accounts(self._pool, request.owner_id)
        outcome = await carry_out(self._journal, command)
        wallet = await self._wallet(request.owner_id)
        return OpenWalletResponse(wallet=wallet, replayed=outcome.replayed)

    async def GetWallet(self, request: GetWalletRequest, call: Call) -> GetWalletResponse:
        if request.HasField("as_of_time"):
            at = time_of(request.as_of_time)
            return GetWalletResponse(wallet=await self._wallet_at(request.owner_id, at))
        return GetWalletResponse(wallet=await self._wallet(request.owner_id))

    async def ListEntries(self, request: ListEntriesRequest, call: Call) -> bytes:
        account, page = (request.owner_id, request.unit), open_page(request)
        oldest_first = request.HasField("after_seq")
        lines_from = self._statements.after if oldest_first else self._statements.before

        async def read(seq: int, limit: int) -> Sequence[StatementLine]:
            lines = await lines_from(account, seq, limit)
            if not lines:
                await self._wallet(request.owner_id)  # raises if there is no wallet
            return lines

        listing = Listing(read=read, place=lambda line: line.stored.entry.seq, show=self._response)
        first = page.number(first=request.after_seq if oldest_first else NUMBER_MAX)
        return await read_page(self._reads, page, listing, first=first)

    async def WatchEntries(self, request: WatchEntriesRequest, call: Call) -> AsyncIterator[bytes]:
        account, after_seq = (request.owner_id, request.unit), request.after_seq
        last_seq = await self._last_seq(account)
        if after_seq > last_seq:
            raise resume_error(last_seq)
        following = self._followers.follow(account, after_seq=after_seq, last_seq=last_seq)
        async with aclosing(following) as frames:
            async for frame in frames:
                begun = monotonic()
                yield frame.data
                # Flow control: gRPC resumes us once it has buffered the message, within its buffer
                # and the reader's window. The status is delivered after the messages.
                if monotonic() > begun + self._write_max_s:
                    raise RefusedError(refuse(ERROR_REASON_SLOW_READER, last_seq=frame.last_seq))

    async def GetTransaction(
        self, request: GetTransactionRequest, call: Call
    ) -> GetTransactionResponse:
        named = _named(request, call)
        await self._make_durable()  # first: commits that wait for a standby may become visible
        found = await store.read_transaction(self._pool, named)
        by_key = request.HasField("idempotency_key")
        if found is None or (by_key and found.caller != call.caller):
            raise RefusedError(refuse(ERROR_REASON_TRANSACTION_NOT_FOUND, transaction_id=named))
        return GetTransactionResponse(transaction=transaction_message(found))

    async def UpdateWallet(self, request: UpdateWalletRequest, call: Call) -> UpdateWalletResponse:
        open_items, today = self._registry.open_items, self._clock().date()
        command = update_command(ask(request, call), open_items, today=today)
        outcome = await carry_out(self._journal, command)
        wallet = await self._wallet(request.owner_id)
        return UpdateWalletResponse(wallet=wallet, replayed=outcome.replayed)

    async def _make_durable(self) -> None:
        """Waits for a synchronous standby, so that the answer is as durable as a commit."""
        async with self._durable, self._pool.acquire() as connection:
            await as_durable_as_a_commit(connection)

    async def _wallet(self, owner_id: str) -> Wallet:
        return self._found(owner_id, await store.read_wallet(self._pool, owner_id))

    async def _wallet_at(self, owner_id: str, at: datetime) -> Wallet:
        age = self._clock() - at
        if age < timedelta():
            raise InvalidArgumentError("as_of_time", "now or earlier")
        if age < BATCH_LIFE_MAX and not await self._journal.close_time(wallet(owner_id), at):
            await store.close_time(self._pool, owner_id, at)
        return self._found(owner_id, await store.read_wallet_at(self._pool, owner_id, at))

    def _found(self, owner_id: str, state: WalletState | None) -> Wallet:
        if state is None:
            raise RefusedError(refuse(ERROR_REASON_WALLET_NOT_FOUND, owner_id=owner_id))
        return wallet_message(state, today=self._clock().date())

    async def _last_seq(self, account: AccountKey) -> int:
        owner_id, unit = account
        wallet = await self._wallet(owner_id)
        return wallet.coins.last_seq if unit == UNIT_COIN else wallet.diamonds.last_seq

    def _response(self, lines: Sequence[StatementLine]) -> ListEntriesResponse:
        response = ListEntriesResponse()
        self._statements.write(lines, response.entries)
        return response


def _named(request: GetTransactionRequest, call: Call) -> str:
    if request.HasField("transaction_id"):
        return request.transaction_id
    return transaction_id(request.idempotency_key, caller=call.caller)
