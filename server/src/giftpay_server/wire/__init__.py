"""Between the services and gRPC: names, limits, refusals, page tokens."""
