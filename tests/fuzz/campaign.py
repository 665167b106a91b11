"""One campaign: sends inputs to a server while an honest client uses it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic, time

import giftpay
from giftpay.client import Client
from giftpay.v1 import VerifyLedgerRequest
from giftpay_server.sandbox.app import running_sandbox

from tests.fuzz.conversations import Attacker, Attacks
from tests.fuzz.honest import Seen, honest_client
from tests.fuzz.inputs import Inputs
from tests.fuzz.memory import Memory
from tests.fuzz.report import Report
from tests.fuzz.sending import Findings, sender
from tests.fuzz.setting import prepare
from tests.stories.processes import ServerProcess, server_process

CHUNK = 2_500  # inputs between two looks at the log
ATTACK_EVERY = 10  # of so many inputs one is of HTTP/2 and not of messages
WARM_UP = 0.3  # of the inputs, before the baseline of the memory
ALONE_S = 5.0  # in which the honest client has the server to itself
DEFECT = re.compile(r"^.* (ERROR|CRITICAL) .*$", re.MULTILINE)  # a line of the server's log
SHOWN = 1_500  # characters of what it logged
VERIFY_S = 600


@dataclass(frozen=True, slots=True)
class Aim:
    """Which inputs are sent."""

    seed: int
    numbers: range
    alone_s: float = ALONE_S

    def parts(self) -> Iterator[range]:
        """The numbers in chunks."""
        for first in range(self.numbers.start, self.numbers.stop, CHUNK):
            yield range(first, min(first + CHUNK, self.numbers.stop))


class Campaign:
    """Sends the inputs of an aim to a server."""

    def __init__(self, server: ServerProcess, client: Client, aim: Aim) -> None:
        self.findings = Findings()
        self.memory = Memory(server.pid)
        self._server, self._client, self._aim = server, client, aim
        self._log_read = 0

    async def run(self) -> Report:
        """Sends all inputs and returns the report."""
        world = await prepare(self._client, self._aim.seed)
        async with honest_client(self._server.address) as honest, self.memory.watched():
            await asyncio.sleep(self._aim.alone_s)
            begun, clock = time(), monotonic()
            warm = await self._send_all(
                Inputs(self._aim.seed, world), Attacks(self._aim.seed, world)
            )
            took_s, ended = monotonic() - clock, time()
        seen = await honest
        return Report(
            aim=self._aim.numbers,
            seed=self._aim.seed,
            took_s=took_s,
            findings=self.findings,
            alone=_calls(seen, 0, begun),
            beside=_calls(seen, begun, ended),
            honest=seen,
            warm_mib=warm,
            peak_mib=self.memory.peak,
            rest_mib=await self.memory.at_rest(),
            broken=await self._broken(),
        )

    async def _send_all(self, inputs: Inputs, attacks: Attacks) -> float:
        """Sends all inputs; returns the memory of the warm server in MiB."""
        warm, numbers = 0.0, self._aim.numbers
        async with sender(self._server.address, self.findings) as calls:
            attacker = Attacker(self._server.address, self.findings)
            for part in self._aim.parts():
                if not warm and part.start >= numbers.start + WARM_UP * len(numbers):
                    warm = await self.memory.at_rest()
                async with asyncio.TaskGroup() as group:
                    group.create_task(calls.send(inputs[n] for n in part if not _is_attack(n)))
                    group.create_task(attacker.send(attacks[n] for n in part if _is_attack(n)))
                self._read_log(part)
        return warm or self.memory.now()

    def _read_log(self, part: range) -> None:
        log = self._server.log()
        new, self._log_read = log[self._log_read :], len(log)
        for defect in DEFECT.finditer(new):
            said = new[defect.start() : defect.start() + SHOWN]
            self.findings.note("log", said, f"one of inputs {part.start} to {part.stop - 1}")

    async def _broken(self) -> str:
        """The first row that the audit finds broken; empty if none is."""
        verified = await self._client.admin.VerifyLedger(VerifyLedgerRequest(), timeout=VERIFY_S)
        return "" if verified.clean else str(verified.broken)


def _is_attack(number: int) -> bool:
    return number % ATTACK_EVERY == ATTACK_EVERY - 1


def _calls(seen: Seen, since: float, until: float) -> list[float]:
    """The durations of the honest client's calls in a period, sorted."""
    return sorted(took for begun, took in seen.calls if since <= begun < until)


@asynccontextmanager
async def campaign(dsn: str, aim: Aim) -> AsyncIterator[Campaign]:
    """A campaign against a server process of its own over a database."""
    async with (
        running_sandbox() as sandbox,
        server_process(DATABASE_URL=dsn, SANDBOX_URL=sandbox, PAYOUT_POLL_S="0.5") as server,
        giftpay.connect(server.address) as client,
    ):
        yield Campaign(server, client, aim)
