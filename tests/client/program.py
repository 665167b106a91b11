"""The real command line in a process of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

# A shell in the background leaves SIGINT ignored.
PROGRAM = """
import signal
from giftpay.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


@dataclass
class Ended:
    """How the program ended, and what it said."""

    code: int
    stdout: str
    stderr: str


async def start(*line: str | bytes, **options: Any) -> asyncio.subprocess.Process:
    """The program with these arguments, under way."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, *line, **pipes)


async def end(program: asyncio.subprocess.Process) -> Ended:
    """How it ended: never with a traceback, of its own or of Python as it shuts down."""
    stdout, stderr = await asyncio.wait_for(program.communicate(), 30)
    assert program.returncode is not None
    said = [(each or b"").decode("latin-1") for each in (stdout, stderr)]
    ended = Ended(program.returncode, *said)
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    return ended
