"""Messages and helpers for the tests of the command line."""

from collections.abc import Awaitable, Callable

from click.testing import Result
from giftpay.v1 import (
    AGE_STATUS_ADULT,
    SYSTEM_ACCOUNT_GIFT_SALES,
    TRANSACTION_KIND_GIFT,
    UNIT_COIN,
    WALLET_STATUS_ACTIVE,
    Balance,
    Entry,
    GiftDetails,
    Wallet,
)
from google.protobuf.timestamp_pb2 import Timestamp

Run = Callable[..., Awaitable[Result]]

ANNA = Wallet(
    owner_id="anna",
    country_code="DE",
    status=WALLET_STATUS_ACTIVE,
    age_status=AGE_STATUS_ADULT,
    coins=Balance(balance=1_234_567, held=7, available=1_234_560, last_seq=3),
    create_time=Timestamp(seconds=1_795_000_000),
)
ROSE = Entry(
    owner_id="anna",
    unit=UNIT_COIN,
    seq=3,
    amount=-3,
    balance=1_234_567,
    system_account=SYSTEM_ACCOUNT_GIFT_SALES,
    create_time=Timestamp(seconds=1_795_000_000),
    kind=TRANSACTION_KIND_GIFT,
    counterpart_id="ben",
    gift=GiftDetails(gift_id="rose", count=3),
)


def cells_of(line: str) -> list[str]:
    """The cells of a line, without spaces."""
    return line.split()
