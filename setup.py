"""Build of the compiled library: one extension module per pyx of spreadcore.

SPREADCORE_DEBUG=1 turns runtime checks, -O0 -g and the address and undefined-behaviour
sanitizers on.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("SPREADCORE_DEBUG") == "1"
CFLAGS = [
    "-std=c11",
    "-D_GNU_SOURCE",
    "-Wall",
    "-Wextra",
    "-Wno-unused-function",
    "-Wno-sign-compare",
]
CFLAGS += ["-O0", "-g", "-fsanitize=address,undefined"] if DEBUG else ["-O2"]
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


def extensions() -> list[Extension]:
    root = Path("src")
    return [
        Extension(
            ".".join(source.relative_to(root).with_suffix("").parts),
            [str(source)],
            include_dirs=["src/spreadcore"],
            extra_compile_args=CFLAGS,
            extra_link_args=LDFLAGS,
            depends=[str(header) for header in root.glob("spreadcore/**/*.h")],
        )
        for source in sorted(root.glob("spreadcore/**/*.pyx"))
    ]


setup(
    ext_modules=cythonize(
        extensions(),
        compiler_directives=DIRECTIVES,
        include_path=["src"],
        build_dir="build/debug" if DEBUG else "build/c",  # Cython sees no change of directives
    )
)
