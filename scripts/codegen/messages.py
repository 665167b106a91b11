"""Writes the package giftpay.v1, which exports all that protoc generated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor

from scripts.codegen.contract import Contract
from scripts.codegen.python import exported, write_module

DOCSTRING = "Every message, enum, stub and servicer of the package giftpay.v1, under one name."


def write_messages(contract: Contract, into: Path) -> None:
    """Write giftpay/v1/__init__.py."""
    modules = {module: found for file in contract.files for module, found in _modules(file)}
    imports = [
        f"from giftpay.v1.{module} import {', '.join(found)}" for module, found in modules.items()
    ]
    every = exported(name for found in modules.values() for name in found)
    write_module(into, "v1/__init__.py", DOCSTRING, *imports, every)


def _modules(file: FileDescriptor) -> Iterator[tuple[str, list[str]]]:
    stem = Path(file.name).stem
    enums = file.enum_types_by_name.values()
    values = [value.name for enum in enums for value in enum.values]
    yield f"{stem}_pb2", [*values, *file.enum_types_by_name, *file.message_types_by_name]
    if services := list(file.services_by_name):
        yield f"{stem}_pb2_grpc", [name for service in services for name in _names(service)]


def _names(service: str) -> tuple[str, str, str]:
    return f"{service}Stub", f"{service}Servicer", f"add_{service}Servicer_to_server"
