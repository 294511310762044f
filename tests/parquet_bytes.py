"""Parquet files byte by byte: what no library would write."""

from __future__ import annotations

import gzip
import struct

CODES = {"i32": 5, "i64": 6, "bytes": 8, "list": 9, "struct": 12}
WHOLE, TEXT = 2, 6


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def encoded(kind, value):
    if kind in ("i32", "i64"):
        return varint(value << 1 if value >= 0 else -value * 2 - 1)
    if kind == "bytes":
        return varint(len(value)) + value
    if kind == "struct":
        return thrift(*value)
    inner = kind.removeprefix("list ")
    return listing(inner, len(value)) + b"".join(encoded(inner, item) for item in value)


def listing(inner, length):
    """How a list begins, whether or not so many items follow."""
    return bytes([0xF0 | CODES[inner]]) + varint(length)


def thrift(*fields):
    """A structure of (number, kind, value) in the compact protocol."""
    out, last = b"", 0
    for number, kind, value in fields:
        out += bytes([number - last << 4 | CODES[kind.partition(" ")[0]]]) + encoded(kind, value)
        last = number
    return out + b"\0"


def page(kind, content, header, size=None):
    packed = gzip.compress(content, mtime=0)
    size = len(content) if size is None else size
    return thrift((1, "i32", kind), (2, "i32", size), (3, "i32", len(packed)), header) + packed


def enclosed(body, footer):
    return b"PAR1" + body + footer + struct.pack("<I", len(footer)) + b"PAR1"


def parquet(columns, *, rows=None, unpacked=None, page_size=None):
    """A file of columns (name, type, distinct values, runs of (length, which value)) that may tell lies.

    ``rows``, ``unpacked`` and ``page_size`` stand where the number of rows, the bytes of a column and of a page
    should.
    """
    body, chunks = b"", []
    schema = [[(4, "bytes", b"root"), (5, "i32", len(columns))]]
    for name, kind, values, runs in columns:
        text = kind == TEXT
        distinct = b"".join(struct.pack("<I", len(v)) + v if text else struct.pack("<q", v) for v in values)
        width = max(1, (len(values) - 1).bit_length())
        data = bytes([width]) + b"".join(varint(n << 1) + bytes([which]) for n, which in runs)
        count = sum(n for n, _ in runs)
        first = page(2, distinct, (7, "struct", [(1, "i32", len(values)), (2, "i32", 0)]), page_size)
        fields = [(1, "i32", count), (2, "i32", 8), (3, "i32", 3), (4, "i32", 3)]
        second = page(0, data, (5, "struct", fields))
        at = 4 + len(body)
        body += first + second
        schema.append([(1, "i32", kind), (3, "i32", 0), (4, "bytes", name), *([(6, "i32", 0)] if text else [])])
        chunk = [
            (1, "i32", kind),
            (2, "list i32", [0, 8]),
            (3, "list bytes", [name]),
            (4, "i32", 2),
            (5, "i64", count),
            (6, "i64", len(distinct) + len(data) if unpacked is None else unpacked),
            (7, "i64", len(first) + len(second)),
            (9, "i64", at + len(first)),
            (11, "i64", at),
        ]
        chunks.append([(2, "i64", at), (3, "struct", chunk)])
    rows = count if rows is None else rows
    group = [(1, "list struct", chunks), (2, "i64", 0), (3, "i64", rows)]
    return enclosed(
        body, thrift((1, "i32", 1), (2, "list struct", schema), (3, "i64", rows), (4, "list struct", [group]))
    )
