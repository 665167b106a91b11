"""What a call is refused with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest
from giftpay import GiftpayError
from grpc import StatusCode

Error = TypeVar("Error", bound=GiftpayError)


@contextmanager
def refused(
    kind: type[Error], code: StatusCode, /, **figures: object
) -> Iterator[pytest.ExceptionInfo[Error]]:
    """What is done here ends with just this error, on this status, with these figures in all."""
    with pytest.raises(kind) as told:
        yield told
    error = told.value
    assert type(error) is kind
    assert error.code is code
    assert error.metadata.keys() == figures.keys()
    assert {name: getattr(error, name) for name in figures} == figures
