"""Redemptions: diamonds turned into real money by the payout provider."""
