"""Generates all files; run as python -m scripts.codegen DESCRIPTOR_SET FOLDER from the root."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.codegen.contract import load_contract
from scripts.codegen.documents import write_documents
from scripts.codegen.messages import write_messages
from scripts.codegen.refusals import write_refusals
from scripts.codegen.services import write_services

described, into = map(Path, sys.argv[1:])
contract = load_contract(described)
write_messages(contract, into)
write_services(contract, into)
write_refusals(contract, into)
write_documents(contract, into)
