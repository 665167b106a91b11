"""The giftpay server."""

import os

# gRPC reads it as it is imported. The lines of its C++ core hold bytes of callers as they came,
# line breaks included.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
