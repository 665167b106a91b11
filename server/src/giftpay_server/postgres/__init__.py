"""Postgres: connections, migrations, and the embedded server."""
