"""Compressed files of text: what is in them, and no more memory than unpacking needs."""

import lzma
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from tools.fuzz.seeds import packers

from learnability.datasets import read_table
from learnability.datasets.packed import open_packed

TEXT = b"x,label\n" + b"".join(b"%d,%d\n" % (k, k % 2) for k in range(50_000))


@pytest.mark.parametrize(
    "content",
    [
        lzma.compress(TEXT, preset=9),
        lzma.compress(TEXT, preset=0),
        lzma.compress(TEXT[:9_000]) + lzma.compress(TEXT[9_000:]),
        lzma.compress(TEXT[:9_000]) + bytes(8) + lzma.compress(TEXT[9_000:]) + bytes(400),
        lzma.compress(TEXT[:9_000]) + bytes(2**17) + lzma.compress(TEXT[9_000:]),
    ],
)
def test_xz_is_unpacked_as_lzma_does_it(content, tmp_path):
    path = tmp_path / "table.csv.xz"
    path.write_bytes(content)
    with open_packed(path) as stream:
        assert stream.read() == TEXT
    found = read_table(path, "label")
    np.testing.assert_array_equal(found.X[:, 0], np.arange(50_000))


@pytest.mark.parametrize("cut", [1, 30, 2_000, -1])
def test_a_truncated_or_longer_xz_is_damaged(cut, tmp_path):
    path = tmp_path / "table.csv.xz"
    path.write_bytes(lzma.compress(TEXT)[:cut])
    with pytest.raises(ValueError, match=r"table\.csv\.xz cannot be read, it is truncated or damaged"):
        read_table(path, "label")
    path.write_bytes(lzma.compress(TEXT) + b"more")
    with pytest.raises(ValueError, match=r"table\.csv\.xz cannot be read, it is truncated or damaged"):
        read_table(path, "label")


def test_xz_that_asks_for_4_gigabytes_is_refused_before_it_gets_them(tmp_path):
    packed = bytearray(lzma.compress(TEXT, preset=0))
    size = 4 * (packed[12] + 1)
    packed[packed.index(b"\x21\x01", 12) + 2] = 40  # the size of the window
    packed[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(packed[12 : 12 + size - 4]))
    assert lzma.decompress(packed) == TEXT
    path = tmp_path / "table.csv.xz"
    path.write_bytes(packed)
    with pytest.raises(ValueError, match=r"table\.csv\.xz cannot be read.*emory usage limit"):
        read_table(path, "label")


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
def test_two_hundred_packed_megabytes_take_little_memory(suffix, tmp_path):
    if suffix not in packers():
        pytest.skip("backports.zstd is not installed")
    command = (
        "import resource, sys\n"
        "from tools.fuzz.seeds import packers\n"
        "from learnability.datasets import read_table\n"
        "pack = packers()[sys.argv[1][sys.argv[1].rindex('.'):]]\n"
        "line = b'1,' + b'a' * 100_000 + b'\\n'\n"
        "before = pack(b'x,label\\n')\n"
        "with open(sys.argv[1], 'wb') as stream:\n"
        "    stream.write(before)\n"
        "    part = pack(line * 50)\n"
        "    for _ in range(40): stream.write(part)\n"
        "used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n"
        "    read_table(sys.argv[1], 'label', memory=2e8)\n"
        "except ValueError as error:\n"
        "    print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used)\n"
    )
    path = tmp_path / f"table.csv{suffix}"
    done = subprocess.run([sys.executable, "-c", command, str(path)], capture_output=True, text=True, check=True)
    message, grown = done.stdout.splitlines()
    assert "must hold texts of at most 1,000 characters in the column 'label'" in message
    assert int(grown) < 150_000
    assert len(message) < 300
