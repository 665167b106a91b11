"""Every text of every request is refused where it hides something, and taken as people write it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import giftpay
import pytest
from giftpay.client import Client
from giftpay.v1 import options_pb2
from giftpay.v1.options_pb2 import FORM_KEY, FORM_LINE, Bounds, Form
from giftpay_server.slices import SLICES
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass

from tests.wire.texts import HOSTILE, WRITTEN

SAMPLES = {
    options_pb2.FORM_ID: "anna",
    options_pb2.FORM_CONTEXT: "live/1",
    options_pb2.FORM_UUID: "01a201b2-b928-75a5-a44b-c0a1fd0110ce",
    options_pb2.FORM_KEY: "0198c0de-0198-7198-8198-0198c0de0198",
    options_pb2.FORM_COUNTRY: "DE",
    options_pb2.FORM_CURRENCY: "EUR",
    options_pb2.FORM_REFERENCE: "pi_1",
    options_pb2.FORM_LINE: "for a test",
}
UNCHECKED = {"validate_only", "as_of_time", "page_token", "until_time", "since_time"}


class Text(NamedTuple):
    """A text in a request of an rpc, and the way to it."""

    rpc: MethodDescriptor
    path: tuple[FieldDescriptor, ...]

    @property
    def name(self) -> str:
        """As the server names it when it is malformed."""
        steps = [f"{field.name}[0]" if field.is_repeated else field.name for field in self.path]
        return ".".join(steps)

    def request(self, text: str) -> Any:
        """A request that is otherwise well-formed."""
        request = GetMessageClass(self.rpc.input_type)()
        message: Any = filled(request)
        for field in self.path[:-1]:
            message = getattr(message, field.name)
            if field.is_repeated:
                message = message[0] if message else filled(message.add())
        setattr(message, self.path[-1].name, text)
        return request

    async def is_refused(self, client: Client, text: str) -> bool:
        """Whether the server finds this field malformed where it has such a text."""
        stub = getattr(client, client_name(self.rpc))
        try:
            answer = await getattr(stub, self.rpc.name)(self.request(text))
            if hasattr(answer, "outcomes"):
                raise giftpay.refusal_error(answer.outcomes[0].refusal)
        except giftpay.Malformed as malformed:
            named = {malformed.metadata["field"], *(field for field, _ in malformed.violations)}
            # An item of a batch is refused by itself, and does not name its place.
            return bool(named & {self.name, self.name.removeprefix("gifts[0].")})
        except giftpay.Refused:
            pass
        return False


def client_name(rpc: MethodDescriptor) -> str:
    return str(rpc.containing_service.GetOptions().Extensions[options_pb2.client_name])


def bounds(field: FieldDescriptor) -> Bounds:
    return field.GetOptions().Extensions[options_pb2.bounds]


def filled(message: Any) -> Any:
    """The message with a well-formed value in each field that needs one."""
    for field in message.DESCRIPTOR.fields:
        if needs_value(field):
            fill(message, field)
    return message


def needs_value(field: FieldDescriptor) -> bool:
    choice = field.containing_oneof
    if choice is not None:  # the first of a choice; an optional field has one of its own
        return bool(field is choice.fields[0] and not choice.name.startswith("_"))
    return not field.is_repeated and not bounds(field).optional


def fill(message: Any, field: FieldDescriptor) -> None:
    if field.name in UNCHECKED:
        return
    if field.message_type is not None:
        filled(getattr(message, field.name))
    elif field.enum_type is not None:
        setattr(message, field.name, field.enum_type.values[1].number)
    elif field.type == FieldDescriptor.TYPE_STRING:
        setattr(message, field.name, SAMPLES.get(bounds(field).form, ""))
    elif field.type != FieldDescriptor.TYPE_BOOL:
        setattr(message, field.name, max(bounds(field).least, 1))


def rpcs() -> Iterator[MethodDescriptor]:
    for each in SLICES:
        service = Default().FindServiceByName(f"giftpay.v1.{each.service_name}")  # type: ignore[no-untyped-call]
        yield from (rpc for rpc in service.methods if not rpc.server_streaming)


def texts(kind: Any, *path: FieldDescriptor) -> Iterator[tuple[FieldDescriptor, ...]]:
    for field in kind.fields:
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            yield from texts(field.message_type, *path, field)
        elif field.type == FieldDescriptor.TYPE_STRING and bounds(field).form:
            yield (*path, field)


TEXTS = [Text(rpc, path) for rpc in rpcs() for path in texts(rpc.input_type)]
WRITABLE = [text for text in TEXTS if bounds(text.path[-1]).form in (FORM_LINE, FORM_KEY)]


def of_each(these: list[Text]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("text", these, ids=lambda text: f"{text.rpc.name} {text.name}")


def test_texts_of_all_forms_are_found() -> None:
    forms = {bounds(text.path[-1]).form for text in TEXTS}
    assert forms == set(Form.values()) - {options_pb2.FORM_UNSPECIFIED}


@of_each(TEXTS)
async def test_what_hides_in_a_text_is_refused(client: Client, text: Text) -> None:
    taken = [name for name, each in HOSTILE.items() if not await text.is_refused(client, each)]
    assert taken == []


@of_each(WRITABLE)
async def test_what_people_write_is_taken(client: Client, text: Text) -> None:
    refused = [name for name, each in WRITTEN.items() if await text.is_refused(client, each * 3)]
    assert refused == []
