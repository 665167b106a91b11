"""What must be set before anything imports gRPC or the modules that tests share."""

import os

import pytest

# Tests start processes while gRPC is at work; its handlers of forks abort the child before it can
# become another program.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"

# Their assertions report values as those of tests do.
pytest.register_assert_rewrite("tests.stories", "tests.faults", "tests.fuzz")
