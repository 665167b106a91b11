"""Any commands in any order: the server answers what the model answers, and the books agree."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable

import giftpay
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.machine import Machine
from tests.stories.processes import server_process

CI = "CI" in os.environ
SETTINGS = settings(
    max_examples=45,
    stateful_step_count=60,
    deadline=None,
    derandomize=CI,  # otherwise a failure prints how to see it again
    print_blob=True,
    phases=set(Phase) - ({Phase.shrink, Phase.explain} if CI else set()),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
async def address(new_database: Callable[[], Awaitable[str]]) -> AsyncIterator[str]:
    async with server_process(DATABASE_URL=await new_database()) as server:
        yield server.address


def test_every_history_is_the_models(address: str) -> None:
    with giftpay.connect_sync(address) as client:
        Machine.client = client
        run_state_machine_as_test(Machine, settings=SETTINGS)
