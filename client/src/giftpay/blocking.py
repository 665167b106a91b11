"""Calls an rpc from blocking code."""

from collections.abc import Awaitable, Callable
from typing import Generic, ParamSpec, Protocol, TypeVar

from google.protobuf.message import Message

from giftpay.limits import MetadataLike
from giftpay.rpcs import Rpc

P = ParamSpec("P")
T = TypeVar("T")
Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


class Run(Protocol):
    """Runs a function on the client's event loop and waits for the result."""

    def __call__(
        self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T: ...


class BlockingRpc(Generic[Request, Response]):
    """One rpc. `timeout` is in seconds, for all attempts; the client's if None."""

    def __init__(self, run: Run, rpc: Rpc[Request, Response]) -> None:
        self._run, self._rpc = run, rpc

    def __call__(
        self, request: Request, *, timeout: float | None = None, metadata: MetadataLike = ()
    ) -> Response:
        return self._run(self._rpc, request, timeout=timeout, metadata=metadata)
