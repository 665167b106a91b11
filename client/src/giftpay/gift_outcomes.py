"""Converts gifts to a serialized batch, and the outcomes of a batch to answers."""

from collections.abc import Sequence

import grpc

from giftpay.errors import Exhausted, GiftpayError, Keys, Malformed
from giftpay.status import UNANSWERED, Facts, refusal_error, unanswered
from giftpay.v1 import ErrorReason, GiftOutcome, Refusal, SendGiftResponse, options_pb2

GIFTS_TAG = b"\x0a"  # of BatchSendGiftsRequest.gifts: field 1, bytes with their length
STATUSES = {code.value[0]: code for code in grpc.StatusCode}
CODES = {  # the status of a call that is refused, by the number of the reason
    value.number: STATUSES[value.GetOptions().Extensions[options_pb2.refusal].status]
    for value in ErrorReason.DESCRIPTOR.values
}


def serialized_batch(gifts: Sequence[bytes]) -> bytes:
    """A serialized BatchSendGiftsRequest of serialized SendGiftRequests."""
    parts: list[bytes] = []
    for gift in gifts:
        parts += GIFTS_TAG, varint(len(gift)), gift
    return b"".join(parts)


def varint(number: int) -> bytes:
    """A number in protobuf's varint encoding: seven bits a byte, the least significant first."""
    if number < 0x80:
        return bytes((number,))
    return bytes((number & 0x7F | 0x80,)) + varint(number >> 7)


def is_paired(keys: Sequence[Keys], outcomes: Sequence[GiftOutcome]) -> bool:
    """Whether there is one outcome for each gift, in their order."""
    return keys == [(outcome.idempotency_key,) for outcome in outcomes]


def outcome_answer(outcome: GiftOutcome, keys: Keys) -> SendGiftResponse | GiftpayError | None:
    """What SendGift returns or raises; None if only a call of SendGift can find out."""
    if outcome.HasField("gift"):
        response = SendGiftResponse(replayed=outcome.replayed)
        response.gift.CopyFrom(outcome.gift)  # three times as fast as an argument
        return response
    return _refused(outcome.refusal, keys) if outcome.HasField("refusal") else None


def _refused(refusal: Refusal, keys: Keys) -> GiftpayError | None:
    code = CODES.get(refusal.reason)
    error = refusal_error(refusal, key=keys[0])
    # A status has field violations and a retry delay; a refusal of a batch's item does not.
    if code is None or isinstance(error, Malformed | Exhausted):
        return None
    if code in UNANSWERED:
        facts = Facts(reason=error.reason, metadata=error.metadata, code=code)
        return unanswered(f"{code.name}: {error.message}", keys, **facts)
    error.code = code
    return error
