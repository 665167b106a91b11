"""Checks that a giftpay server answers at a target, and finds the cause if none does."""

import asyncio
import os
from time import monotonic
from typing import Any

import grpc

from giftpay.errors import Unavailable
from giftpay.limits import Metadata
from giftpay.target import is_on_this_machine
from giftpay.unary import backoff_s

HEALTH = "/grpc.health.v1.Health/Check"
SERVICE = b"giftpay.v1.WalletService"
HEALTH_OF_GIFTPAY = bytes([0x0A, len(SERVICE)]) + SERVICE  # field 1: the name of a service
READ = "/giftpay.v1.WalletService/GetWallet"  # without an owner: giftpay finds it malformed

FOREIGN = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND)
AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

CLOSED = "it closes the connection, as a port for TLS does when it is spoken to in plain text"
# A text in gRPC's details of a failure, and the cause that it means.
CAUSES_BY_TEXT = (
    ("WRONG_VERSION_NUMBER", "it does not speak TLS, and the client has credentials for TLS"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not one that the credentials trust"),
    ("Hostname Verification", "its certificate is for another name than the target's"),
    ("HTTP proxy returned", "the HTTP proxy in between does not connect to it"),
    ("http1.x server", "an HTTP/1 server is there, which is not gRPC"),
    ("lookup failed", "its name is not known"),
    ("Connection refused", "nothing listens there"),
    ("No such file", "there is no such socket"),
    (
        "Socket closed",
        CLOSED,
    ),
    (
        "reset by peer",
        CLOSED,
    ),
)
PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")


async def wait_for_server(
    channel: grpc.aio.Channel, target: str, *, timeout_s: float, wait_s: float, metadata: Metadata
) -> None:
    """Returns once a giftpay server answers; raises Unavailable, with the cause, if none does.

    Each attempt takes at most `timeout_s`; they are repeated for `wait_s`.
    """
    began, failures = monotonic(), 0
    while True:
        try:
            return await _probe(channel, target, timeout_s, metadata)
        except Unavailable:
            pause_s = backoff_s(failures)
            if monotonic() + pause_s >= began + wait_s:
                raise
            failures += 1
            await asyncio.sleep(pause_s)


async def _probe(
    channel: grpc.aio.Channel, target: str, timeout_s: float, metadata: Metadata
) -> None:
    code, details = await _status_of(channel, HEALTH, HEALTH_OF_GIFTPAY, timeout_s, metadata)
    if code is grpc.StatusCode.UNIMPLEMENTED:  # a proxy may forward giftpay's services only
        code, details = await _status_of(channel, READ, b"", timeout_s, metadata)
    if code in AWAY + FOREIGN:
        sentences = [_sentence(target, code, details), *_proxy(target)]
        last = details.removeprefix("failed to connect to all addresses; last error: ")
        raise Unavailable(" ".join([*sentences, f"({code.name}: {last})"]), code=code)


async def _status_of(
    channel: grpc.aio.Channel, path: str, payload: bytes, timeout_s: float, metadata: Metadata
) -> tuple[grpc.StatusCode, str]:
    """The status of a call."""
    call: Any = channel.unary_unary(path, None, None)  # takes bytes
    try:
        await call(payload, timeout=timeout_s, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


def _sentence(target: str, code: grpc.StatusCode, details: str) -> str:
    cause = next((cause for text, cause in CAUSES_BY_TEXT if text in details), "")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        cause = "something listens there and does not speak gRPC, or the network drops it"
    if code in FOREIGN:
        cause = "a gRPC server is there, without giftpay's services"
    return f"No giftpay server answers at {target}" + (f": {cause}." if cause else ".")


def _proxy(target: str) -> list[str]:
    """A sentence about the proxy that the connection would use, if there is one."""
    if is_on_this_machine(target):
        return []
    named = [name for name in PROXIES if os.environ.get(name)]
    return [f"The environment names a proxy in {name}." for name in named[:1]]
