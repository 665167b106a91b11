"""Top-ups: coins bought with real money, believed only on the payment provider's word."""
