"""What this distribution promises is there: its names, its services, and their types."""

import asyncio
import subprocess
import sys
from typing import Any, assert_type

import giftpay
import pytest
from giftpay import refusals, v1
from giftpay.v1 import GetWalletRequest, GetWalletResponse, options_pb2
from google.protobuf.descriptor import ServiceDescriptor

from tests.client.scripted import ScriptedServer

SERVICES: list[ServiceDescriptor] = [
    service
    for name in sys.modules
    if name.startswith("giftpay.v1.") and name.endswith("_service_pb2")
    for service in sys.modules[name].DESCRIPTOR.services_by_name.values()
]
each_service = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


def face(client: object, service: ServiceDescriptor) -> Any:
    """The service as the client has it."""
    return getattr(client, service.GetOptions().Extensions[options_pb2.client_name])


def test_the_face_of_the_client_is_exactly_what_is_meant() -> None:
    functions = {"connect", "connect_sync", "new_key", "refusal_error"}
    families = {
        "Exhausted",
        "GiftpayError",
        "Malformed",
        "NotFound",
        "OutcomeUnknown",
        "Refused",
        "Unavailable",
    }
    expected = {"Client", "SyncClient", *functions, *families, *refusals.__all__}
    assert set(giftpay.__all__) == expected
    assert len(giftpay.__all__) == len(expected)
    assert all(hasattr(giftpay, name) for name in expected)


@each_service
async def test_every_rpc_is_reached(
    scripted: ScriptedServer, caller: giftpay.Client, service: ServiceDescriptor
) -> None:
    stub = face(caller, service)
    assert isinstance(stub, getattr(v1, f"{service.name}Stub"))
    for rpc in service.methods:
        if not rpc.server_streaming:
            answer = getattr(v1, rpc.output_type.name)
            scripted.script(rpc.name, answer())
            assert await getattr(stub, rpc.name)(getattr(v1, rpc.input_type.name)()) == answer()
            assert len(scripted.asked[rpc.name]) == 1


@each_service
async def test_blocking_code_reaches_every_rpc(
    scripted: ScriptedServer, service: ServiceDescriptor
) -> None:
    unary = [rpc for rpc in service.methods if not rpc.server_streaming]
    for rpc in unary:
        scripted.script(rpc.name, getattr(v1, rpc.output_type.name)())

    def call_each() -> list[Any]:
        with giftpay.connect_sync(scripted.address, timeout=3) as client:
            twin = face(client, service)
            return [getattr(twin, rpc.name)(getattr(v1, rpc.input_type.name)()) for rpc in unary]

    answers = await asyncio.to_thread(call_each)
    assert answers == [getattr(v1, rpc.output_type.name)() for rpc in unary]


async def test_answers_have_their_types(scripted: ScriptedServer, caller: giftpay.Client) -> None:
    scripted.script("GetWallet", GetWalletResponse())

    def blocking() -> None:
        with giftpay.connect_sync(scripted.address) as client:
            assert_type(client.wallets.GetWallet(GetWalletRequest()), GetWalletResponse)

    assert_type(await caller.wallets.GetWallet(GetWalletRequest()), GetWalletResponse)
    await asyncio.to_thread(blocking)


def test_without_click_the_command_line_says_what_to_install() -> None:
    hide = "import sys; sys.modules['click'] = None; from giftpay.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", hide], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert 'pip install "giftpay[cli]"' in done.stderr
