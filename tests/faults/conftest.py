"""So that what the helpers of these trials assert is told as in a test."""

import pytest

pytest.register_assert_rewrite(
    "tests.stories.evening",
    "tests.stories.wallets",
    "tests.faults.attempts",
    "tests.faults.crowds",
    "tests.faults.held_rows",
)
