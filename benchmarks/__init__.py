"""Measures giftpay, a bare echo, a naive service, raw SQL and a bulk load in one run."""
