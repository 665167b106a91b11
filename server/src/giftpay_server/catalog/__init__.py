"""Prices, gifts and rates, by version."""
