"""Wallets: opening, reading, following, freezing."""
