"""Each reason of a refusal has its own exception, with the figures of the contract."""

import asyncio
import json
import pickle
from typing import NamedTuple, assert_type

import giftpay
import pytest
from giftpay.errors import GiftpayError
from giftpay.v1 import (
    BatchSendGiftsRequest,
    ErrorReason,
    GetWalletRequest,
    Refusal,
    SendGiftRequest,
    options_pb2,
)
from google.protobuf.descriptor import EnumValueDescriptor
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from grpc import StatusCode

from tests.client.scripted import Context, ScriptedServer, refusal_status

CODES = {code.value[0]: code for code in StatusCode}


class Reason(NamedTuple):
    """A reason as defined in the contract."""

    name: str
    code: StatusCode
    pinned: bool
    figures: dict[str, str | int | list[str]]

    @property
    def metadata(self) -> dict[str, str]:
        """The figures as they are sent."""
        return {
            name: ",".join(figure) if isinstance(figure, list) else str(figure)
            for name, figure in self.figures.items()
        }


def reason_of(value: EnumValueDescriptor) -> Reason:
    option = value.GetOptions().Extensions[options_pb2.refusal]
    figures = json.loads(option.figures or "{}")
    return Reason(value.name, CODES[option.status], option.pinned, figures)


REASONS = [reason_of(value) for value in ErrorReason.DESCRIPTOR.values[1:]]
each_reason = pytest.mark.parametrize("of", REASONS, ids=lambda of: of.name)
answered = [of for of in REASONS if of.code is not StatusCode.UNAVAILABLE]
each_answer = pytest.mark.parametrize("of", answered, ids=lambda of: of.name)


def refusal(of: Reason) -> Refusal:
    return Refusal(reason=ErrorReason.Value(of.name), message="No.", metadata=of.metadata)


async def refused(scripted: ScriptedServer, caller: giftpay.Client, of: Reason) -> GiftpayError:
    """The error of a call that the server refuses for the reason."""
    scripted.script(
        "SendGift", refusal_status(of.code, of.name.removeprefix("ERROR_REASON_"), **of.metadata)
    )
    with pytest.raises(GiftpayError) as raised:
        await caller.gifts.SendGift(SendGiftRequest(idempotency_key="k"), timeout=0.5)
    return raised.value


@each_answer
async def test_a_refused_call_raises_the_type_of_its_reason_with_its_figures(
    scripted: ScriptedServer, caller: giftpay.Client, of: Reason
) -> None:
    error = await refused(scripted, caller, of)
    assert type(error) not in (giftpay.Refused, giftpay.NotFound, giftpay.GiftpayError)
    assert isinstance(error, giftpay.NotFound) == (of.code is StatusCode.NOT_FOUND)
    assert isinstance(error, giftpay.Refused) == (of.code is not StatusCode.INTERNAL)
    assert error.pinned == of.pinned
    for name, figure in of.figures.items():
        assert getattr(error, name) == (tuple(figure) if isinstance(figure, list) else figure)


@each_reason
async def test_a_call_and_a_batch_item_raise_the_same_error(
    scripted: ScriptedServer, caller: giftpay.Client, of: Reason
) -> None:
    error = await refused(scripted, caller, of)
    item = giftpay.refusal_error(refusal(of), key="k")
    assert type(error) is type(item)
    assert (error.reason, error.metadata) == (item.reason, item.metadata) == (of.name, of.metadata)
    assert (error.code, item.code) == (of.code, None)
    assert error.key == item.key == "k"


def test_no_two_reasons_have_one_type() -> None:
    kinds = {type(giftpay.refusal_error(refusal(of))) for of in answered}
    assert len(kinds) == len(answered)


def test_an_error_survives_a_process_boundary() -> None:
    short = Refusal(
        reason=ErrorReason.ERROR_REASON_INSUFFICIENT_COINS,
        message="No.",
        metadata={"available": "40", "required": "100"},
    )
    error = pickle.loads(pickle.dumps(giftpay.refusal_error(short, key="k")))
    assert isinstance(error, giftpay.InsufficientCoins)
    assert_type(error.available, int)
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
    scripted.script(
        "SendGift", refusal_status(StatusCode.FAILED_PRECONDITION, "MOON_PHASE", phase="full")
    )
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
        "SendGift",
        refusal_status(StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", details, **figures),
    )
    with pytest.raises(giftpay.InvalidArgument) as refused:
        await caller.gifts.SendGift(SendGiftRequest())
    assert (refused.value.field, refused.value.limit) == ("count", "1..10000")
    assert refused.value.violations == (("count", "too many"), ("gift_id", "missing"))


async def test_an_overloaded_server_sends_the_time_to_wait(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    details = RetryInfo(retry_delay=Duration(nanos=250_000_000))
    scripted.script(
        "SendGift", refusal_status(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", details, queued=3)
    )
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
async def test_without_an_error_info_the_outcome_of_a_command_is_unknown(
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
    away = refusal_status(StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
    scripted.script("SendGift", away)
    scripted.script("GetWallet", away)
    with pytest.raises(giftpay.OutcomeUnknown) as command:
        await caller.gifts.SendGift(SendGiftRequest(), timeout=0.3)
    with pytest.raises(giftpay.Unavailable) as read:
        await caller.wallets.GetWallet(GetWalletRequest(), timeout=0.3)
    assert command.value.reason == read.value.reason == "ERROR_REASON_DATABASE_UNAVAILABLE"


async def test_an_attempt_ended_by_the_deadline_does_not_hide_earlier_failures(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    async def hang(_: object, __: Context) -> None:
        await asyncio.sleep(30)

    away = refusal_status(StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
    scripted.script("SendGift", away, hang)
    scripted.script("GetWallet", away, hang)
    with pytest.raises(giftpay.OutcomeUnknown) as command:
        await caller.gifts.SendGift(SendGiftRequest(), timeout=0.5)
    with pytest.raises(giftpay.Unavailable) as read:
        await caller.wallets.GetWallet(GetWalletRequest(), timeout=0.5)
    assert len(scripted.asked["SendGift"]) == len(scripted.asked["GetWallet"]) == 2
    assert command.value.reason == read.value.reason == "ERROR_REASON_DATABASE_UNAVAILABLE"


async def test_truncated_details_leave_the_outcome_unknown(
    scripted: ScriptedServer, caller: giftpay.Client
) -> None:
    async def cut(_: SendGiftRequest, context: Context) -> None:
        details = (("grpc-status-details-bin", b"\x08\x09\x12\xff"),)
        await context.abort(StatusCode.FAILED_PRECONDITION, "No.", details)

    scripted.script("SendGift", cut)
    with pytest.raises(giftpay.OutcomeUnknown):
        await caller.gifts.SendGift(SendGiftRequest())
