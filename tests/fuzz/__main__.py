"""Fuzzes a server of its own: python -m tests.fuzz --inputs N --seed S [--only N]."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from random import SystemRandom

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"  # before gRPC is imported: processes are started

from tests.fuzz.campaign import ALONE_S, Aim, campaign
from tests.fuzz.report import Report
from tests.stories.processes import own_database


def main() -> int:
    """Runs a campaign and prints its report; returns 1 if there are findings."""
    report = asyncio.run(_run(_aim()))
    print(report.text())
    return 1 if any(report.faults()) else 0


def _aim() -> Aim:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=200_000, help="how many to send")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--only", type=int, help="send the input of this number, and no other")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    if options.only is None:
        return Aim(options.seed, range(options.inputs), ALONE_S)
    return Aim(options.seed, range(options.only, options.only + 1), alone_s=0)


async def _run(aim: Aim) -> Report:
    async with own_database() as database, campaign(database.dsn, aim) as running:
        return await running.run()


if __name__ == "__main__":
    sys.exit(main())
