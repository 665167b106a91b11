"""What must be set before anything imports gRPC."""

import os

# Tests start processes while gRPC is at work; its handlers of forks abort the child before it can
# become another program.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
