#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes C of the page's style and script: their text, and the digest that its Content-Security-Policy
knows them by. usage: embed.py STYLE SCRIPT OUTPUT"""

import base64
import hashlib
import pathlib
import sys


def literal(text):
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(f'\n\t"{line}\\n"' for line in quoted.splitlines())


def main():
    style, script, output = map(pathlib.Path, sys.argv[1:])
    lines = ["/* Made by cli/report/embed.py; declared in report_page.h. */"]
    for name, path in (("style", style), ("script", script)):
        # The element's whole text: what the page writer puts between the tags.
        text = "\n".join(path.read_text(encoding="ascii").splitlines()) + "\n"
        if "</" + name in text.lower() or "<!--" in text:
            sys.exit(f"{path}: it would end its own element")
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        lines.append(f"extern const char report_{name}[], report_{name}_digest[];")
        lines.append(f"const char report_{name}[] ={literal(text)};")
        lines.append(f'const char report_{name}_digest[] = "sha256-{digest}";')
    output.write_text("\n".join(lines) + "\n", encoding="ascii")


main()
