"""Build a Cython file that cimports spreadcore from outside, as another package would.

Used by the stress tests and the benches: build(source, out_dir) compiles in a process of its
own, so that the caller stays free of compiler machinery, and returns the imported module.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import spreadcore

PACKAGES = Path(spreadcore.get_include()).parent  # where `spreadcore/*.pxd` are found


def build(source: Path, out_dir: Path) -> ModuleType:
    """Compile `source` into out_dir and import it; RuntimeError with the compiler's words."""
    return load(compiled(source, out_dir))


def compiled(source: Path, out_dir: Path, **env: str) -> Path:
    """Compile `source` into out_dir; env: changes of the compiler's environment."""
    command = [sys.executable, __file__, str(source), str(out_dir)]
    paths = [str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{source}: does not compile:\n{done.stdout}")
    return next(out_dir.glob(f"{source.stem}.*.so"))


def load(file: Path) -> ModuleType:
    """Import a Python or extension file that is on no path."""
    name = file.name.partition(".")[0]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _compile(source: Path, out_dir: Path) -> None:
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    copy = shutil.copy(source, out_dir)  # so that nothing is written beside the source
    extension = Extension(
        source.stem,
        [copy],
        include_dirs=[spreadcore.get_include()],
        extra_compile_args=["-O2"],
    )
    modules = cythonize(
        [extension],
        include_path=[str(PACKAGES)],
        compiler_directives={"language_level": 3, "boundscheck": False, "cdivision": True},
    )
    command = Distribution({"name": source.stem, "ext_modules": modules}).get_command_obj(
        "build_ext"
    )
    command.build_lib = str(out_dir)
    command.build_temp = str(out_dir / "objects")
    command.ensure_finalized()
    command.run()


if __name__ == "__main__":
    _compile(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
