"""What hostile callers cost an honest one."""
