"""Rewrites the assertions of the machine, so that they report values as those of tests do."""

import pytest

pytest.register_assert_rewrite(
    "tests.machine.dialogue", "tests.machine.machine", "tests.machine.proof"
)
