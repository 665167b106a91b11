"""From slices in pairs to ratios, and the trees that they compare, without a server."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from benchmarks.meters import cpu_s
from benchmarks.paired import BASE, HEAD, MEASURES, compared, comparison, order, outside, table
from benchmarks.samples import Sample
from benchmarks.trees import Tree

SHAPE = "SendGift"


def slices(*server_us: float, refused: int = 0) -> list[Sample]:
    return [
        Sample(seconds=2, gifts=1_000, refused=refused, cpu_s={"server": us / 1e3, "postgres": 0.1})
        for us in server_us
    ]


def test_the_order_in_pairs_alternates_so_that_a_drift_cancels() -> None:
    assert [order(number)[0] for number in range(4)] == [BASE, HEAD, BASE, HEAD]
    assert all(sorted(order(number)) == [BASE, HEAD] for number in range(4))


def test_a_ratio_is_the_median_of_the_pairs_and_not_the_ratio_of_the_medians() -> None:
    sides = {BASE: slices(100, 200, 400), HEAD: slices(110, 180, 480)}
    found = comparison(sides, MEASURES["server CPU us a gift"])
    assert (found["base"], found["head"]) == pytest.approx((200, 180))
    assert found["ratio"] == pytest.approx(1.1)
    assert found["spread"] == pytest.approx([0.9, 1.2])


def test_both_parts_are_added_up_for_each_gift() -> None:
    sides = {BASE: slices(300), HEAD: slices(400)}
    found = comparison(sides, MEASURES["both CPU us a gift"])
    assert (found["base"], found["head"]) == pytest.approx((400, 500))


@pytest.mark.parametrize(("pairs", "skipped"), [(5, None), (6, 0), (9, 1), (10, 1), (20, 5)])
def test_the_median_lies_between_the_order_statistics_of_the_sign_test(
    pairs: int, skipped: int | None
) -> None:
    assert outside(pairs) == skipped


def found(refused: int = 0) -> dict[str, object]:
    shapes = compared({SHAPE: {BASE: slices(100, 100), HEAD: slices(105, 105, refused=refused)}})
    sound = {"gifts": 2_000, "missing": 0, "faults": []}
    off = {"gifts": 2_000, "missing": 0, "faults": ["unit 1 is off by 5"]}
    return {
        BASE: "abc",
        HEAD: "def",
        "pairs": 2,
        "shapes": shapes,
        "books": {BASE: sound, HEAD: off},
    }


def test_the_table_has_every_measure_and_the_faults_of_the_books() -> None:
    lines = table(found()).splitlines()
    (server,) = (line for line in lines if "server CPU us a gift" in line)
    assert server.split()[-8:-6] == ["105.0", "1.050"]
    assert all(any(name in line for line in lines) for name in MEASURES)
    assert lines[-2].endswith("balance")
    assert lines[-1].endswith("unit 1 is off by 5")


def test_the_table_has_refused_gifts_if_there_are_any() -> None:
    assert "gifts refused" not in table(found())
    assert "gifts refused" in table(found(refused=3))


def test_the_results_can_be_written_as_json() -> None:
    assert json.loads(json.dumps(found())) == found()


async def test_a_tree_runs_its_own_code(tmp_path: Path) -> None:
    package = tmp_path / "server/src/giftpay_server"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("COLOUR = 'green'")
    tree = Tree("a commit", tmp_path)
    assert await tree.run("import giftpay_server; print(giftpay_server.COLOUR)") == "green\n"
    with pytest.raises(RuntimeError, match=r"a commit failed(?s:.)*ImportError"):
        await tree.run("from giftpay_server import ledger")


def test_the_cpu_of_a_process_is_counted_finer_than_in_ticks() -> None:
    before, begun = cpu_s(os.getpid()), time.process_time()
    while time.process_time() - begun < 0.003:
        pass
    assert cpu_s(os.getpid()) - before >= 0.003
