"""The command line shows any message of the contract without a special view."""

from typing import Any

import pytest
from click import unstyle
from giftpay import v1
from giftpay.cli.session import Session
from giftpay.v1 import (
    Balance,
    CoinPackage,
    GetWalletResponse,
    Gift,
    ListCoinPackagesResponse,
    ListGiftsReceivedResponse,
    Money,
    OpenWalletResponse,
    SendGiftResponse,
    UpdateWalletResponse,
    VerifyLedgerResponse,
    Wallet,
)
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

ANSWERS = [getattr(v1, name) for name in v1.__all__ if name.endswith("Response")]
ID = "01a201b2-b928-75a5-a44b-c0a1fd0110ce"


def filled(message: Any) -> Any:
    """A message with a value in every field, and two in every list."""
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            value["name"] = "text\x1b[31m"
        elif field.is_repeated:
            for _ in range(2):
                value.append(scalar(field)) if not field.message_type else filled(value.add())
        elif isinstance(value, Timestamp):
            value.CopyFrom(Timestamp(seconds=1_795_000_000))
        elif field.message_type:
            filled(value)
        else:
            setattr(message, field.name, scalar(field))
    return message


def scalar(field: FieldDescriptor) -> object:
    if field.enum_type:
        return field.enum_type.values[1].number
    texts = {"currency_code": "EUR", "owner_id": "anna"}
    samples = {
        FieldDescriptor.CPPTYPE_STRING: texts.get(field.name, f"{ID}\x1b[31m"),
        FieldDescriptor.CPPTYPE_BOOL: True,
    }
    return samples.get(field.cpp_type, 1_000_000)


def shown(answer: Message, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The printed lines, in a terminal of 80 columns."""
    Session(target=None, timeout=1).show(answer)
    return capsys.readouterr().out.splitlines()


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.DESCRIPTOR.name)
def test_every_answer_fits_80_columns_and_has_no_control_characters(
    kind: type[Message], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(filled(kind()), capsys)
    assert max(map(len, lines)) <= 80
    assert all(line.isprintable() for line in lines)
    assert unstyle("".join(lines)) == "".join(lines)


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.DESCRIPTOR.name)
def test_every_text_of_an_answer_is_shown_whole(
    kind: type[Message], capsys: pytest.CaptureFixture[str]
) -> None:
    answer = filled(kind())
    count = str(answer).count(ID)
    assert "".join(shown(answer, capsys)).count(ID) == count


def test_empty_fields_are_omitted(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(OpenWalletResponse(wallet=Wallet(owner_id="anna")), capsys) == [
        "owner  anna",
        "          balance  held  available  entries",
        "coins           0     0          0        0",
        "diamonds        0     0          0        0",
    ]


def test_an_empty_answer_is_shown_as_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert shown(UpdateWalletResponse(), capsys) == ["done"]


def test_a_list_is_a_table_with_its_numbers_to_the_right(
    capsys: pytest.CaptureFixture[str],
) -> None:
    packages = [
        CoinPackage(package_id=name, price=Money(currency_code="EUR", minor_units=price), coins=n)
        for name, price, n in (("eur-65", 99, 65), ("eur-7100", 9999, 7100))
    ]
    assert shown(ListCoinPackagesResponse(packages=packages), capsys) == [
        "package   price      coins  bonus coins",
        "eur-65    EUR 0.99      65            0",
        "eur-7100  EUR 99.99  7,100            0",
    ]


def test_an_empty_list_is_shown_as_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(ListCoinPackagesResponse(), capsys) == ["packages  none"]


def test_a_list_that_is_too_wide_is_shown_one_below_the_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    gifts = [
        Gift(transaction_id=ID, sender_id="anna", recipient_id="ben", message=text * 30, diamonds=1)
        for text in "ab"
    ]
    lines = shown(ListGiftsReceivedResponse(gifts=gifts), capsys)
    about = [f"transaction  {ID}", "sender       anna", "recipient    ben", "diamonds     1"]
    assert lines == [*about, f"message      {'a' * 30}", "", *about, f"message      {'b' * 30}"]


def test_balances_that_are_too_wide_for_a_table_keep_their_units(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rich = Balance(balance=10**15, held=10**14, available=10**15 - 10**14, last_seq=10**9)
    answer = GetWalletResponse(wallet=Wallet(owner_id="ben", diamonds=rich, coins=Balance()))
    lines = [line.split() for line in shown(answer, capsys)]
    assert lines[lines.index(["coins"]) + 1] == ["balance", "0"]
    assert lines[lines.index(["diamonds"]) + 1] == ["balance", "1,000,000,000,000,000"]


def test_zero_counts_of_an_audit_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(VerifyLedgerResponse(clean=True), capsys) == [
        "clean         yes",
        "entries       0",
        "transactions  0",
    ]


def test_printable_unicode_is_shown_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    text = "Ça va\u202f? क्\u200dष 👨\u200d👩\u200d👧 🎁"
    [line] = shown(SendGiftResponse(gift=Gift(message=text)), capsys)[-1:]
    assert line.endswith(text)
