"""The names that this distribution promises are exactly those that are meant."""

import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from inspect import get_annotations
from types import ModuleType
from typing import get_args

import giftpay
import pytest
from giftpay import errors, refusals, sync_services, v1
from google.protobuf.descriptor import ServiceDescriptor

from tests.client.scripted import ScriptedServer

MODULES = [
    importlib.import_module(f"giftpay.v1.{module.name}")
    for module in pkgutil.iter_modules(v1.__path__)
    if not module.name.startswith("options")  # what is said of the contract, and not to callers
]
SERVICES: list[ServiceDescriptor] = [
    service
    for module in MODULES
    if not module.__name__.endswith("_grpc")
    for service in module.DESCRIPTOR.services_by_name.values()
]
ATTRIBUTES = {
    "WalletService": "wallets",
    "CatalogService": "catalog",
    "TopUpService": "top_ups",
    "GiftService": "gifts",
    "RedemptionService": "redemptions",
    "AdminService": "admin",
}


def generated_names(module: ModuleType) -> Iterator[str]:
    """What a generated module defines for its users."""
    if module.__name__.endswith("_grpc"):
        suffixes = ("Stub", "Servicer", "Servicer_to_server")
        yield from (name for name in vars(module) if name.endswith(suffixes))
    else:
        yield from module.DESCRIPTOR.message_types_by_name
        for enum in module.DESCRIPTOR.enum_types_by_name.values():
            yield from (enum.name, *enum.values_by_name)


def raised() -> list[type[giftpay.GiftpayError]]:
    """Every error of this distribution."""
    values = [value for module in (errors, refusals) for value in vars(module).values()]
    kinds = [value for value in values if isinstance(value, type)]
    return list({kind: None for kind in kinds if issubclass(kind, giftpay.GiftpayError)})


def test_v1_is_exactly_what_was_generated() -> None:
    defined = {name: module for module in MODULES for name in generated_names(module)}
    assert sorted(v1.__all__) == sorted(defined)
    for name, module in defined.items():
        assert getattr(v1, name) is getattr(module, name)


def test_the_face_of_the_client_is_exactly_what_is_meant() -> None:
    functions = {"connect", "connect_sync", "new_key", "refusal_error"}
    kinds = {kind.__name__ for kind in raised()}
    assert set(giftpay.__all__) == {"Client", "SyncClient"} | functions | kinds
    assert all(hasattr(giftpay, name) for name in giftpay.__all__)


@pytest.mark.parametrize("kind", raised(), ids=lambda kind: kind.__name__)
def test_the_drawing_shows_every_error_under_its_parent_with_its_figures(
    kind: type[giftpay.GiftpayError],
) -> None:
    lines = (errors.__doc__ or "").splitlines()
    [line] = [line for line in lines if kind.__name__ in line.split()]
    depth = len(kind.mro()) - len(giftpay.GiftpayError.mro())
    assert line.index(kind.__name__) == 4 + 4 * depth
    if depth:
        assert set(re.findall(r"\.(\w+)", line)) == get_annotations(kind).keys()


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_blocking_code_has_every_rpc_with_its_types(service: ServiceDescriptor) -> None:
    twin = getattr(sync_services, ATTRIBUTES[service.name].title().replace("_", ""))
    declared = {name: get_args(rpc) for name, rpc in get_annotations(twin).items()}
    assert declared == {
        rpc.name: (getattr(v1, rpc.input_type.name), getattr(v1, rpc.output_type.name))
        for rpc in service.methods
        if not rpc.server_streaming
    }


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_every_rpc_is_reached(
    scripted: ScriptedServer, caller: giftpay.Client, service: ServiceDescriptor
) -> None:
    stub = getattr(caller, ATTRIBUTES[service.name])
    assert isinstance(stub, getattr(v1, f"{service.name}Stub"))
    for rpc in service.methods:
        if not rpc.server_streaming:
            answer = getattr(v1, rpc.output_type.name)
            scripted.script(rpc.name, answer())
            assert await getattr(stub, rpc.name)(getattr(v1, rpc.input_type.name)()) == answer()
            assert len(scripted.asked[rpc.name]) == 1


def test_without_click_the_command_line_says_what_to_install() -> None:
    hide = "import sys; sys.modules['click'] = None; from giftpay.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", hide], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert 'pip install "giftpay[cli]"' in done.stderr
