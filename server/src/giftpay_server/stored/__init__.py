"""Generated messages that only the server stores, and that are never sent."""
