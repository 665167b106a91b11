"""Each reason of a no is an exception of its own, with the figures that the contract documents."""

import json
import pickle
import re
from collections.abc import Iterator
from inspect import get_annotations
from pathlib import Path
from typing import NamedTuple

import giftpay
import pytest
from giftpay.errors import GiftpayError, error_type
from giftpay.v1 import (
    BatchSendGiftsRequest,
    ErrorReason,
    GetWalletRequest,
    Refusal,
    SendGiftRequest,
)
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from grpc import StatusCode

from tests.client.scripted import Context, ScriptedServer, no

PROTO = Path(__file__).parents[2] / "protos/giftpay/v1/error_reason.proto"
VALUE = re.compile(r"((?: *//.*\n)+) *(ERROR_REASON_(\w+)) = [1-9]\d*;")


class Documented(NamedTuple):
    """What the contract says of a reason."""

    reason: str
    comment: str
    figures: dict[str, str]


def documented() -> Iterator[Documented]:
    for comment, reason, _ in VALUE.findall(PROTO.read_text()):
        text = " ".join(line.strip().removeprefix("//").strip() for line in comment.splitlines())
        figures = re.search(r"\{.*\}", text)
        yield Documented(reason, text, json.loads(figures[0]) if figures else {})


REASONS = list(documented())
reasons = pytest.mark.parametrize("of", REASONS, ids=lambda of: of.reason)


def refusal(of: Documented) -> Refusal:
    reason = ErrorReason.Value(of.reason)
    return Refusal(reason=reason, message="No.", metadata=of.figures)


def test_the_contract_documents_every_reason() -> None:
    assert [of.reason for of in REASONS] == ErrorReason.keys()[1:]


@reasons
def test_every_reason_has_a_type(of: Documented) -> None:
    assert error_type(of.reason) not in (giftpay.Refused, giftpay.GiftpayError)


@reasons
def test_a_type_carries_the_figures_that_are_documented(of: Documented) -> None:
    error = giftpay.refusal_error(refusal(of), key="k")
    if isinstance(error, giftpay.OutcomeUnknown):
        assert error.metadata == of.figures
        return
    for name, figure in of.figures.items():
        value = getattr(error, name)
        told = ",".join(value) if isinstance(value, tuple) else str(value)
        assert told == figure
        assert isinstance(value, int) == figure.isdecimal()


@reasons
def test_a_type_has_no_figures_besides(of: Documented) -> None:
    kind = error_type(of.reason)
    declared = {name for name in get_annotations(kind) if name not in vars(kind)}
    if kind is not giftpay.OutcomeUnknown:
        assert declared == of.figures.keys()


@reasons
def test_a_type_says_whether_the_answer_stands_for_ever(of: Documented) -> None:
    pinned = re.search(r"(Not p|P)inned", of.comment)
    assert pinned
    assert error_type(of.reason).pinned == (pinned[0] == "Pinned")


@reasons
async def test_a_call_raises_what_a_batch_item_turns_into(
    scripted: ScriptedServer, caller: giftpay.Client, of: Documented
) -> None:
    word = of.reason.removeprefix("ERROR_REASON_")
    scripted.script("SendGift", no(StatusCode.FAILED_PRECONDITION, word, **of.figures))
    request = SendGiftRequest()
    with pytest.raises(GiftpayError) as raised:
        await caller.gifts.SendGift(request)
    error, item = raised.value, giftpay.refusal_error(refusal(of), key="k")
    assert type(error) is type(item)
    assert (error.reason, error.metadata) == (item.reason, item.metadata) == (of.reason, of.figures)
    assert (error.code, item.code) == (StatusCode.FAILED_PRECONDITION, None)
    assert (error.key, item.key) == (request.idempotency_key, "k")


def test_an_error_survives_a_process_boundary() -> None:
    short = Refusal(
        reason=ErrorReason.ERROR_REASON_INSUFFICIENT_COINS,
        message="No.",
        metadata={"available": "40", "required": "100"},
    )
    error = pickle.loads(pickle.dumps(giftpay.refusal_error(short, key="k")))
    assert isinstance(error, giftpay.InsufficientCoins)
    assert (error.available, error.required, error.key) == (40, 100, "k")
    assert str(error) == "No. [INSUFFICIENT_COINS] [key k]"


