"""Postgres: its pool, its migrations, and the server that giftpay starts by itself."""
