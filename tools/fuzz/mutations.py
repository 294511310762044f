"""What is done to a valid file: everything is drawn from one generator, so that a number names an input."""

from __future__ import annotations

import io
import random
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tools.fuzz.seeds import KINDS, Seed, packers, seeds

__all__ = ["Input", "make"]


class Input(NamedTuple):
    """A file to be read."""

    kind: str
    name: str
    content: bytes
    label: str
    reading: dict[str, Any]


TOKENS = (
    b'"', b'""', b'"""', b"'", b"\\", b"\x00", b"\r", b"\n", b"\r\n", b"\n\n", b",", b";", b"\t", b"|", b" ", b"  ",
    "\u00a0".encode(), "\u2009".encode(), "\u2212".encode(), "１".encode(), "٣".encode(), "\u2028".encode(),
    b"\x85", b"\x1a", b"\x0b", b"\x0c", b"\x1b[2J", "\u202e".encode(), b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\xff\xfe",
    b"\xed\xa0\x80", b"1_000", b"1e999", b"-1e-999", b"1e5", b"0x10", b"0b1", b"1j", b"nan", b"-inf", b"Infinity",
    b"NA", b"", b"null", b"None", b"<NA>", b"true", b"False", b"+1", b"--1", b"1.", b".5", b"1,5", b"1.5.5", b"00",
    b"9007199254740993", b"18446744073709551616", b"-170141183460469231731687303715884105729", b"9" * 400,
    b"0." + b"0" * 400 + b"1", b"1e" + b"9" * 50, b"#", b"# x\n", b":", b"1:1", b"1:1 1:1", b"-1:2", b"2:", b":2",
    b"999999999999999999:1", b"4294967296:1", b"qid:1", b"=", b"=1+1", b"label", b"b,b", b"<b>", b"$x$", b"%s", b"{}",
    b"{'descr': '<f8', ", b"'shape': (", b"(", b"(" * 90, b")", b"[", b"[" * 90, b"]", b"{", b"}", b"True", b"'|O'",
    b"'<f8'", b"'>i8'", b"'<U9'", b"'|S0'", b"'<M8[ns]'", b"'<c16'", b"'|V8'", b"'<U999999999'", b"[('a', '<f8')]",
    b"999999999999", b"-1", b"10**9", b"1,", b"0", b"3", b"__import__('os')", b"1e1000", b"NaN", b"\\ud800",
    b"\\u0000", b"false", b"\x1f\x8b\x08", b"PK\x03\x04", b"PK\x01\x02", b"PAR1", b"\x93NUMPY", b"(\xb5/\xfd",
    b"BZh1", b"\xfd7zXZ", b"\x89PNG",
)  # fmt: skip
STEMS = ("fuzz \x1b[2J", "fuzz \u202e", "fuzz $x$ | <b> [*]?", "fuzz\nline", "fuzz \udcff", "-fuzz", "f" * 220)
"""Names of files that are not harmless."""
SIZES = (0, 1, 2, 3, 4, 7, 8, 16, 64, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1)
LARGEST = 200_000
"""Bytes of a file."""
_PACKERS = packers()
Change = Callable[[random.Random, bytes, list[Seed]], bytes]


def make(seed: int, number: int, kind: str | None = None) -> Input:
    """The input of a number: its kind by the shares, unless it is given.

    Parameters
    ----------
    seed, number : int
        Together they decide everything.
    kind : str, optional
        One of :data:`~tools.fuzz.seeds.KINDS`.
    """
    rng = random.Random(f"{seed}/{number}")
    drawn = rng.choices(list(KINDS), [one.share for one in KINDS.values()])[0]
    kind = kind or drawn
    pool = seeds(kind)
    chosen = rng.choice(pool)
    reading = dict(rng.choice(chosen.reading))
    suffix = rng.choice(KINDS[kind].suffixes)
    outside = rng.random() < 0.25
    if kind == "packed text":
        packing = rng.choice(list(_PACKERS))
        content = _PACKERS[packing](chosen.content if outside else _changed(rng, chosen.content, pool))
        if outside:
            content = _changed(rng, content, [Seed(_PACKERS[packing](pool[0].content))])
        suffix += packing
    elif chosen.members and not outside:
        content = _archive(rng, chosen.members, pool)
    else:
        content = _changed(rng, chosen.content, pool)
    label = chosen.label
    if kind != "json" and rng.random() < 0.03:
        label = rng.choice(("", "a", "1", "\x1b[2J", "x" * 300))
    stem = "fuzz" if rng.random() < 0.97 else rng.choice(STEMS)
    return Input(kind, f"{stem}{suffix}", content, label, reading)


def _changed(rng: random.Random, content: bytes, pool: list[Seed]) -> bytes:
    """One to a few changes; seldom none, and seldom nothing of it is left."""
    chance = rng.random()
    if chance < 0.02:
        return content
    if chance < 0.04:
        return rng.randbytes(rng.choice((1, 2, 5, 40, 300)))
    for _ in range(rng.choice((1, 1, 1, 1, 1, 1, 2, 2, 3, 8))):
        content = rng.choice(_CHANGES)(rng, content, pool)[:LARGEST]
    return content


def _place(rng: random.Random, content: bytes) -> int:
    """Anywhere, or near one of the ends, where headers and footers are."""
    size = len(content)
    if not size:
        return 0
    draw = rng.random()
    if draw < 0.25:
        return min(rng.randrange(120), size - 1)
    if draw < 0.5:
        return max(size - 1 - rng.randrange(300), 0)
    return rng.randrange(size)