def test_a_figure_that_is_missing_or_malformed_is_zero_or_empty() -> None:
    short = Refusal(
        reason=ErrorReason.ERROR_REASON_INSUFFICIENT_COINS, metadata={"available": "1e9"}
    )
    error = giftpay.refusal_error(short)
    assert isinstance(error, giftpay.InsufficientCoins)
    assert (error.available, error.required, error.owner_id) == (0, 0, "")
    assert error.metadata == {"available": "1e9"}


def test_an_unknown_reason_of_an_item_is_a_plain_refusal() -> None:
    later = Refusal.FromString(b"\x08\xe7\x07")  # reason 999, of a contract to come
    error = giftpay.refusal_error(later)
    assert type(error) is giftpay.Refused
    assert error.reason == "999"


async def test_an_unknown_reason_of_a_call_is_a_plain_refusal(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    scripted.script("SendGift", no(StatusCode.FAILED_PRECONDITION, "MOON_PHASE", phase="full"))
    with pytest.raises(giftpay.Refused) as refused:
        await caller.gifts.SendGift(SendGiftRequest())
    assert type(refused.value) is giftpay.Refused
    assert refused.value.reason == "ERROR_REASON_MOON_PHASE"
    assert refused.value.metadata == {"phase": "full"}


async def test_a_malformed_request_names_each_field(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    violations = [
        BadRequest.FieldViolation(field="count", description="too many"),
        BadRequest.FieldViolation(field="gift_id", description="missing"),
    ]
    details = BadRequest(field_violations=violations)
    figures = {"field": "count", "limit": "1..10000"}
    scripted.script(
        "SendGift", no(StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", details, **figures)
    )
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await caller.gifts.SendGift(SendGiftRequest())
    assert (refused.value.field, refused.value.limit) == ("count", "1..10000")
    assert refused.value.violations == (("count", "too many"), ("gift_id", "missing"))


async def test_an_overloaded_server_says_when_to_come_back(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    details = RetryInfo(retry_delay=Duration(nanos=250_000_000))
    scripted.script("SendGift", no(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", details, queued=3))
    with pytest.raises(giftpay.Overloaded) as refused:
        await caller.gifts.SendGift(SendGiftRequest())
    assert refused.value.retry_after == 0.25


@pytest.mark.parametrize(
    "code",
    [
        StatusCode.DEADLINE_EXCEEDED,
        StatusCode.CANCELLED,
        StatusCode.UNKNOWN,
        StatusCode.INTERNAL,
        StatusCode.RESOURCE_EXHAUSTED,
        StatusCode.UNIMPLEMENTED,
    ],
)
async def test_without_the_servers_own_word_the_outcome_of_a_command_is_unknown(
    scripted: ScriptedServer, caller: giftpay.Client, code: StatusCode
) -> None:
    scripted.script("SendGift", code)
    scripted.script("BatchSendGifts", code)
    scripted.script("GetWallet", code)
    gift = SendGiftRequest()

    with pytest.raises(giftpay.OutcomeUnknown) as one:
        await caller.gifts.SendGift(gift)
    with pytest.raises(giftpay.OutcomeUnknown) as many:
        await caller.gifts.BatchSendGifts(BatchSendGiftsRequest(gifts=[gift, gift]))
    with pytest.raises(giftpay.Unavailable) as read:
        await caller.wallets.GetWallet(GetWalletRequest())

    assert one.value.code is many.value.code is read.value.code is code
    assert one.value.key == gift.idempotency_key
    assert many.value.keys == (gift.idempotency_key,) * 2
    assert (many.value.key, read.value.keys) == ("", ())


async def test_a_command_that_stays_unavailable_has_an_unknown_outcome(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    away = no(StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
    scripted.script("SendGift", away)
    scripted.script("GetWallet", away)
    with pytest.raises(giftpay.OutcomeUnknown) as command:
        await caller.gifts.SendGift(SendGiftRequest(), timeout=0.3)
    with pytest.raises(giftpay.Unavailable) as read:
        await caller.wallets.GetWallet(GetWalletRequest(), timeout=0.3)
    assert command.value.reason == read.value.reason == "ERROR_REASON_DATABASE_UNAVAILABLE"


async def test_details_that_were_cut_on_the_way_leave_the_outcome_unknown(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    async def cut(_: SendGiftRequest, context: Context) -> None:
        details = (("grpc-status-details-bin", b"\x08\x09\x12\xff"),)
        await context.abort(StatusCode.FAILED_PRECONDITION, "No.", details)

    scripted.script("SendGift", cut)
    with pytest.raises(giftpay.OutcomeUnknown):
        await caller.gifts.SendGift(SendGiftRequest())
