"""The server's settings, read from the environment at one place."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from giftpay_server.journal.queue import Limits
from giftpay_server.postgres.embedded import default_state_folder

DEFAULT_LISTEN = "127.0.0.1:50051"
SANDBOX_PORT = 50052  # of the embedded sandbox, on 127.0.0.1
LOOPBACK = ("127.0.0.1:", "localhost:", "[::1]:")
ADDRESS = re.compile(r"(?:[^:\[\]]+|\[[^\[\]]+\]):([0-9]{1,5})")
PORT_MAX = 65_535


class ConfigError(Exception):
    """A setting that cannot be used, and what it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that a server may be told."""

    database_url: str = ""  # GIFTPAY_DATABASE_URL; empty: an embedded Postgres of its own
    migrate_url: str = ""  # GIFTPAY_MIGRATE_URL; a login that may change the schema, if another
    state: Path = field(default_factory=default_state_folder)  # GIFTPAY_STATE
    listen: str = DEFAULT_LISTEN  # GIFTPAY_LISTEN, host:port; port 0: any
    insecure: bool = False  # GIFTPAY_INSECURE=1: other addresses than loopback too
    share_port: bool = False  # several processes accept on one port
    pool_size: int = 10  # GIFTPAY_POOL_SIZE, connections of one process
    grace_s: float = 10.0  # GIFTPAY_GRACE_S, for calls in flight at shutdown
    sandbox_url: str = ""  # GIFTPAY_SANDBOX_URL; empty: with the embedded Postgres, one of its own
    trusted_callers: frozenset[str] = frozenset()  # GIFTPAY_TRUSTED_CALLERS, names with commas
    sample_catalog: bool = False  # GIFTPAY_SAMPLE_CATALOG=1: where there is none; embedded: on
    clock_skew_max_s: float = 5.0  # GIFTPAY_CLOCK_SKEW_MAX_S, between our clock and Postgres'
    payout_poll_s: float = 1.0  # GIFTPAY_PAYOUT_POLL_S, how often due payouts are looked for
    erasure_poll_s: float = 1.0  # how often it is looked for what was erased and not removed
    limits: Limits = field(
        default_factory=Limits
    )  # GIFTPAY_BATCH_MAX, GIFTPAY_QUEUE_MAX, GIFTPAY_WAIT_MAX_S, GIFTPAY_POST_WITHIN_S

    def __post_init__(self) -> None:
        address = ADDRESS.fullmatch(self.listen)
        if address is None or int(address[1]) > PORT_MAX:
            raise ConfigError(
                f"GIFTPAY_LISTEN must be host:port, such as {DEFAULT_LISTEN}, not {self.listen!r}"
            )
        if not self.listen.startswith(LOOPBACK) and not self.insecure:
            raise ConfigError(
                f"{self.listen} is not a loopback address, and callers are not identified yet: "
                "whoever reaches the port may move money. Pass --insecure if that is meant."
            )


def from_environment(environment: Mapping[str, str] = os.environ) -> Config:
    """The settings of the environment; raises ConfigError naming the variable that is wrong."""
    read = _Reader(environment)
    defaults = Limits()
    return Config(
        database_url=read.text("DATABASE_URL"),
        migrate_url=read.text("MIGRATE_URL"),
        listen=read.text("LISTEN") or DEFAULT_LISTEN,
        insecure=read.switch("INSECURE"),
        sample_catalog=read.switch("SAMPLE_CATALOG"),
        pool_size=read.whole("POOL_SIZE", 10, least=3),
        grace_s=read.seconds("GRACE_S", 10.0),
        sandbox_url=read.text("SANDBOX_URL").rstrip("/"),
        trusted_callers=frozenset(read.names("TRUSTED_CALLERS")),
        clock_skew_max_s=read.seconds("CLOCK_SKEW_MAX_S", 5.0, least=0.1, most=60),
        payout_poll_s=read.seconds("PAYOUT_POLL_S", 1.0),
        limits=Limits(
            batch_max=read.whole("BATCH_MAX", defaults.batch_max, least=1),
            queue_max=read.whole("QUEUE_MAX", defaults.queue_max, least=1),
            wait_max_s=read.seconds("WAIT_MAX_S", defaults.wait_max_s),
            post_within_s=read.seconds("POST_WITHIN_S", defaults.post_within_s),
        ),
    )


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str) -> str:
        return self._environment.get(f"GIFTPAY_{name}", "").strip()

    def switch(self, name: str) -> bool:
        text = self.text(name)
        if text not in ("", "0", "1"):
            raise ConfigError(f"GIFTPAY_{name} must be 0 or 1, not {text!r}")
        return text == "1"

    def names(self, name: str) -> list[str]:
        return [text.strip() for text in self.text(name).split(",") if text.strip()]

    def whole(self, name: str, default: int, *, least: int) -> int:
        text = self.text(name) or str(default)
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise ConfigError(f"GIFTPAY_{name} must be a whole number from {least}, not {text!r}")
        return int(text)

    def seconds(
        self, name: str, default: float, *, least: float = 0.0, most: float = 86_400
    ) -> float:
        text = self.text(name) or str(default)
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        within = f"from {least:g} to {most:g}" if least else f"above 0 and below {most:g}"
        if not (least <= value <= most if least else 0 < value < most):
            raise ConfigError(f"GIFTPAY_{name} must be seconds {within}, not {text!r}")
        return value
