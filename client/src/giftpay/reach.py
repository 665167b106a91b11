"""Whether a giftpay server answers at a target, and if not, why."""

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
HEALTH_OF_GIFTPAY = bytes([0x0A, len(SERVICE)]) + SERVICE  # its field 1, the name of a service
READ = "/giftpay.v1.WalletService/GetWallet"  # of nobody, which a giftpay server finds malformed

FOREIGN = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND)
AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

CLOSED = "it closes the connection, as a port for TLS does when it is spoken to in plain text"
# What Core says, and what it means.
CAUSES = (
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


async def reach(
    wire: grpc.aio.Channel, target: str, *, timeout_s: float, wait_s: float, metadata: Metadata
) -> None:
    """Return once a giftpay server answers; Unavailable with the cause if none does.

    Whoever is not there is waited for `wait_s`, whoever does not speak for `timeout_s`.
    """
    began, failures = monotonic(), 0
    while True:
        try:
            return await _probe(wire, target, timeout_s, metadata)
        except Unavailable:
            pause_s = backoff_s(failures)
            if monotonic() + pause_s >= began + wait_s:
                raise
            failures += 1
            await asyncio.sleep(pause_s)


async def _probe(wire: grpc.aio.Channel, target: str, timeout_s: float, metadata: Metadata) -> None:
    code, details = await _asked(wire, HEALTH, HEALTH_OF_GIFTPAY, timeout_s, metadata)
    if code is grpc.StatusCode.UNIMPLEMENTED:  # or something between passes on giftpay alone
        code, details = await _asked(wire, READ, b"", timeout_s, metadata)
    if code in AWAY + FOREIGN:
        sentences = [_sentence(target, code, details), *_proxy(target)]
        said = details.removeprefix("failed to connect to all addresses; last error: ")
        raise Unavailable(" ".join([*sentences, f"({code.name}: {said})"]), code=code)


async def _asked(
    wire: grpc.aio.Channel, path: str, payload: bytes, timeout_s: float, metadata: Metadata
) -> tuple[grpc.StatusCode, str]:
    """The status of a call."""
    ask: Any = wire.unary_unary(path, None, None)  # in bytes
    try:
        await ask(payload, timeout=timeout_s, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


def _sentence(target: str, code: grpc.StatusCode, details: str) -> str:
    cause = next((cause for words, cause in CAUSES if words in details), "")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        cause = "something listens there and does not speak gRPC, or the network drops it"
    if code in FOREIGN:
        cause = "a gRPC server is there, without giftpay's services"
    return f"No giftpay server answers at {target}" + (f": {cause}." if cause else ".")


def _proxy(target: str) -> list[str]:
    """A sentence on the proxy that the connection would go through, if there is one."""
    if is_on_this_machine(target):
        return []
    named = [name for name in PROXIES if os.environ.get(name)]
    return [f"The environment names a proxy in {name}." for name in named[:1]]
