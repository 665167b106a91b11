"""The kernel: owners, accounts, entries, holds, lots, keys, claims. It knows nothing of gifts."""
