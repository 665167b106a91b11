"""The options of gRPC's Core; tests/wire/test_hostile.py tests their effects.

Core ignores an option that it does not know.
"""

from __future__ import annotations

from giftpay.keepalive import SERVER_OPTIONS

from giftpay_server.config import CallLimits

PING_AFTER_S, PONG_WITHIN_S = 30, 10  # a peer that is gone or does not read is disconnected


def core_options(limits: CallLimits) -> list[tuple[str, int]]:
    """The options of a server that untrusted callers may reach."""
    return [
        # No decompression: Core inflates 0.5 MB to 512 MB before it checks the size.
        ("grpc.compression_enabled_algorithms_bitset", 1),
        ("grpc.max_allowed_incoming_connections", limits.connections_max),
        ("grpc.max_concurrent_streams", limits.connection_calls_max),
        *SERVER_OPTIONS,
        ("grpc.keepalive_time_ms", PING_AFTER_S * 1000),
        ("grpc.keepalive_timeout_ms", PONG_WITHIN_S * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.ping_timeout_ms", PONG_WITHIN_S * 1000),
        ("grpc.http2.max_pings_without_data", 0),
    ]
