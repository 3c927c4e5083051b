"""Who does not know the seed cannot make keys that share a home in the index. Probes are counted, no time is taken."""

from collections import Counter
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from oncefold.columnar.arrays import read_only
from oncefold.columnar.leaves import InternTable, leaves_of
from oncefold.columnar.primitives import FIXED_SEED, SEED_BYTES, Seed, hash_bytes, seed_of
from oncefold.columnar.state import KeyedState
from oncefold.core.definition_toml import parse_toml
from oncefold.core.event import Content, Event
from oncefold.engine.engine import Engine
from oncefold.engine.session import Session
from tests.columnar.tools import batch_of
from tests.tools.sizes import sized

KEYS = sized(6_000, 60_000)
_WORD = (1 << 64) - 1


def plain_hash_collisions(count: int) -> list[bytes]:
    """Keys of 16 bytes that one multiplicative hash without a seed gives one value: each step can be undone.

    h = length * L; for each word w: h = (h ^ w) * M, h ^= h >> 32. Any first word goes with one second word.
    """
    multiply, length = 0x9E3779B97F4A7C15, 0xA0761D6478BD642F
    rng, keys = Random(5), []
    begin = 16 * length & _WORD
    for _ in range(count):
        first = rng.getrandbits(64)
        h = (begin ^ first) * multiply & _WORD
        h ^= h >> 32
        keys.append(first.to_bytes(8, "little") + (h ^ 0x0123456789ABCDEF).to_bytes(8, "little"))
    return keys


def collisions_under(seed: Seed, count: int) -> list[bytes]:
    """Keys of 16 bytes of one hash for who knows the seed: a word equal to the secret one makes the product 0."""
    return [int(seed[2]).to_bytes(8, "little") + number.to_bytes(8, "little") for number in range(count)]


def random_seed(number: int) -> Seed:
    return seed_of(Random(number).randbytes(SEED_BYTES))


def probes(slots: np.ndarray) -> int:
    """How many slots all entries together are away from their home."""
    used = np.flatnonzero(slots)
    homes = (slots[used] >> np.uint64(32)).astype(np.int64) >> (32 - (len(slots).bit_length() - 1))
    return int(((used - homes) % len(slots)).sum())


def indexed(keys: list[bytes], seed: Seed) -> int:
    """The probes of an index of these keys."""
    state = KeyedState(0, seed)
    state.add_keys(pa.array(keys, pa.large_binary()))
    return probes(state._slots)


def interned(texts: list[bytes], seed: Seed) -> int:
    """The probes of a table of these leaves."""
    table = InternTable(seed)
    assert table.intern(leaves_of(texts)).tolist() == list(range(len(texts)))
    return probes(table.slots)


@pytest.mark.parametrize("probes_of", [indexed, interned])
@pytest.mark.parametrize(
    "keys",
    [plain_hash_collisions(KEYS), collisions_under(FIXED_SEED, KEYS), collisions_under(random_seed(1), KEYS)],
    ids=["of a hash without a seed", "of the fixed seed", "of a guessed seed"],
)
def test_keys_made_to_collide_cost_as_other_keys_do(keys, probes_of):
    assert len(set(keys)) == KEYS
    assert probes_of(keys, random_seed(2)) < 3 * KEYS


@pytest.mark.parametrize("seed", [FIXED_SEED, random_seed(3)])
def test_who_knows_the_seed_makes_them_collide(seed):
    """So the seed, and nothing else, is what protects the index."""
    few = 1_000
    assert indexed(collisions_under(seed, few), seed) == few * (few - 1) // 2
    assert interned(collisions_under(seed, few), seed) == few * (few - 1) // 2


def hash_of(text: bytes, seed: Seed) -> int:
    """The kernel's hash of a text, with bytes around it that do not count."""
    around = read_only(np.frombuffer(b"<" + text + b">" * 8, np.uint8))
    return int(hash_bytes(around, 1, len(text), seed))


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 36, 100])
def test_each_byte_the_length_and_each_word_of_the_seed_count(size):
    rng = Random(size)
    text, secret = rng.randbytes(size), rng.randbytes(SEED_BYTES)
    seed = seed_of(secret)
    hashes = Counter([hash_of(text, seed), hash_of(text + b"\0", seed)])
    for at in range(size):
        hashes[hash_of(text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :], seed)] += 1
    for at in range(0, SEED_BYTES, 8):
        hashes[hash_of(text, seed_of(secret[:at] + bytes([secret[at] ^ 128]) + secret[at + 1 :]))] += 1
    assert max(hashes.values()) == 1
    assert len({hash_of(text, random_seed(number)) for number in range(20)}) == 20


def test_hashes_of_short_numbers_are_spread():
    homes = Counter(hash_of(str(number).encode(), random_seed(4)) >> 22 for number in range(20_000))
    assert len(homes) == 1_024
    assert max(homes.values()) < 60


def test_a_seed_has_32_bytes():
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        seed_of(bytes(31))


PIPELINE = parse_toml(
    'name = "p"\n[event]\nkey = "k"\n[rollups]\nr = ["l"]\n[measures]\nm = { sum = "m", scale = 0 }\n'
)


def test_a_batch_of_another_seed_is_refused():
    """Its keys would not be found, and count once more."""
    batch = batch_of(PIPELINE, [Event("k", 1, Content(("x",), (1,)))])
    table = InternTable()
    with pytest.raises(ValueError, match="another seed"):
        KeyedState(1, random_seed(6)).fold(batch, table.intern(batch.leaves), table, None, None)


def test_a_session_hashes_with_a_secret_of_its_process(tmp_path):
    with Session.open(tmp_path / "s.db", PIPELINE) as session:
        assert isinstance(session.engine, Engine)
        assert not np.array_equal(session.engine.seed, FIXED_SEED)
        assert session.ingest([{"k": "a", "l": "x", "m": 1}] * 2).events == 2
        secret = session.engine.seed.tobytes()
    assert secret not in (tmp_path / "s.db").read_bytes()
