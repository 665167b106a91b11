"""A call with one request and one answer: its idempotency key, deadline, retries and back-off."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from itertools import repeat
from time import monotonic
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from giftpay.channel import Channel
from giftpay.checks import check_size, check_type
from giftpay.connections import Method
from giftpay.errors import GiftpayError, Keys
from giftpay.keys import command_finder, name_commands
from giftpay.limits import Metadata, MetadataLike
from giftpay.status import End, call_error, end_of, is_transient, with_unknown_outcome

BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 1.0

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Attempt = Callable[[float], Awaitable[Response]]  # takes the timeout in seconds


class UnaryRpc(Generic[Request, Response]):
    """Retries the call until there is an answer or the deadline has passed."""

    def __init__(self, channel: Channel, method: Method[Request, Response]) -> None:
        self._channel, self._method = channel, method
        self._find = command_finder(method.request)

    def __call__(
        self, request: Request, *, timeout: float | None = None, metadata: MetadataLike = ()
    ) -> Coroutine[Any, Any, Response]:
        payload, keys = self.prepare(request)
        limit_s, sent = self._channel.timeout_of(timeout), self._channel.metadata_of(metadata)
        attempt = partial(self.attempt, payload, keys, sent)
        return self.answer(repeat(attempt), keys, limit_s)

    def prepare(self, request: Request) -> tuple[bytes, Keys | None]:
        """The bytes to send, and the keys of the commands in them; None for a read."""
        self._channel.check_usable()
        check_type(request, self._method.request, self._method.name)
        keys = None if self._find is None else name_commands(self._find(request))
        payload = request.SerializeToString()
        check_size(len(payload), keys)
        return payload, keys

    async def answer(
        self, attempts: Iterator[Attempt[Response]], keys: Keys | None, timeout_s: float
    ) -> Response:
        """Make attempts, with back-off, until one is answered or the deadline has passed."""
        self._channel.check_usable()  # nothing was sent yet
        deadline, failures = monotonic() + timeout_s, 0
        earlier: GiftpayError | None = None
        try:
            while True:
                try:
                    return await next(attempts)(deadline - monotonic())
                except GiftpayError as error:
                    wait_s = backoff_s(failures)
                    if not is_transient(error) or monotonic() + wait_s >= deadline:
                        cut = error.code is grpc.StatusCode.DEADLINE_EXCEEDED
                        # An attempt that the deadline ended says nothing; the one before it did.
                        last = earlier if cut and earlier is not None else error
                        raise _final(last, failures) from error.__cause__
                    earlier = error
                failures += 1
                await asyncio.sleep(wait_s)
        except asyncio.CancelledError:
            self._channel.check_open(keys)
            raise

    async def attempt(
        self, payload: bytes, keys: Keys | None, metadata: Metadata, timeout_s: float
    ) -> Response:
        """Make one attempt, on one connection."""
        self._channel.check_open(keys)  # the client may be closed between two attempts
        connections, end = self._channel.connections, End.GIVEN_UP
        connection = connections.borrow()
        try:
            send = connection.unary(self._method)
            answer: Response = await send(payload, timeout=timeout_s, metadata=metadata)
            end = End.ANSWERED
            return answer
        except grpc.aio.AioRpcError as status:
            error = call_error(status, keys)
            end = end_of(error)
            raise error from status
        finally:
            connections.release(connection, end)


def backoff_s(failures: int) -> float:
    """The time to wait after so many earlier failures: exponential back-off with full jitter.

    The jitter spreads the retries of callers that failed at the same time.
    """
    return random.uniform(0, min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(failures, 10)))


def _final(error: GiftpayError, failures: int) -> GiftpayError:
    """The error that a call raises after so many retries."""
    if not failures or not error.keys or error.pinned:
        return error
    # It is about the last attempt only; an earlier one may have been carried out.
    return with_unknown_outcome(error, error.keys)
