.DEFAULT_GOAL := help
PY := .venv/bin/python

proto:     ## Generate the client's code from protos/
	rm -f client/src/giftpay/v1/*_pb2*
	$(PY) -m grpc_tools.protoc -Iprotos --python_out=client/src --mypy_out=quiet:client/src protos/giftpay/v1/*.proto
	$(PY) -m grpc_tools.protoc -Iprotos --grpc_python_out=client/src --mypy_grpc_out=quiet,only_async:client/src protos/giftpay/v1/*_service.proto
