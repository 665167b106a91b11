"""Every field of every request is bounded by its option, and the validator reads them all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from giftpay.v1 import (
    AdjustBalanceRequest,
    BatchSendGiftsRequest,
    CreateRedemptionRequest,
    GetTransactionRequest,
    GetWalletRequest,
    ListEntriesRequest,
    Money,
    SendGiftRequest,
    Unit,
    options_pb2,
)
from giftpay_server.slices import SLICES
from giftpay_server.wire.bounds import validate, violations
from giftpay_server.wire.fields import InvalidArgumentError
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

PROTOS = Path(__file__).parents[2] / "protos"
INT64_MAX = 2**63 - 1

UNBOUNDED = {
    "OpenWalletRequest.date_of_birth": "which dates there are depends on the day",
    "UpdateWalletRequest.date_of_birth": "which dates there are depends on the day",
    "Catalog.version": "output only",
    "Catalog.create_time": "output only",
    "CoinPackage.bonus_coins": "output only",
    "Promotion.package_ids": "each is a package of the catalog",
    "Catalog.default_currency_code": "that of a package of the catalog",
    "Catalog.currency_by_country": "the parts of a map have no options",
}


def _requests() -> Iterator[Descriptor]:
    for each in SLICES:
        name = f"giftpay.v1.{each.service_name}"
        service = Default().FindServiceByName(name)  # type: ignore[no-untyped-call]
        for method in service.methods:
            yield from _with_parts(method.input_type)


def _with_parts(kind: Descriptor) -> Iterator[Descriptor]:
    yield kind
    for field in kind.fields:
        if field.message_type is not None and field.message_type.file.package == "giftpay.v1":
            yield from _with_parts(field.message_type)


FIELDS = {
    field.full_name.removeprefix("giftpay.v1."): field
    for kind in _requests()
    if not kind.GetOptions().map_entry
    for field in kind.fields
}


def _is_bounded(field: FieldDescriptor) -> bool:
    options = field.GetOptions()
    return bool(options.HasExtension(options_pb2.bounds) or options.HasExtension(options_pb2.page))


def _says_all_that_it_may(field: FieldDescriptor) -> bool:
    return bool(field.type == FieldDescriptor.TYPE_BOOL or field.name == "page_token")


def test_every_field_of_a_request_is_bounded_or_has_a_reason_not_to_be() -> None:
    unbounded = {
        name
        for name, field in FIELDS.items()
        if not _is_bounded(field) and not _says_all_that_it_may(field)
    }
    assert unbounded == set(UNBOUNDED)


FIELD = re.compile(r"((?: *//.*\n)+) *(?:optional |repeated )?[\w.]+ (\w+) = \d+")


def _comments() -> dict[str, str]:
    """What the protos say of each field, by message and field."""
    comments: dict[str, str] = {}
    for path in PROTOS.glob("giftpay/v1/*.proto"):
        _, *messages = re.split(r"^message (\w+) ", path.read_text(), flags=re.MULTILINE)
        for message, body in zip(messages[::2], messages[1::2], strict=True):
            for comment, field in FIELD.findall(body):
                text = " ".join(line.strip(" /") for line in comment.splitlines())
                comments.setdefault(f"{message}.{field}", text)
    return comments


COMMENTS = _comments()


def _figures(field: FieldDescriptor) -> Iterator[int]:
    options = field.GetOptions().Extensions
    page, bounds = options[options_pb2.page], options[options_pb2.bounds]
    for figure in (page.usual, page.most, bounds.most, max(bounds.least, 0)):
        if 1 < figure < INT64_MAX:
            yield figure


def _written(figure: int) -> str:
    if figure == 2**31 - 1:
        return r"2\^31 - 1"
    zeros = len(str(figure)) - 1
    return rf"10\^{zeros}" if figure == 10**zeros and zeros > 4 else str(figure)


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if any(_figures(field))])
def test_the_comment_of_a_field_says_the_figures_of_its_bounds(name: str) -> None:
    for figure in _figures(FIELDS[name]):
        assert re.search(rf"(?<![\d^]){_written(figure)}(?!\d)", COMMENTS[name]), figure


def gift(**fields: object) -> SendGiftRequest:
    named = {"idempotency_key": "k", "sender_id": "anna", "recipient_id": "ben", "gift_id": "rose"}
    return SendGiftRequest(**{**named, **fields})  # type: ignore[arg-type]


def redemption(**fields: object) -> CreateRedemptionRequest:
    named = {"idempotency_key": "k", "owner_id": "mia", "diamonds": 1, "currency_code": "EUR"}
    return CreateRedemptionRequest(destination="mia@example.org", **{**named, **fields})  # type: ignore[arg-type]


def adjustment(amount: int) -> AdjustBalanceRequest:
    return AdjustBalanceRequest(
        idempotency_key="k", owner_id="anna", unit=Unit.UNIT_COIN, amount=amount, reason="test"
    )


WELL_FORMED = [
    gift(),
    gift(idempotency_key="", validate_only=True),
    gift(idempotency_key="k" * 129, validate_only=True),
    gift(idempotency_key="order 7, № 1", message="Ça va\u202f?", context="live/1", combo_id="c"),
    BatchSendGiftsRequest(gifts=[SendGiftRequest()]),
    redemption(),
    redemption(expected_amount=Money(currency_code="EUR", minor_units=10**12)),
    GetWalletRequest(owner_id="anna", as_of_time=Timestamp(seconds=-1)),
    GetTransactionRequest(idempotency_key="k"),
    ListEntriesRequest(owner_id="anna", unit=Unit.UNIT_COIN, page_size=10_000),
    adjustment(-(10**12)),
]


@pytest.mark.parametrize("request_", WELL_FORMED)
def test_what_is_well_formed_is_taken(request_: Message) -> None:
    validate(request_)


KEY = "1..128 printable characters in one line, with no space at either end"
ID = "1..64 characters of A-Za-z0-9._:-"
TIMES = "0001-01-01T00:00:00Z..9999-12-31T23:59:59Z"

MALFORMED = [
    (SendGiftRequest(), "idempotency_key", KEY),
    (gift(gift_id="", validate_only=True), "gift_id", ID),
    (gift(expected_coins=0), "expected_coins", "1..1000000000000"),
    (BatchSendGiftsRequest(), "gifts", "1..1000 items"),
    (BatchSendGiftsRequest(gifts=[gift()] * 1_001), "gifts", "1..1000 items"),
    (GetTransactionRequest(), "name", "one of transaction_id, idempotency_key"),
    (GetTransactionRequest(idempotency_key=""), "idempotency_key", KEY),
    (
        GetTransactionRequest(transaction_id="0198C0DE-0198-7198-8198-0198C0DE0198"),
        "transaction_id",
        "a UUID of 36 characters, in lower case",
    ),
    (ListEntriesRequest(owner_id="anna"), "unit", "one of UNIT_COIN, UNIT_DIAMOND"),
    (
        ListEntriesRequest(owner_id="anna", unit=99),  # type: ignore[arg-type]
        "unit",
        "one of UNIT_COIN, UNIT_DIAMOND",
    ),
    (adjustment(0), "amount", "-1000000000000..1000000000000 and not 0"),
    (GetWalletRequest(owner_id="anna", as_of_time=Timestamp(nanos=-1)), "as_of_time", TIMES),
    (GetWalletRequest(owner_id="anna", as_of_time=Timestamp(seconds=2**40)), "as_of_time", TIMES),
    (
        redemption(expected_amount=Money(currency_code="EUR")),
        "expected_amount.minor_units",
        "1..1000000000000",
    ),
    (
        redemption(expected_amount=Money(minor_units=1)),
        "expected_amount.currency_code",
        "three capital letters (ISO 4217)",
    ),
]


@pytest.mark.parametrize(("request_", "field", "limit"), MALFORMED)
def test_the_first_malformed_field_is_named_with_its_limit(
    request_: Message, field: str, limit: str
) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        validate(request_)
    assert (refused.value.field, refused.value.limit) == (field, limit)


def test_all_malformed_fields_are_found_in_their_order() -> None:
    found = [each.field for each in violations(gift(sender_id="", count=-1, combo_id="a/b"), "it.")]
    assert found == ["it.sender_id", "it.count", "it.combo_id"]


def test_at_most_one_field_of_a_request_is_personal_and_none_is_nested() -> None:
    for kind in _requests():
        personal = [f for f in kind.fields if f.GetOptions().HasExtension(options_pb2.personal)]
        assert len(personal) <= ("idempotency_key" in kind.fields_by_name), kind.full_name
