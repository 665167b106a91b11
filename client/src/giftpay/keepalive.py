"""The keepalive options of gRPC, which detect a half-open connection, for client and server.

A server answers pings that come more often than it permits with GOAWAY (too_many_pings). So the
client's interval and the server's minimum are set together.
"""

PING_AFTER_S = 5.0
"""A ping is sent on a connection with calls in flight that received nothing for so long."""
ANSWER_WITHIN_S = 4.0
"""Without any answer by then it is dead. The sum is below a call's default timeout of 10 s."""

CLIENT_OPTIONS = (
    ("grpc.keepalive_time_ms", int(PING_AFTER_S * 1000)),
    # For data that the kernel has sent and the peer has not acknowledged.
    ("grpc.keepalive_timeout_ms", int(ANSWER_WITHIN_S * 1000)),
    # For the acknowledgement of a ping; one minute by default.
    ("grpc.http2.ping_timeout_ms", int(ANSWER_WITHIN_S * 1000)),
    # By default gRPC sends two pings and then one a minute, unless data is sent between them.
    ("grpc.http2.max_pings_without_data", 0),
)

# Permits pings at any pace. Otherwise Core makes a GOAWAY of 4 kB for each ping above the permitted
# pace: 100,000 of them cost 400 MB. The answers to pings it bounds, and stops reading meanwhile.
SERVER_OPTIONS = (("grpc.http2.max_ping_strikes", 0),)
