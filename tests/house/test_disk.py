"""What renames, syncs or writes a whole file is in the disk room, and nowhere else."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "spreadscan"
OF_MODULES = {
    "os": {"replace", "rename", "renames", "fsync", "fdatasync", "link"},
    "shutil": {"copy", "copy2", "copyfile", "move"},
    "tempfile": {"mkstemp", "NamedTemporaryFile", "TemporaryFile"},
}
OF_PATHS = {"rename", "write_text", "write_bytes"}


def faults(text: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module in OF_MODULES:
            found += [a.name for a in node.names if a.name in OF_MODULES[node.module]]
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, of = node.func.attr, node.func.value
        module = of.id if isinstance(of, ast.Name) else ""
        # str.replace() takes two arguments, Path.replace() one
        path_replace = name == "replace" and len(node.args) == 1 and not node.keywords
        if name in OF_MODULES.get(module, ()) or name in OF_PATHS or path_replace:
            found.append(f"{ast.unparse(of)}.{name}")
    return found


MODULES = sorted(path for path in SRC.rglob("*.py") if path.parent.name != "disk")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_files_come_and_go_through_the_disk_room(path):
    assert [] == faults(path.read_text("utf-8"))


@pytest.mark.parametrize("line", [
    "os.replace(a, b)", "os.rename(a, b)", "os.fsync(fd)", "part.replace(path)",
    "part.rename(path)", "path.write_bytes(b'')", "path.write_text('')", "shutil.copyfile(a, b)",
    "tempfile.mkstemp()", "from os import fsync",
])  # fmt: skip
def test_each_of_these_would_be_found(line):
    assert 1 == len(faults(line))
    assert [] == faults("text.replace('a', 'b'); stamp.replace(tzinfo=UTC)")
