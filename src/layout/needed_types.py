#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""needed_types.py OUTPUT FILE...: every kernel type that C files ask for by name, as a C table, so that no list of
them has to be kept beside the code."""

import pathlib
import re
import sys

PATTERNS = [
    (re.compile(r'"((?:struct|union|enum) [a-z][a-z0-9_]*)"'), ""),
    (re.compile(r'\bRECORD\(\s*[^,]+,\s*"(\w+)"'), "struct "),
    (re.compile(r'\boperations_judge\(\s*[^,]+,\s*"(\w+)"'), "struct "),
    (re.compile(r'\btypes_enum_(?:value|name)\(\s*[^,]+,\s*"(\w+)"'), "enum "),
]


def needed(paths):
    names = set()
    for path in paths:
        text = pathlib.Path(path).read_text(encoding="utf-8")
        for pattern, keyword in PATTERNS:
            names.update(keyword + name for name in pattern.findall(text))
    return sorted(names)


def main():
    output, *paths = sys.argv[1:]
    lines = "".join(f'\t"{name}",\n' for name in needed(paths))
    pathlib.Path(output).write_text(
        '#include "layout/needed_types.h"\n\n'
        "#include <stddef.h>\n\n"
        f"const char *const needed_types[] = {{\n{lines}\tNULL,\n}};\n", encoding="utf-8")


if __name__ == "__main__":
    main()
