"""The kernel: owners, accounts, entries, holds, lots, keys and claims. It knows no slice."""
