"""The values of enums by name, as rows and figures hold them."""

from __future__ import annotations

from typing import Any, Protocol


class Enum(Protocol):
    """A generated enum."""

    def Name(self, number: Any) -> str: ...


def short_name(enum: Enum, value: int) -> str:
    """The name without what all of its enum share: GIFT_SALES of SYSTEM_ACCOUNT_GIFT_SALES."""
    return enum.Name(value).removeprefix(enum.Name(0).removesuffix("UNSPECIFIED"))
