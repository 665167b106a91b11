"""Generates the faces: python -m scripts.faces DESCRIPTOR_SET FOLDER, from the checkout's root."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.faces.contract import load_contract
from scripts.faces.documents import write_documents
from scripts.faces.messages import write_messages
from scripts.faces.refusals import write_refusals
from scripts.faces.services import write_services

described, into = map(Path, sys.argv[1:])
contract = load_contract(described)
write_messages(contract, into)
write_services(contract, into)
write_refusals(contract, into)
write_documents(contract, into)
