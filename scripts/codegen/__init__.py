"""Generates code and documents from the protos' descriptors."""