def _flip(rng: random.Random, content: bytes, pool: list[Seed]) -> bytes:
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if found:
            found[_place(rng, content)] ^= 1 << rng.randrange(8)
    return bytes(found)


def _byte(rng: random.Random, content: bytes, pool: list[Seed]) -> bytes:
    at = _place(rng, content)
    return (
        content[:at]
        + bytes([rng.choice((0, 1, 9, 10, 13, 32, 127, 128, 255, rng.randrange(256)))])
        + content[at + 1 :]
    )


def _truncate(rng: random.Random, content: bytes, pool: list[Seed]) -> bytes:
    return content[: _place(rng, content)] if rng.random() < 0.8 else content[_place(rng, content) :]


def _insert(rng: random.Random, content: bytes, pool: list[Seed]) -> bytes:
    at = _place(rng, content)
    token = rng.choice(TOKENS) * (rng.choice((1, 1, 1, 1, 2, 30, 1000)))
    return content[:at] + token[:20_000] + content[at + rng.choice((0, 0, 1, len(token))) :]


def _field(rng: random.Random, content: bytes, pool: list[Seed]) -> bytes:
    """A token in the place of a word or number."""
    words = [match.span() for match in re.finditer(rb"[\w.+-]+", content[:5000])]
    if not words:
        return _insert(rng, content, pool)
    low, high = rng.choice(words)
    return content[:low] + rng.choice(TOKENS) + content[high:]


def _line(rng: random.Random, content: bytes, pool: list[Seed]) -> bytes:
    """Lines twice, many times, gone or elsewhere."""
    lines = content.split(b"\n")
    at = rng.randrange(len(lines))
    what = rng.randrange(4)
    if what == 0:
        lines[at:at] = [lines[at]] * rng.choice((1, 3, 300))
    elif what == 1:
        del lines[at]
    elif what == 2:
        lines.insert(rng.randrange(len(lines)), lines.pop(at))
    else:
        lines[at] += rng.choice(TOKENS) + lines[rng.randrange(len(lines))]
    return b"\n".join(lines)


def _cut(rng: random.Random, content: bytes, pool: list[Seed]) -> bytes:
    low, high = sorted((_place(rng, content), _place(rng, content)))
    return content[:low] + content[high:]


def _repeat(rng: random.Random, content: bytes, pool: list[Seed]) -> bytes:
    low, high = sorted((_place(rng, content), _place(rng, content)))
    return content[:high] + (content[low:high] * rng.choice((1, 2, 50)))[:20_000] + content[high:]


def _splice(rng: random.Random, content: bytes, pool: list[Seed]) -> bytes:
    other = rng.choice(pool).content
    return content[: _place(rng, content)] + other[_place(rng, other) :]


def _number(rng: random.Random, content: bytes, pool: list[Seed]) -> bytes:
    """A length or an offset that says something else."""
    form = rng.choice(("<H", "<I", "<Q", ">I", "<I", "<Q"))
    size = struct.calcsize(form)
    at = _place(rng, content) if rng.random() < 0.7 else max(len(content) - 8, 0)
    value = rng.choice(SIZES) if rng.random() < 0.7 else rng.randrange(4 * len(content) + 9)
    return content[:at] + struct.pack(form, value % 256**size) + content[at + size :]


def _varint(rng: random.Random, content: bytes, pool: list[Seed]) -> bytes:
    """A number as Parquet's metadata write it: seven bits a byte."""
    value, packed = rng.choice(SIZES), b""
    while value > 127:
        packed, value = packed + bytes([value & 127 | 128]), value >> 7
    at = _place(rng, content)
    return content[:at] + packed + bytes([value]) + content[at + rng.choice((1, 1, 2, 5)) :]


def _encode(rng: random.Random, content: bytes, pool: list[Seed]) -> bytes:
    """Text in another encoding, or with bytes in front."""
    text = content.decode("utf-8", "replace")
    return text.encode(rng.choice(("utf-16", "utf-32", "latin-1", "cp1252", "utf-8-sig")), "replace")


_CHANGES: Sequence[Change] = (
    _flip, _byte, _truncate, _insert, _insert, _insert, _field, _field, _field, _line, _cut, _repeat, _splice,
    _number, _number, _varint, _encode,
)  # fmt: skip


def _archive(rng: random.Random, members: Sequence[tuple[str, bytes]], pool: list[Seed]) -> bytes:
    """A ZIP archive that is whole, whatever is in it."""
    found = list(members)
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(found))
        name, content = found[at]
        what = rng.random()
        if what < 0.6:
            found[at] = name, _changed(rng, content, [Seed(content) for _, content in members])
        elif what < 0.7:
            name = rng.choice(
                ("../x.npy", "", "label.npy", "x", "x.npy/", "a\x1b[2J.npy", "X.npy", "é" * 99, "format.npy")
            )
            found[at] = name, content
        elif what < 0.8:
            found.append(rng.choice(rng.choice([seed for seed in pool if seed.members]).members))
        elif what < 0.9 and len(found) > 1:
            del found[at]
        else:
            found[at] = name, found[rng.randrange(len(found))][1]
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w") as archive:
        warnings.simplefilter("ignore")  # names that come twice
        for name, content in found:
            kind = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            archive.writestr(zipfile.ZipInfo(name), content, kind)  # of a fixed date: equal inputs are equal bytes
    return stream.getvalue()
