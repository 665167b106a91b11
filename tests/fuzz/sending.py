"""Sends inputs as bytes, many at a time over a few connections, and checks each result."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo
from grpc import StatusCode
from grpc_status import rpc_status

from tests.fuzz.inputs import Input
from tests.fuzz.rpcs import Rpc

CONNECTIONS = 4
AT_A_TIME = 64
DEADLINE_S = 30
KEPT = 200  # findings
FOLLOW_S = 0.2  # a stream that goes on is left after so long
INVENTED = "Internal error from Core"  # grpc.aio's own, of a stream that ends while it writes
CORE_LIMIT = "larger than max"  # gRPC's own text for a message of more than 4 MiB
Stream: TypeAlias = grpc.aio.UnaryStreamCall[bytes, bytes] | grpc.aio.StreamStreamCall[bytes, bytes]

OPTIONS = (("grpc.use_local_subchannel_pool", 1),)
FAULTS = (StatusCode.INTERNAL, StatusCode.UNKNOWN, StatusCode.UNAVAILABLE)


@dataclass(slots=True)
class Findings:
    """The statuses of the inputs, and the inputs with forbidden results."""

    statuses: Counter[str] = field(default_factory=Counter)
    found: int = 0
    failed: list[str] = field(default_factory=list)  # the first of them

    def note(self, status: str, wrong: str, sent: object) -> None:
        """Counts an end; `wrong` says what is wrong with it, if anything is."""
        self.statuses[status] += 1
        self.found += bool(wrong)
        if wrong and len(self.failed) < KEPT:
            self.failed.append(f"{status}: {wrong}\n    {sent}")


class Sender:
    """A few connections that carry many calls at a time."""

    def __init__(self, channels: list[grpc.aio.Channel], findings: Findings) -> None:
        self._channels = channels
        self._findings = findings

    async def send(self, inputs: Iterable[Input]) -> None:
        """Sends all of them and waits for the end of each."""
        source = iter(inputs)
        async with asyncio.TaskGroup() as group:
            for number in range(AT_A_TIME):
                group.create_task(self._work(source, self._channels[number % CONNECTIONS]))

    async def _work(self, source: Iterator[Input], channel: grpc.aio.Channel) -> None:
        for each in source:
            try:
                answers = await _call(channel, each)
            except grpc.aio.AioRpcError as error:
                wrong = _wrong_with(each.rpc, error)
                self._findings.note(_status(error), wrong, each)
            else:
                self._findings.note("OK", _wrong_answer(each.rpc, answers), each)


@asynccontextmanager
async def sender(address: str, findings: Findings) -> AsyncIterator[Sender]:
    """Connections to a server."""
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, OPTIONS))
            for _ in range(CONNECTIONS)
        ]
        yield Sender(channels, findings)


async def _call(channel: grpc.aio.Channel, each: Input) -> list[bytes]:
    """The answers to an input."""
    path, rpc = each.rpc.path, each.rpc
    if not rpc.gives_stream:
        unary: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
        return [await unary(each.payloads[0], timeout=DEADLINE_S)]
    if not rpc.takes_stream:
        stream: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path)
        return await _first_of(stream(each.payloads[0], timeout=DEADLINE_S))
    both: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(path)
    return await _first_of(both(iter(each.payloads), timeout=DEADLINE_S))


async def _first_of(call: Stream) -> list[bytes]:
    """What a stream says at first."""
    answers: list[bytes] = []
    try:
        async with asyncio.timeout(FOLLOW_S):
            async for answer in call:
                answers.append(answer)
    except TimeoutError:
        call.cancel()
    return answers


def _status(error: grpc.aio.AioRpcError) -> str:
    return error.code().name if error.details() != INVENTED else "invented by grpc.aio"


def _wrong_with(rpc: Rpc, error: grpc.aio.AioRpcError) -> str:
    """What is wrong with a status; empty if nothing is."""
    if error.details() == INVENTED:
        return ""
    if error.code() in FAULTS:
        return f"{error.details()}"
    if error.code() is StatusCode.DEADLINE_EXCEEDED:
        return f"no answer within {DEADLINE_S} s"
    if error.code() is StatusCode.RESOURCE_EXHAUSTED and CORE_LIMIT in (error.details() or ""):
        return ""
    return "" if not rpc.is_ours or _has_reason(error) else f"no reason: {error.details()}"


def _has_reason(error: grpc.aio.AioRpcError) -> bool:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # it asks for no more than this
    info = ErrorInfo()
    found = status is not None and any(each.Unpack(info) for each in status.details)
    return found and info.domain == "giftpay" and info.reason.startswith("ERROR_REASON_")


def _wrong_answer(rpc: Rpc, answers: list[bytes]) -> str:
    """What is wrong with an answer that came."""
    if not rpc.is_ours:
        return ""  # reflection repeats a request of any depth, one deeper
    try:
        for answer in answers:
            rpc.response.FromString(answer)
    except DecodeError:
        return "the answer is no message"
    return ""
