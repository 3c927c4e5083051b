"""Leaves encoded by the column are those encoded one by one."""

from oncefold.columnar import leaves
from oncefold.columnar.leaves import decode_all, encode_all


def test_few_and_many_leaves_are_encoded_alike(monkeypatch) -> None:
    labels = [(f"é{number}", "", "x" * (number % 300)) for number in range(700)]
    few = encode_all(labels)
    monkeypatch.setattr(leaves, "FEW_LEAVES", 0)
    many = encode_all(labels)
    assert few.offsets.tolist() == many.offsets.tolist()
    end = int(few.offsets[-1])
    assert few.data[:end].tobytes() == many.data[:end].tobytes()
    assert decode_all(many, 0, 3) == decode_all(few, 0, 3) == labels
