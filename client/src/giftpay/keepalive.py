"""How soon a dead connection is found, by HTTP/2 keepalive pings: one place for both ends.

A gRPC server answers pings that come sooner than it permits with GOAWAY (too_many_pings), so that
the client's interval and what the server permits belong together.
"""

PING_AFTER_S = 5.0
"""A connection with calls under way on which nothing came for so long is sent a ping."""
ANSWER_WITHIN_S = 4.0
"""Without any answer by then it is dead: within the 10 seconds that a call has by default."""

CLIENT_OPTIONS = (
    ("grpc.keepalive_time_ms", int(PING_AFTER_S * 1000)),
    # For what the kernel has sent and nobody has acknowledged; a ping has a minute, by default.
    ("grpc.keepalive_timeout_ms", int(ANSWER_WITHIN_S * 1000)),
    ("grpc.http2.ping_timeout_ms", int(ANSWER_WITHIN_S * 1000)),
    # By default Core sends two pings and then one a minute, unless data is sent between them.
    ("grpc.http2.max_pings_without_data", 0),
)

# Permits pings at any pace. Otherwise Core makes a GOAWAY of 4 kB for each ping above the permitted
# pace: 100,000 of them cost 400 MB. The answers to pings it bounds, and stops reading meanwhile.
SERVER_OPTIONS = (("grpc.http2.max_ping_strikes", 0),)
