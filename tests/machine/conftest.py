"""So that what the machine asserts is told as in a test."""

import pytest

pytest.register_assert_rewrite(
    "tests.machine.dialogue", "tests.machine.machine", "tests.machine.proof"
)
