"""The client for blocking code: runs the same calls on an event loop in a private thread."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, contextmanager
from itertools import islice
from typing import Any, Generic, ParamSpec, TypeVar

import grpc

from giftpay.client import TIMEOUT_S, WINDOW, WINDOW_MAX, Client, connect
from giftpay.errors import GiftpayError, OutcomeUnknown
from giftpay.forks import CLIENTS, check_process
from giftpay.limits import MetadataLike, checked_count
from giftpay.sync_services import SyncServices
from giftpay.v1 import Entry, GiftOutcome, SendGiftRequest, Unit

P = ParamSpec("P")
T = TypeVar("T")


class SyncClient(SyncServices):
    """The blocking `Client`, made by `giftpay.connect_sync`. Threads may share it."""

    def __init__(self, client: Client, thread: "LoopThread") -> None:
        super().__init__(thread.run, client)
        self._client, self._thread = client, thread

    def watch(self, owner_id: str, unit: Unit.ValueType, *, after_seq: int = 0) -> Iterator[Entry]:
        """Every entry of an account after `after_seq`, like `Client.watch`."""
        return self._thread.iterate(self._client.watch(owner_id, unit, after_seq=after_seq))

    def send_gifts(
        self, gifts: Iterable[SendGiftRequest], *, window: int = WINDOW
    ) -> Iterator[GiftOutcome]:
        """The outcome of each gift, like `Client.send_gifts`, in rounds.

        The iterable runs in the caller's thread: `window` gifts are taken from it, and the next
        ones once those are decided.
        """
        rounds = Rounds(gifts, checked_count("window", window, WINDOW_MAX))
        return self._rounds(rounds, window)

    def _rounds(self, rounds: "Rounds", window: int) -> Iterator[GiftOutcome]:
        while taken := rounds.take():
            yield from self._thread.iterate(self._client.send_gifts(taken, window=window))
        if rounds.error is not None:
            raise rounds.error


@contextmanager
def connect_sync(
    target: str | None = None,
    *,
    timeout: float = TIMEOUT_S,
    credentials: grpc.ChannelCredentials | None = None,
    connections: int = 1,
    wait: float = 0.0,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    metadata: MetadataLike = (),
    coalesce: bool = False,
) -> Iterator[SyncClient]:
    """The blocking `giftpay.connect`; interceptors run in the client's own thread.

    At exit, calls of other threads that are in flight end with OutcomeUnknown or Unavailable.
    """
    opening = connect(
        target,
        timeout=timeout,
        credentials=credentials,
        connections=connections,
        wait=wait,
        interceptors=interceptors,
        metadata=metadata,
        coalesce=coalesce,
    )
    thread = LoopThread(opening)
    client = thread.start()
    try:
        yield SyncClient(client, thread)
    finally:
        thread.stop()


class LoopThread:
    """A thread with an event loop that keeps a client open."""

    def __init__(self, opening: AbstractAsyncContextManager[Client]) -> None:
        self._opening = opening
        self._opened: Future[Client] = Future()
        self._thread = threading.Thread(target=self._main, name="giftpay", daemon=True)
        self._lock = threading.Lock()
        self._closed = False
        self._waited_for: set[Future[Any]] = set()

    def start(self) -> Client:
        """The client, once it is connected."""
        self._thread.start()
        return self._opened.result()

    def stop(self) -> None:
        """Close the client and wait for the thread to end."""
        if CLIENTS.inherited:
            return  # the thread, and the holder of the lock, exist in the parent process only
        with self._lock:
            if not self._closed:
                self._closed = True
                self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def run(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function on the loop and wait for the result."""
        self._check_caller()

        async def call() -> T:
            return await function(*args, **kwargs)

        with self._lock:  # closing the client ends every call that was scheduled before
            if self._closed:
                raise RuntimeError("The client is closed.")
            future = asyncio.run_coroutine_threadsafe(call(), self._loop)
            self._waited_for.add(future)
        try:
            return future.result()
        except CancelledError:
            raise OutcomeUnknown("The client was closed.") from None
        finally:
            future.cancel()  # if the wait was interrupted
            self._waited_for.discard(future)

    def _check_caller(self) -> None:
        """Raise RuntimeError in a caller that would wait forever."""
        check_process()
        if threading.current_thread() is self._thread:
            raise RuntimeError("The client's own thread, as an interceptor's, cannot wait for it.")

    def iterate(self, messages: AsyncGenerator[T]) -> Iterator[T]:
        """The messages, each awaited when the caller takes it."""
        steps = Steps(messages)
        try:
            while (message := self.run(steps.advance)) is not None:
                yield message
        finally:
            if not (self._closed or CLIENTS.inherited):
                self.run(steps.close)

    def _main(self) -> None:
        try:
            asyncio.run(self._hold())
        except BaseException as error:
            if self._opened.done():
                raise
            self._opened.set_exception(error)
        finally:
            with self._lock:  # from here on a call would wait forever
                self._closed = True
            for future in [*self._waited_for]:
                future.cancel()  # one that was scheduled as the loop ended never began

    async def _hold(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(_unless_spurious)
        async with self._opening as client:
            self._opened.set_result(client)
            await self._closing.wait()


class Rounds:
    """Takes gifts from an iterable, so many at a time, and keeps the error that ends it."""

    def __init__(self, gifts: Iterable[SendGiftRequest], size: int) -> None:
        self._source, self._size = iter(gifts), size
        self.error: Exception | None = None

    def take(self) -> list[SendGiftRequest]:
        """The next gifts, also those before an error; none after the last."""
        taken: list[SendGiftRequest] = []
        if self.error is None:
            try:
                for gift in islice(self._source, self._size):
                    taken.append(gift)
            except Exception as error:
                self.error = error
        return taken


class Steps(Generic[T]):
    """Advances an async generator step by step, and closes it even in the middle of a step."""

    def __init__(self, messages: AsyncGenerator[T]) -> None:
        self._messages = messages
        self._step: asyncio.Task[T | None] | None = None

    async def advance(self) -> T | None:
        """The next message; None after the last."""
        self._step = asyncio.ensure_future(_next(self._messages))
        return await self._step

    async def close(self) -> None:
        """Close the generator. After Ctrl-C a step may be running, which has to end first."""
        if self._step is not None:
            self._step.cancel()
            await asyncio.wait([self._step])
        await self._messages.aclose()


async def _next(messages: AsyncGenerator[T]) -> T | None:
    return await anext(messages, None)


def _unless_spurious(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # If several loops of a process use gRPC, an event wakes all of them and all but one find
    # nothing to read (grpc/grpc#25364), which is harmless. After Ctrl-C nobody awaits the
    # error of the call.
    if not isinstance(context.get("exception"), BlockingIOError | GiftpayError):
        loop.default_exception_handler(context)
