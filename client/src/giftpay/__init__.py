"""The typed client of giftpay."""
