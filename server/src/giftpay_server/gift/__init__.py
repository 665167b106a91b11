"""Gifts: coins leave the sender, diamonds reach the recipient."""
