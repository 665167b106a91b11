"""Writes the services as attributes of a client, for asyncio and for blocking code."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill, indent

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from scripts.codegen.contract import Contract, client_name
from scripts.codegen.python import write_module

IMPORTS = """
from giftpay import v1
from giftpay.rpcs import Rpcs
"""
SERVICES = '''
class Services:
    """The services of giftpay.v1, as attributes."""

    def __init__(self, rpcs: Rpcs) -> None:
'''
INSIDE = " " * 8  # a method of a class
WIDTH = 100 - len(INSIDE) - 2 * len('"""')

BLOCKING_DOCSTRING = """\
The services for blocking code: each rpc returns its answer.

The rpcs are documented in `giftpay.services`. There are no streams: use `SyncClient.watch` and
`SyncClient.send_gifts` instead.
"""
BLOCKING_IMPORTS = """
from giftpay import services
from giftpay.blocking import BlockingRpc, Run
"""
BLOCKING = '''
class SyncServices:
    """Each service of giftpay.v1, for blocking code."""

    def __init__(self, run: Run, services: services.Services) -> None:
'''


def write_services(contract: Contract, into: Path) -> None:
    """Write giftpay/services.py and giftpay/sync_services.py."""
    names = [client_name(service) for service in contract.services]
    made = [f"self.{name} = {_class(name)}(rpcs)" for name in names]
    write_module(
        into,
        "services.py",
        "The services: each rpc with its types and its documentation.",
        IMPORTS,
        *(_service(service, contract.rpcs) for service in contract.services),
        SERVICES + _body(made),
    )
    blocking = [f"self.{name} = {_class(name)}(run, services.{name})" for name in names]
    write_module(
        into,
        "sync_services.py",
        BLOCKING_DOCSTRING,
        BLOCKING_IMPORTS,
        *map(_blocking, contract.services),
        BLOCKING + _body(blocking),
    )


def _service(service: ServiceDescriptor, comments: dict[str, str]) -> str:
    rpcs = [_rpc(rpc) + "\n" + _docstring(comments[rpc.full_name]) for rpc in service.methods]
    return (
        f"class {_class(client_name(service))}:\n"
        f'    """{service.name}."""\n\n'
        f"    def __init__(self, rpcs: Rpcs) -> None:\n{_body(rpcs)}\n"
    )


def _rpc(rpc: MethodDescriptor) -> str:
    kind = "bidi_stream" if rpc.client_streaming else "server_stream"
    make = kind if rpc.server_streaming else "unary"
    path = f"/{rpc.containing_service.full_name}/{rpc.name}"
    types = f"v1.{rpc.input_type.name}, v1.{rpc.output_type.name}"
    return f'self.{rpc.name} = rpcs.{make}("{path}", {types})'


def _docstring(comment: str) -> str:
    paragraphs = [fill(paragraph, WIDTH) for paragraph in comment.split("\n\n")]
    closing = "\n" if len(paragraphs) > 1 or "\n" in paragraphs[0] else ""
    return indent('"""' + "\n\n".join(paragraphs) + closing + '"""', INSIDE)


def _blocking(service: ServiceDescriptor) -> str:
    name = _class(client_name(service))
    rpcs = [
        f"self.{rpc.name} = BlockingRpc(run, rpcs.{rpc.name})"
        for rpc in service.methods
        if not rpc.server_streaming
    ]
    return (
        f"class {name}:\n"
        f'    """{service.name}, for blocking code."""\n\n'
        f"    def __init__(self, run: Run, rpcs: services.{name}) -> None:\n{_body(rpcs)}\n"
    )


def _class(client_name: str) -> str:
    return client_name.title().replace("_", "")


def _body(statements: list[str]) -> str:
    return "".join(f"        {statement}\n" for statement in statements)
