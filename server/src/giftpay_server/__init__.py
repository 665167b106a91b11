"""The giftpay server."""
