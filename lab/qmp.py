# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMU's machine protocol: one JSON object a line, over an open socket."""

import json


class QMPError(Exception):
    """QEMU refused a command, or has gone."""


class QMP:
    def __init__(self, socket, timeout=900):
        socket.settimeout(timeout)
        self._stream = socket.makefile("rw", encoding="utf-8", newline="\n")
        self._read()  # the greeting
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        """Run a command and return its answer; events that arrive meanwhile are passed over."""
        try:
            self._stream.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
            self._stream.flush()
            while True:
                answer = self._read()
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    raise QMPError(f"{name}: {answer['error']['desc']}")
        except OSError as error:
            raise QMPError(f"{name}: {error}") from error

    def _read(self):
        line = self._stream.readline()
        if not line:
            raise QMPError("QEMU has ended")
        return json.loads(line)
