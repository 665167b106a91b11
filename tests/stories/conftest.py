"""So that what an evening asserts is told as in a test."""

import pytest

pytest.register_assert_rewrite("tests.stories.evening", "tests.stories.wallets")
