"""The server's settings, one at each field; settings.py describes how to add one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from giftpay_server.setting_forms import (
    ADDRESS,
    DATABASE_URL,
    FOLDER,
    NAMES,
    PROVIDER_URL,
    SWITCH,
    seconds,
    whole,
)
from giftpay_server.settings import (
    ConfigError,
    read_settings,
    refuse_unknown,
    setting,
    settings_of,
)

SANDBOX_PORT = 50052  # of the embedded sandbox, on 127.0.0.1
LOOPBACK = ("127.0.0.1:", "localhost:", "[::1]:")

# Variables of the client and of the tests, which the server ignores.
OTHER_VARIABLES = ("GIFTPAY_TARGET", "GIFTPAY_TEST_DATABASE_URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds on commands that wait for the journal."""

    batch_max: int = setting(1_000, whole(1, 10_000, "commands"), "Commands in one commit.")
    queue_max: int = setting(
        8_192,
        whole(1, 100_000, "commands"),
        "Commands that may wait in one process. More are refused with `OVERLOADED`.",
    )
    wait_max_s: float = setting(
        0.25,
        seconds(0.001, 60),
        "How long the full batches ahead of a command may take at their current pace. Where they "
        "take longer, it is refused with `OVERLOADED`.",
    )
    post_within_s: float = setting(
        60.0,
        seconds(1, 120),  # less than SETTLING in admin/audit.py, together with the time-outs
        "How long after a command is taken it may be posted, by Postgres' clock; later it never "
        "is. Must be more than `GIFTPAY_CLOCK_SKEW_MAX_S`.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """The bounds on calls in flight; a call that exceeds one is refused with `LIMIT_REACHED`."""

    commands_max: int = setting(
        16_384,
        whole(1, 1_000_000, "calls"),
        "Calls with a command that are in flight in one process.",
    )
    reads_max: int = setting(
        4,
        whole(1, 1_000, "calls"),
        "Reads of each method in flight in one process. Further ones wait in a queue.",
    )
    reads_waiting_max: int = setting(
        1_024, whole(1, 1_000_000, "calls"), "Reads of each method in that queue."
    )
    followers_max: int = setting(
        4_096, whole(1, 1_000_000, "streams"), "Streams of `WatchEntries` in one process."
    )
    gift_streams_max: int = setting(
        256, whole(1, 100_000, "streams"), "Streams of `StreamGifts` in one process."
    )
    tool_calls_max: int = setting(
        256,
        whole(1, 100_000, "calls"),
        "Calls in flight of each method of gRPC's health and reflection in one process.",
    )
    unsent_max: int = setting(
        4_096,
        whole(1, 1_000_000, "calls"),
        "Calls in one process whose request has not arrived. One more ends the oldest.",
    )
    request_within_s: float = setting(
        10.0, seconds(0.01, 600), "How long after the start of its call a request may arrive."
    )
    connection_calls_max: int = setting(
        250,
        whole(1, 1_000_000, "calls"),
        "Calls and streams on one connection (HTTP/2's SETTINGS_MAX_CONCURRENT_STREAMS). Clients "
        "queue further ones until one ends.",
    )
    connections_max: int = setting(
        512,
        whole(1, 100_000, "connections"),
        "Connections to one process. One more is closed at once. Each takes a file "
        "descriptor, of which a process often has 1,024.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of a server."""

    database_url: str = setting(
        "",
        DATABASE_URL,
        "The database, Postgres 15 or later. Empty: an embedded Postgres, with a sandbox provider "
        "and the sample catalog.",
    )
    migrate_url: str = setting(
        "",
        DATABASE_URL,
        "The same database by a login that may change its schema. Empty: by that of "
        "`GIFTPAY_DATABASE_URL`.",
    )
    state: Path | None = setting(
        None,
        FOLDER,
        "Where the embedded Postgres and its sandbox keep their data. Empty: `/var/lib/giftpay` "
        "for root, else `$XDG_STATE_HOME/giftpay` or `~/.local/state/giftpay`.",
    )
    listen: str = setting("127.0.0.1:50051", ADDRESS, "Where gRPC is served.")
    insecure: bool = setting(
        False,
        SWITCH,
        "1 allows gRPC to be served on other addresses than loopback. Callers are not identified "
        "yet: whoever reaches the port may move money.",
    )
    pool_size: int = setting(
        10,
        whole(3, 1_000, "connections"),
        "Connections of one process for reads. It opens up to six more: two for the journal, two "
        "for its side lane, one for hints, one to compare clocks.",
    )
    grace_s: float = setting(
        10.0, seconds(0.001, 3_600), "How long calls in flight may take at shutdown."
    )
    sandbox_url: str = setting(
        "",
        PROVIDER_URL,
        "The payment and payout provider, with the interface of `giftpay_server.sandbox`. Empty: "
        "none, or the embedded one. Without one, only `TRUSTED` payments are taken and nothing is "
        "paid out.",
    )
    sample_catalog: bool = setting(
        False,
        SWITCH,
        "1 applies the sample catalog where there is none yet, as with an embedded Postgres.",
    )
    trusted_callers: frozenset[str] = setting(
        frozenset(),
        NAMES,
        "The callers that may say by themselves that an order was paid (`TRUSTED`). There is one "
        "caller so far, `local`; with the embedded Postgres it is trusted.",
    )
    clock_skew_max_s: float = setting(
        5.0,
        seconds(0.1, 60),
        "How far the clocks of this machine and of Postgres may be apart. Beyond it nothing is "
        "decided, and health is `NOT_SERVING`.",
    )
    payout_poll_s: float = setting(
        1.0,
        seconds(0.01, 3_600),
        "How often due payouts are looked for, a fifth more or less at random. While more is due "
        "than a process can make at once (8), it does not wait; what failed waits as long, then "
        "twice as long each time, up to 30 s.",
    )
    limits: Limits = field(default_factory=Limits)
    call_limits: CallLimits = field(default_factory=CallLimits)
    erasure_poll_s: float = 1.0  # the interval of polling for erasures that are not carried out
    share_port: bool = False  # several processes accept on one port (SO_REUSEPORT)

    def __post_init__(self) -> None:
        if not self.listen.startswith(LOOPBACK) and not self.insecure:
            raise ConfigError(
                f"{self.listen} is not a loopback address, and callers are not identified yet: "
                "whoever reaches the port may move money. Pass --insecure if that is meant."
            )
        if self.migrate_url and not self.database_url:
            raise ConfigError("GIFTPAY_MIGRATE_URL needs GIFTPAY_DATABASE_URL beside it")
        if self.limits.post_within_s <= self.clock_skew_max_s:
            raise ConfigError(
                f"GIFTPAY_POST_WITHIN_S ({self.limits.post_within_s:g} seconds) must be more than "
                f"GIFTPAY_CLOCK_SKEW_MAX_S ({self.clock_skew_max_s:g} seconds)"
            )


def from_environment(environment: Mapping[str, str]) -> Config:
    """Reads the settings; raises ConfigError with the name of an invalid or unknown variable."""
    known = {each.variable for each in settings_of(Config)}
    refuse_unknown(environment, known | set(OTHER_VARIABLES))
    config = read_settings(Config, environment)
    return config if config.state else replace(config, state=_usual_state(environment))


def _usual_state(environment: Mapping[str, str]) -> Path | None:
    """The default state folder of this user; None for a user without a home."""
    if os.geteuid() == 0:
        return Path("/var/lib/giftpay")  # the user that Postgres runs as may not enter /root
    try:
        state = Path(environment.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    except RuntimeError:
        return None
    return state / "giftpay"
