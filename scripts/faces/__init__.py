"""Generates from the protos' descriptors what would otherwise repeat them by hand."""
