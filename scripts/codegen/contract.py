"""Reads the contract from a descriptor set that protoc wrote with source info."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from textwrap import dedent
from typing import TYPE_CHECKING, Any, cast

# The files that the protos import must be in the pool before them.
from google.protobuf import descriptor_pb2, descriptor_pool, timestamp_pb2  # noqa: F401
from google.protobuf.descriptor import EnumValueDescriptor, FileDescriptor, ServiceDescriptor

if TYPE_CHECKING:
    from giftpay.v1.options_pb2 import RefusalOption

PACKAGE = "giftpay.v1"
PREFIX = "ERROR_REASON_"
# The attributes of a client's error besides its figures.
RESERVED = {"message", "reason", "metadata", "code", "keys", "key", "pinned", "args"}
# Without the client's generated code, which may be stale.
POOL = descriptor_pool.Default()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason of a refusal, with the values of its option."""

    name: str
    comment: str
    status: str
    pinned: bool
    figures: dict[str, str | int | list[str]]
    exception: str

    @property
    def answered(self) -> bool:
        """Whether the call was refused: otherwise the outcome of a command is unknown."""
        return self.status != "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Contract:
    """The files that callers need, and their reasons, services and comments."""

    files: list[FileDescriptor]
    reasons: list[Reason]
    services: list[ServiceDescriptor]
    rpcs: dict[str, str]
    """The comment of each rpc, by its full name."""


def load_contract(path: Path) -> Contract:
    """The contract of a descriptor set."""
    described = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()).file
    own = [file for file in described if file.package == PACKAGE]
    for file in own:
        POOL.Add(file)
    files = [POOL.FindFileByName(file.name) for file in own]
    return Contract(
        files=[file for file in files if not file.extensions_by_name],
        reasons=list(_reasons(own)),
        services=[service for file in files for service in file.services_by_name.values()],
        rpcs=dict(_rpc_comments(own)),
    )


def client_name(service: ServiceDescriptor) -> str:
    """The client's attribute for the service."""
    name = cast(str, _option(service, "client_name"))
    if not name.isidentifier():
        raise SystemExit(f"{service.name}: its option client_name must be a name such as top_ups.")
    return name


def _option(element: EnumValueDescriptor | ServiceDescriptor, name: str) -> Any:
    options = element.GetOptions()
    return options.Extensions[POOL.FindExtensionByName(f"{PACKAGE}.{name}")]


def _reasons(files: list[descriptor_pb2.FileDescriptorProto]) -> Iterator[Reason]:
    comments = dict(_comments(files, "ErrorReason"))
    values = POOL.FindEnumTypeByName(f"{PACKAGE}.ErrorReason").values
    for value in values[1:]:  # the first is never sent
        yield _reason(value, comments[value.name])


def _reason(value: EnumValueDescriptor, comment: str) -> Reason:
    option: RefusalOption = _option(value, "refusal")
    figures = json.loads(option.figures or "{}")
    named = {name for _, name, _, _ in Formatter().parse(option.sentence) if name}
    if (
        not (option.status and option.sentence)
        or named - figures.keys()
        or figures.keys() & RESERVED
    ):
        raise SystemExit(
            f"{value.name}: its option needs a status and a sentence; the sentence may name only "
            f"figures, and no figure may be called {', '.join(sorted(RESERVED))}."
        )
    status = POOL.FindEnumTypeByName(f"{PACKAGE}.StatusCode").values_by_number[option.status].name
    short = value.name.removeprefix(PREFIX)
    return Reason(
        name=value.name,
        comment=comment,
        status=status.removeprefix("STATUS_CODE_"),
        pinned=option.pinned,
        figures=figures,
        exception=option.exception or "".join(map(str.capitalize, short.split("_"))),
    )


def _comments(
    files: list[descriptor_pb2.FileDescriptorProto], enum: str
) -> Iterator[tuple[str, str]]:
    """The comment of each value of an enum."""
    for file in files:
        at = _comments_at(file)
        for number, found in enumerate(file.enum_type):
            if found.name == enum:
                for place, value in enumerate(found.value):
                    # 5 is enum_type in FileDescriptorProto, 2 is value in EnumDescriptorProto.
                    yield value.name, " ".join(at[5, number, 2, place].split())


def _rpc_comments(files: list[descriptor_pb2.FileDescriptorProto]) -> Iterator[tuple[str, str]]:
    """The comment of each rpc, with its line breaks."""
    for file in files:
        at = _comments_at(file)
        for number, service in enumerate(file.service):
            for place, rpc in enumerate(service.method):
                # 6 is service in FileDescriptorProto, 2 is method in ServiceDescriptorProto.
                comment = at[6, number, 2, place]
                yield f"{file.package}.{service.name}.{rpc.name}", dedent(comment).strip()


def _comments_at(file: descriptor_pb2.FileDescriptorProto) -> dict[tuple[int, ...], str]:
    return {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
