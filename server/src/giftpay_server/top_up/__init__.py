"""Top-ups: coins bought with real money, credited once the payment provider confirms it."""
