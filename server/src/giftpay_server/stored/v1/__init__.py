"""Version 1 of the stored messages."""
