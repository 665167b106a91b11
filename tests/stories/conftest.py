"""Rewrites the assertions of `evening`, so that they report values as those of tests do."""

import pytest

pytest.register_assert_rewrite("tests.stories.evening", "tests.stories.wallets")
