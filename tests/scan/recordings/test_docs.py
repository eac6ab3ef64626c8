"""The reader in docs/recordings.md reads what is recorded."""

import re
import subprocess
import sys
from pathlib import Path

from scan.recordings.kit import frames_of, make

ROOT = Path(__file__).parents[3]


def test_the_reader_in_the_docs(tmp_path):
    folder = make(
        tmp_path / "rec", {"okx-spot": frames_of(60), "mexc-spot": frames_of(7)}, file_bytes=300
    )
    page = (ROOT / "docs/recordings.md").read_text("utf-8")
    program = next(
        code for code in re.findall(r"```python\n(.*?)```", page, re.S) if "HEAD" in code
    )
    assert len(program.splitlines()) <= 32
    out = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        capture_output=True, text=True, timeout=30, check=True,
    ).stdout.splitlines()  # fmt: skip
    expected = [
        "\t".join(map(str, (recv_ns, source, link, n, opcode, payload)))
        for source, count in (("mexc-spot", 7), ("okx-spot", 60))
        for n, (recv_ns, link, opcode, payload) in enumerate(frames_of(count))
    ]
    assert expected == out
