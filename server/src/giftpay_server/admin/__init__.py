"""What operators may do; the rules stay in the slice that owns the row."""
