"""The public modules of the package, found rather than listed."""

import importlib
import pkgutil

import skcalib

MODULES = [
    skcalib,
    *(
        importlib.import_module(f"skcalib.{room.name}")
        for room in pkgutil.iter_modules(skcalib.__path__)
        if not room.name.startswith("_")
    ),
]
