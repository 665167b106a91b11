"""The services as attributes of a client, for asyncio and for blocking code."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.descriptor import ServiceDescriptor

from scripts.faces.contract import Contract, face
from scripts.faces.python import write_module

STUBS = '''
import grpc

from giftpay import v1


class Services:
    """A stub for each service of giftpay.v1."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
'''
BLOCKING_DOCSTRING = """\
The services as blocking code calls them: each rpc returns its answer.

What an rpc does is documented at its stub. Streams are left out: `SyncClient.watch` and
`SyncClient.send_gifts` take their place.
"""
BLOCKING_IMPORTS = """
from giftpay import v1
from giftpay.blocking import Rpc, Run
from giftpay.services import Services
"""
BLOCKING = '''
class SyncServices:
    """Each service of giftpay.v1, for blocking code."""

    def __init__(self, run: Run, services: Services) -> None:
'''


def write_services(contract: Contract, into: Path) -> None:
    """Write giftpay/services.py and giftpay/sync_services.py."""
    faces = {face(service): service.name for service in contract.services}
    stubs = [f"self.{name} = v1.{service}Stub(channel)" for name, service in faces.items()]
    write_module(into, "services.py", "The stub of each service.", STUBS + _body(stubs))
    services = [f"self.{name} = {_class(name)}(run, services.{name})" for name in faces]
    write_module(
        into,
        "sync_services.py",
        BLOCKING_DOCSTRING,
        BLOCKING_IMPORTS,
        *map(_blocking, contract.services),
        BLOCKING + _body(services),
    )


def _blocking(service: ServiceDescriptor) -> str:
    rpcs = [
        f"self.{rpc.name} = Rpc(run, stub.{rpc.name})"
        for rpc in service.methods
        if not rpc.server_streaming
    ]
    return (
        f"class {_class(face(service))}:\n"
        f'    """{service.name}, for blocking code."""\n\n'
        f"    def __init__(self, run: Run, stub: v1.{service.name}Stub) -> None:\n{_body(rpcs)}\n"
    )


def _class(face: str) -> str:
    return face.title().replace("_", "")


def _body(statements: list[str]) -> str:
    return "".join(f"        {statement}\n" for statement in statements)
