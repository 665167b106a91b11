"""A small disk that can be filled: a tmpfs, which only root may mount."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

DISK_MB = 256
BLOCK = 64 << 10


class SmallDisk:
    """A folder on a disk of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def full(self) -> Iterator[None]:
        """Not a byte is free meanwhile."""
        ballast = self.folder / "ballast"
        try:
            with ballast.open("ab", buffering=0) as file:
                for size in (BLOCK, 1):
                    with suppress(OSError):  # ENOSPC
                        while file.write(bytes(size)):
                            pass
            yield
        finally:
            ballast.unlink()


@contextmanager
def small_disk() -> Iterator[SmallDisk]:
    """Mounted while this lasts; raises RuntimeError where it cannot be, and says what it needs."""
    with TemporaryDirectory(prefix="giftpay-") as folder:
        options = f"size={DISK_MB}m,mode=0711"
        mount = ["mount", "-t", "tmpfs", "-o", options, "giftpay-faults", folder]
        done = subprocess.run(mount, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(
                "A full disk takes a tmpfs, and mounting one takes root and the capability "
                f"CAP_SYS_ADMIN (docker run --cap-add SYS_ADMIN): {done.stderr.strip()}"
            )
        try:
            yield SmallDisk(Path(folder))
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
