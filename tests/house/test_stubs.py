"""Each compiled module and its stub say the same: names, members, parameters, defaults."""

import ast
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = Path(__file__).parents[2] / "src"
MODULES = sorted(SOURCE.glob("spreadcore/**/*.pyx"))

# name, kind, default as Python reads it (... where there is none)
Parameter = tuple[str, str, object]


def dotted(pyx: Path) -> str:
    return ".".join(pyx.relative_to(SOURCE).with_suffix("").parts)


@pytest.fixture(params=MODULES, ids=dotted)
def pyx(request):
    return request.param


# -- what the stub says


def stub_of(pyx: Path) -> ast.Module:
    return ast.parse(pyx.with_suffix(".pyi").read_text())


def is_public(name: str) -> bool:
    return not name.startswith("_")


def names_in(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """Public names that a module or class body defines; imports define nothing."""
    found: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.setdefault(node.name, node)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
    return {name: node for name, node in found.items() if is_public(name)}


def is_property(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(d, ast.Name) and d.id == "property" for d in node.decorator_list
    )


def stub_parameters(function: ast.FunctionDef) -> list[Parameter]:
    spec = function.args
    plain = [*spec.posonlyargs, *spec.args]
    defaults = [None] * (len(plain) - len(spec.defaults)) + spec.defaults
    rows = [(a, "plain", d) for a, d in zip(plain, defaults, strict=True)]
    rows += [(a, "keyword", d) for a, d in zip(spec.kwonlyargs, spec.kw_defaults, strict=True)]
    return [
        (a.arg, kind, ast.literal_eval(d) if d is not None else ...)
        for a, kind, d in rows
        if a.arg != "self"
    ]


# -- what the module says


def own_names(module: ModuleType, pyx: Path) -> dict[str, object]:
    """Public names that the pyx defines: all it has, less what it imports."""
    imported = set()
    text = re.sub(r"\\\n", " ", pyx.read_text())
    for names in re.findall(r"^from [\w.]+ import (\([^)]*\)|.*)$", text, re.MULTILINE):
        imported |= set(re.findall(r"\w+", names))
    imported |= set(re.findall(r"^import (\w+)", text, re.MULTILINE))
    return {
        name: value for name, value in vars(module).items() if is_public(name)
        and name not in imported and not isinstance(value, ModuleType)
    }  # fmt: skip


def parameters(signature: inspect.Signature) -> list[Parameter]:
    kinds = {inspect.Parameter.KEYWORD_ONLY: "keyword"}
    return [
        (p.name, kinds.get(p.kind, "plain"), ... if p.default is p.empty else p.default)
        for p in signature.parameters.values()
        if p.name != "self"
    ]


def constructor_parameters(pyx: Path, cls: str) -> list[Parameter]:
    """Of __cinit__, from the source: compiled constructors have no signature to ask."""
    text = pyx.read_text()
    body = text[re.search(rf"^cdef class {cls}\b", text, re.MULTILINE).end() :]
    declared = re.search(r"def __cinit__\(self,?\s*(.*?)\):\n", body, re.DOTALL).group(1)
    found, kind = [], "plain"
    for part in filter(None, (" ".join(p.split()) for p in declared.split(","))):
        if part == "*":
            kind = "keyword"
            continue
        left, _, default = part.partition("=")
        name = left.removesuffix("not None").split()[-1]
        found.append((name, kind, ast.literal_eval(default) if default else ...))
    return found


def test_there_is_one_stub_per_module():
    assert [p.with_suffix(".pyi").name for p in MODULES] == [
        p.name for p in sorted(SOURCE.glob("spreadcore/**/*.pyi"))
    ]


def test_a_stub_has_signatures_and_no_prose(pyx):
    for node in ast.walk(stub_of(pyx)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            assert ast.get_docstring(node) is None
    assert "#" not in pyx.with_suffix(".pyi").read_text()


def test_public_names_agree(pyx):
    module = importlib.import_module(dotted(pyx))
    assert set(names_in(stub_of(pyx).body)) == set(own_names(module, pyx))


def test_parameters_of_functions_agree(pyx):
    module = importlib.import_module(dotted(pyx))
    for name, node in names_in(stub_of(pyx).body).items():
        if isinstance(node, ast.FunctionDef):
            found = parameters(inspect.signature(getattr(module, name)))
            assert stub_parameters(node) == found, name


def test_members_of_classes_agree(pyx):
    module = importlib.import_module(dotted(pyx))
    for name, node in names_in(stub_of(pyx).body).items():
        if not isinstance(node, ast.ClassDef):
            continue
        cls, said = getattr(module, name), names_in(node.body)
        if issubclass(cls, tuple):
            fields = [member for member in said if not is_property(said[member])]
            assert list(cls._fields) == fields, name
            assert all(isinstance(vars(cls)[m], property) for m in said if m not in fields), name
            continue
        assert set(said) == {m for m in vars(cls) if is_public(m)}, name
        for member, declared in said.items():
            value = vars(cls)[member]
            assert is_property(declared) == (not callable(value)), f"{name}.{member}"
            if callable(value):
                found = parameters(inspect.signature(value))
                assert stub_parameters(declared) == found, f"{name}.{member}"


def test_constructors_agree(pyx):
    for name, node in names_in(stub_of(pyx).body).items():
        inits = [n for n in getattr(node, "body", []) if getattr(n, "name", "") == "__init__"]
        for init in inits:
            assert stub_parameters(init) == constructor_parameters(pyx, name), name


def test_setters_are_declared(pyx):
    """A property that the pyx lets be set has its setter in the stub, and no other has."""
    setter = re.compile(r"^\s*@(\w+)\.setter$", re.MULTILINE)
    assert setter.findall(pyx.with_suffix(".pyi").read_text()) == setter.findall(pyx.read_text())
