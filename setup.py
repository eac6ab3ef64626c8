"""Build of the compiled library: one extension module per pyx of spreadcore.

Two are built at a time, or as many as SPREADCORE_JOBS says. SPREADCORE_DEBUG=1 turns runtime
checks, -O0 -g and the address and undefined-behaviour sanitizers on. SPREADCORE_CFLAGS come last.
"""

import os
import shlex
import shutil
import sys
import sysconfig
import threading
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("SPREADCORE_DEBUG") == "1"
JOBS = int(os.environ.get("SPREADCORE_JOBS") or min(2, os.cpu_count() or 1))
CFLAGS = [
    "-std=c11",
    "-D_GNU_SOURCE",
    "-Wall",
    "-Wextra",
    "-Wno-unused-function",
    "-Wno-sign-compare",
]
# without debug information the compiler needs a third less time
CFLAGS += ["-O0", "-g", "-fsanitize=address,undefined"] if DEBUG else ["-O2", "-g0"]
CFLAGS += shlex.split(os.environ.get("SPREADCORE_CFLAGS", ""))
LDFLAGS = ["-fsanitize=address,undefined"] if DEBUG else []
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": DEBUG,
    "initializedcheck": DEBUG,
    "cdivision": True,
    "embedsignature": True,
    "freethreading_compatible": False,
}


class Build(build_ext):
    """Tells how far it is, where there is something to build."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or JOBS
        self._lock = threading.Lock()
        self._n_built = 0

    def build_extension(self, ext: Extension) -> None:
        super().build_extension(ext)
        with self._lock:
            self._n_built += 1
            n = len(self.extensions)
            if self._n_built % 8 == 0 or self._n_built == n:
                print(f"compiled {self._n_built} of {n} extensions", flush=True)


def extensions() -> list[Extension]:
    root = Path("src")
    sources = sorted(root.glob("spreadcore/**/*.pyx"))
    if not sources:
        sys.exit("spreadscan: found no src/spreadcore/*.pyx beside setup.py, expected the sources")
    return [
        Extension(
            ".".join(source.relative_to(root).with_suffix("").parts),
            [str(source)],
            include_dirs=["src/spreadcore"],
            extra_compile_args=CFLAGS,
            extra_link_args=LDFLAGS,
            depends=[str(header) for header in root.glob("spreadcore/**/*.h")],
        )
        for source in sources
    ]


def check_compiler() -> None:
    """End with a sentence where C cannot be compiled; pip shows little else of what happens."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    include = sysconfig.get_paths()["include"]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if not shutil.which(compiler):
        sys.exit(
            f"spreadscan: found no C compiler ({compiler}), expected one: "
            "apt install gcc libc6-dev, dnf install gcc, or CC=..."
        )
    if not Path(include, "Python.h").is_file():
        sys.exit(
            f"spreadscan: found no Python.h in {include}, expected Python's headers: "
            f"apt install {version}-dev, or dnf install {version}-devel"
        )


# SPREADCORE_BUILT=1: they lie in src/ already, and only the package is to be registered
BUILT = os.environ.get("SPREADCORE_BUILT") == "1"
building = {"build_ext", "build", "bdist_wheel", "editable_wheel", "develop", "install"}
if building.intersection(sys.argv) and not BUILT:
    check_compiler()
setup(
    ext_modules=[]
    if BUILT
    else cythonize(
        extensions(),
        nthreads=JOBS,
        compiler_directives=DIRECTIVES,
        include_path=["src"],
        build_dir="build/debug" if DEBUG else "build/c",  # Cython sees no change of directives
    ),
    cmdclass={"build_ext": Build},
)
