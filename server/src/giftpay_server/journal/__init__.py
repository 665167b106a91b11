"""How a batch gets into Postgres: the queue, the commit, the feed, and the server's own work."""
