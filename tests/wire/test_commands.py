"""What is stored of a request, and under which key."""

from __future__ import annotations

import uuid

import pytest
from giftpay.v1 import (
    ERROR_REASON_WALLET_NOT_FOUND,
    TRANSACTION_KIND_GIFT,
    CancelTopUpRequest,
    OpenWalletRequest,
    SendGiftRequest,
)
from giftpay_server.ledger.model import Books, refuse
from giftpay_server.wire.commands import Asked, ask
from giftpay_server.wire.identity import Call
from giftpay_server.wire.refusals import RefusedError, option_of
from google.protobuf.message import Message

KEY = str(uuid.UUID(int=7))
CALL = Call("shop")


def gift(**fields: object) -> SendGiftRequest:
    return SendGiftRequest(idempotency_key=KEY, sender_id="anna", gift_id="rose", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "request_",
    [
        gift(message="for Ben"),
        gift(validate_only=True),
        CancelTopUpRequest(idempotency_key=KEY, top_up_id=KEY),
        OpenWalletRequest(idempotency_key=KEY, owner_id="anna", date_of_birth="2000-01-01"),
    ],
)
def test_a_request_stays_as_it_is(request_: Message) -> None:
    before = request_.SerializeToString()
    ask(request_, CALL)
    assert request_.SerializeToString() == before


def test_the_key_of_a_command_is_not_stored_in_its_request() -> None:
    asked = ask(gift(), CALL)
    assert (asked.key, asked.caller) == (KEY, "shop")
    assert asked.request == SendGiftRequest(sender_id="anna", gift_id="rose")
    assert asked.personal is None


def test_a_preview_has_no_key_and_asks_for_the_same() -> None:
    preview = ask(gift(validate_only=True), CALL)
    assert preview.key == ""
    assert preview.request == ask(gift(), CALL).request


def test_what_is_personal_is_stored_as_a_hash_that_no_two_requests_share() -> None:
    first, second = (ask(gift(message="for Ben"), CALL) for _ in range(2))
    assert first.personal is not None
    assert first.personal[:3] == ("anna", "message", "for Ben")
    assert first.personal.shown
    assert len({"", "for Ben", first.request.message, second.request.message}) == 4


def test_a_hidden_field_is_kept_for_comparison_alone() -> None:
    request = OpenWalletRequest(idempotency_key=KEY, owner_id="anna", date_of_birth="2000-01-01")
    asked = ask(request, CALL)
    assert asked.personal is not None
    assert not asked.personal.shown
    assert asked.request.HasField("date_of_birth")


def test_unknown_fields_are_not_stored() -> None:
    unknown = SendGiftRequest.FromString(gift().SerializeToString() + b"\xfa\x3f\x01x")
    assert ask(unknown, CALL).request == ask(gift(), CALL).request


def test_what_does_not_exist_is_refused_under_the_key() -> None:
    refusal = refuse(ERROR_REASON_WALLET_NOT_FOUND, owner_id="anna")
    asked: Asked[SendGiftRequest] = ask(gift(), CALL)
    command = asked.refused(TRANSACTION_KIND_GIFT, refusal)
    assert (command.id, command.accounts, command.decide(Books())) == (KEY, (), refusal)


def test_a_refusal_is_told_as_the_option_of_its_reason_says() -> None:
    error = RefusedError(refuse(ERROR_REASON_WALLET_NOT_FOUND, owner_id="anna"))
    assert error.refusal.message == "anna has no wallet."
    assert option_of(ERROR_REASON_WALLET_NOT_FOUND).pinned
