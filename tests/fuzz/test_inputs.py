"""Inputs are made again from their seed and number, and reach everything."""

from __future__ import annotations

from giftpay.v1 import Catalog, ListEntriesRequest

from tests.fuzz.attacks import ATTACKS
from tests.fuzz.conversations import Attacks
from tests.fuzz.inputs import WAYS, Inputs
from tests.fuzz.messages import World
from tests.fuzz.rpcs import every_rpc
from tests.fuzz.tokens import encoded

PAGES = {ListEntriesRequest.DESCRIPTOR.full_name: [(b"", encoded('["digest",1]'))]}
WORLD = World(
    owners=["anna"],
    transactions=["019a0000-0000-7000-8000-000000000000"],
    gifts=["rose"],
    packages=["eur-20"],
    catalog=Catalog(),
    pages=PAGES,
)


def test_an_input_is_always_the_same() -> None:
    once, again = Inputs(7, WORLD), Inputs(7, WORLD)
    assert [once[number] for number in range(500)] == [again[number] for number in range(500)]
    assert Inputs(8, WORLD)[0] != once[0]
    assert Attacks(7, WORLD)[9] == Attacks(7, WORLD)[9]


def test_every_rpc_gets_inputs_of_every_way() -> None:
    inputs = Inputs(7, WORLD)
    made = [inputs[number] for number in range(5_000)]
    assert {each.rpc.path for each in made} == {rpc.path for rpc in every_rpc()}
    assert {each.way for each in made} == set(WAYS)


def test_every_attack_is_made() -> None:
    attacks = Attacks(7, WORLD)
    assert {attacks[number].name for number in range(1_000)} == set(ATTACKS)
