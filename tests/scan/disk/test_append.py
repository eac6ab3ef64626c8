"""A file grows by whole blocks, whatever the disk takes of them."""

import errno
import os
import random

import pytest

from spreadscan.disk.append import AppendFile


@pytest.fixture
def file(tmp_path):
    opened = AppendFile(os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT | os.O_APPEND), 0)
    yield opened
    opened.close()


def test_blocks_tried_until_the_disk_takes_them_stand_there_once(file, tmp_path, monkeypatch):
    rng = random.Random(3)
    write, truncate = os.write, os.ftruncate

    def some(fd, block):
        match rng.randrange(4):
            case 0:
                raise OSError(errno.EIO, "no luck")
            case 1:
                return write(fd, block[: rng.randrange(len(block))])
        return write(fd, block)

    def may_fail(fd, size):
        if rng.random() < 0.5:
            raise OSError(errno.EIO, "no luck")
        truncate(fd, size)

    monkeypatch.setattr(os, "write", some)
    monkeypatch.setattr(os, "ftruncate", may_fail)
    blocks = [rng.randbytes(rng.randrange(1, 100)) for _ in range(200)]
    refused = torn = 0
    for block in blocks:
        while True:
            try:
                file.append(block)
            except OSError:
                refused += 1
                torn += file.torn
            else:
                break
    assert refused > torn > 20
    assert b"".join(blocks) == (tmp_path / "a").read_bytes()
    assert len(b"".join(blocks)) == file.size
