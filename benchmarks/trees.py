"""Checks out commits of this repository, to run their own code."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of a commit, or this checkout."""

    name: str
    folder: Path

    def environment(self) -> dict[str, str]:
        """The environment in which Python imports giftpay and giftpay_server from this tree."""
        sources = (self.folder, self.folder / "client/src", self.folder / "server/src")
        return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sources))}

    async def run(self, script: str, *arguments: str) -> str:
        """The output of a Python script in this tree; raises with its errors if it fails."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, *arguments),
            cwd=self.folder,
            env=self.environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"{self.name} failed:\n{errors.decode()}")
        return output.decode()


def working_tree() -> Tree:
    """This checkout as it is, changes included."""
    return Tree(f"{_git('describe', '--always', '--dirty').decode().strip()}", ROOT)


def unpacked(revision: str, folder: Path) -> Tree:
    """The files of a commit, below the folder."""
    commit = _git("rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()
    files = folder / commit
    if not files.exists():
        with tarfile.open(fileobj=io.BytesIO(_git("archive", commit))) as archive:
            archive.extractall(files, filter="data")
    return Tree(commit[:7], files)


def _git(*arguments: str) -> bytes:
    done = subprocess.run(("git", *arguments), cwd=ROOT, capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stderr.decode().strip())
    return done.stdout
