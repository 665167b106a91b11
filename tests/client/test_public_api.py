"""The public API: its names, its services and their types."""

import asyncio
import inspect
import subprocess
import sys
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, assert_type

import giftpay
import pytest
from giftpay import refusals, v1
from giftpay.v1 import (
    GetWalletRequest,
    GetWalletResponse,
    WatchEntriesRequest,
    WatchEntriesResponse,
    options_pb2,
)
from google.protobuf.descriptor import ServiceDescriptor

from tests.client.scripted import ScriptedServer

SERVICES: list[ServiceDescriptor] = [
    service
    for name in sys.modules
    if name.startswith("giftpay.v1.") and name.endswith("_service_pb2")
    for service in sys.modules[name].DESCRIPTOR.services_by_name.values()
]
each_service = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


def service_of(client: object, service: ServiceDescriptor) -> Any:
    """The client's attribute for a service."""
    return getattr(client, service.GetOptions().Extensions[options_pb2.client_name])


def test_the_exported_names_are_exactly_these() -> None:
    functions = {"connect", "connect_sync", "new_key", "refusal_error"}
    families = {
        "Exhausted",
        "GiftpayError",
        "Malformed",
        "NotFound",
        "OutcomeUnknown",
        "Refused",
        "RequestTooLarge",
        "Unavailable",
    }
    expected = {"Client", "SyncClient", *functions, *families, *refusals.__all__}
    assert set(giftpay.__all__) == expected
    assert len(giftpay.__all__) == len(expected)
    assert all(hasattr(giftpay, name) for name in expected)


@each_service
async def test_every_rpc_can_be_called(
    scripted: ScriptedServer, caller: giftpay.Client, service: ServiceDescriptor
) -> None:
    rpcs = service_of(caller, service)
    for rpc in service.methods:
        if not rpc.server_streaming:
            answer = getattr(v1, rpc.output_type.name)
            scripted.script(rpc.name, answer())
            assert await getattr(rpcs, rpc.name)(getattr(v1, rpc.input_type.name)()) == answer()
            assert len(scripted.asked[rpc.name]) == 1


@each_service
async def test_blocking_code_can_call_every_rpc(
    scripted: ScriptedServer, service: ServiceDescriptor
) -> None:
    unary = [rpc for rpc in service.methods if not rpc.server_streaming]
    for rpc in unary:
        scripted.script(rpc.name, getattr(v1, rpc.output_type.name)())

    def call_each() -> list[Any]:
        with giftpay.connect_sync(scripted.address, timeout=3) as client:
            blocking_service = service_of(client, service)
            return [
                getattr(blocking_service, rpc.name)(getattr(v1, rpc.input_type.name)())
                for rpc in unary
            ]

    answers = await asyncio.to_thread(call_each)
    assert answers == [getattr(v1, rpc.output_type.name)() for rpc in unary]


async def test_rpcs_have_their_types(scripted: ScriptedServer, caller: giftpay.Client) -> None:
    scripted.script("GetWallet", GetWalletResponse())

    def blocking() -> None:
        with giftpay.connect_sync(scripted.address) as client:
            assert_type(client.wallets.GetWallet(GetWalletRequest()), GetWalletResponse)

    made = caller.wallets.GetWallet(GetWalletRequest())
    call = assert_type(made, Coroutine[Any, Any, GetWalletResponse])
    assert asyncio.iscoroutine(call)
    assert_type(await call, GetWalletResponse)
    stream = caller.wallets.WatchEntries(WatchEntriesRequest())
    assert_type(stream, AsyncGenerator[WatchEntriesResponse])
    assert inspect.isasyncgen(stream)
    await asyncio.to_thread(blocking)


def test_without_click_the_command_line_says_what_to_install() -> None:
    hide = "import sys; sys.modules['click'] = None; from giftpay.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", hide], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert 'pip install "giftpay[cli]"' in done.stderr
