"""What the server alone stores, and nobody sends: messages generated from protos/giftpay_server."""
