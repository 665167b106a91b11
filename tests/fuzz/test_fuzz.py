"""The short form of `make fuzz`: 20,000 inputs, others each time but where CI is to be the same."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from random import SystemRandom

from tests.fuzz.campaign import Aim, campaign

INPUTS = 20_000


async def test_no_input_breaks_the_server_or_its_books(
    new_database: Callable[[], Awaitable[str]],
) -> None:
    seed = 1 if os.environ.get("CI") else SystemRandom().randrange(10**6)
    aim = Aim(seed, range(INPUTS), alone_s=1)
    async with campaign(await new_database(), aim) as running:
        report = await running.run()
    print(report)
    assert not list(report.faults()), report.text()
