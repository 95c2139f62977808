#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""qemu:SOCKET: the tool on a server of QEMU's machine protocol that is not QEMU, well-behaved and
otherwise. usage: test_qemu.py KIOKU"""

import array
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

TOOL = None
CORPUS = pathlib.Path(__file__).resolve().parent.parent / "fuzz/corpus/monitor_format"
MIB = 1 << 20
MEMORY = random.Random(6).randbytes(4 * MIB)
# Two backends; firmware's locked copies are RAM, a device's memory and a device are not.
MAP = """FlatView #0\r
 AS "memory", root: system\r
 Root memory region: system\r
  0000000000000000-00000000000bffff (prio 0, ram): low\r
  00000000000c0000-00000000000dffff (prio 1, rom): low @00000000000c0000\r
  00000000000e0000-00000000000fffff (prio 0, rom): pc.bios @0000000000020000\r
  0000000000100000-00000000002fffff (prio 0, ram): low @0000000000100000\r
  00000000f0000000-00000000f0ffffff (prio 1, ram): vga.vram\r
  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic\r
  0000000100000000-00000001000fffff (prio 0, ram): high\r
\r
"""
SIZES = {"low": 3 * MIB, "high": MIB}


class Server:
    """As QEMU answers; subclasses do not. Files of backends: {name: path}."""

    files = {}
    map = MAP

    def __init__(self, folder):
        self.path = folder / "q m,p=\u00fc"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(1)
        self.commands, self.handed = [], {}
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(20)
        self.path.unlink(missing_ok=True)
        for descriptor in self.handed.values():
            os.close(descriptor)

    def serve(self):
        try:
            self.link, _ = self.listener.accept()
        except OSError:
            return
        with self.link:
            try:
                self.talk()
            except OSError:
                pass

    def talk(self):
        self.greet()
        received = b""
        while True:
            part, messages, _, _ = self.link.recvmsg(65536, socket.CMSG_SPACE(4))
            for _, _, data in messages:
                self.descriptor = array.array("i", data)[0]
            if not part:
                return
            received += part
            while b"\n" in received:
                line, received = received.split(b"\n", 1)
                self.obey(json.loads(line))

    def greet(self):
        self.send({"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}})

    def send(self, answer):
        self.link.sendall(json.dumps(answer).encode() + b"\r\n")

    def obey(self, command):
        name, arguments = command["execute"], command.get("arguments", {})
        self.commands.append((name, arguments))
        self.send({"event": "RTC_CHANGE", "data": {"offset": 1}, "timestamp": {}})
        try:
            value = getattr(self, "do_" + name.replace("-", "_"))(**{
                key.replace("-", "_"): value for key, value in arguments.items()})
        except Exception as error:
            self.send({"id": command["id"], "error": {"class": "GenericError",
                                                      "desc": str(error)}})
        else:
            self.send({"return": value, "id": command["id"]})

    def do_qmp_capabilities(self):
        return {}

    def do_human_monitor_command(self, command_line):
        if command_line == "info mtree -f":
            return self.map
        if command_line == "info memdev":
            return "".join(f"memory backend: {name}\r\n  size: 1\r\n" for name in SIZES)
        return (CORPUS / "registers").read_text()

    def do_qom_get(self, path, property):
        name = path.removeprefix("/objects/")
        values = {"share": name in self.files, "size": SIZES[name]}
        if name in self.files:
            values["mem-path"] = str(self.files[name])
        if property not in values:
            raise ValueError(f"Property '{property}' not found")
        return values[property]

    def do_add_fd(self):
        if not hasattr(self, "descriptor"):
            raise ValueError("No file descriptor supplied via SCM_RIGHTS")
        self.handed[3] = self.descriptor
        return {"fdset-id": 3, "fd": self.descriptor}

    def do_remove_fd(self, fdset_id):
        os.close(self.handed.pop(fdset_id))
        return {}

    def do_pmemsave(self, val, size, filename):
        with open(filename, "wb") as file:
            file.write(self.memory(val, size))
        return {}

    def memory(self, physical, size):
        start = physical if physical < 3 * MIB else physical - (4 << 30) + 3 * MIB
        return MEMORY[start:start + size]


class Remote(Server):
    """Behind something that passes on bytes, but no descriptors."""

    def do_add_fd(self):
        raise ValueError("No file descriptor supplied via SCM_RIGHTS \x1b[31m")


class Short(Server):
    def memory(self, physical, size):
        return super().memory(physical, size - 1)


class Refusing(Server):
    def do_pmemsave(self, val, size, filename):
        raise ValueError("Could not open '/proc/self/fd/9': Permission denied")


class Deaf(Server):
    def talk(self):
        while self.link.recv(65536):
            pass


def says(text, wait=True):
    """A server that says this and, unless it waits for an end, is gone."""
    def talk(self):
        self.link.sendall(text)
        while wait and self.link.recv(65536):
            pass
    return type("Says", (Server,), {"talk": talk})


def answers(**commands):
    """A server that answers certain commands, by the start of their name, with these bytes."""
    def obey(self, command):
        for start, text in commands.items():
            if command["execute"].startswith(start):
                return self.link.sendall(text % {b"id": command["id"]} if b"%(" in text else text)
        return Server.obey(self, command)
    return type("Answers", (Server,), {"obey": obey})


class Flood(Server):
    def talk(self):
        while True:
            self.link.sendall(b"x" * 65536)


HOSTILE = {
    "no JSON": (says(b"QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) "),
                "speaks no QMP"),
    "JSON, but no object": (says(b"[]\n"), "speaks no QMP"),
    "no greeting": (says(b'{"return": {}}\n'), "speaks no QMP"),
    "depth": (says(b'{"QMP":' * 5000 + b"\n"), "speaks no QMP"),
    "hangs up": (says(b"", wait=False), "closed the connection"),
    "hangs up in a line": (says(b'{"QMP"', wait=False), "closed the connection"),
    "a line without end": (Flood, "has no end"),
    "no object": (answers(human=b'"text"\r\n'), "speaks no QMP"),
    "no text": (answers(human=b'{"return": [1], "id": %(id)d}\n'), "the answer is no text"),
    "no map": (answers(human=b'{"return": "unknown command", "id": %(id)d}\n'),
               "does not say where RAM is"),
    "another's answer": (answers(human=b'{"return": "", "id": 99}\n{"return": "", "id": %(id)d}\n'),
                         "does not say where RAM is"),
    "an error without words": (answers(human=b'{"error": 1, "id": %(id)d}\n'), "does not say why"),
    "no descriptor": (answers(add=b'{"return": {}, "id": %(id)d}\n'), "names no descriptor"),
    "on another machine": (Remote, "only to who is on its own machine"),
}


class Tests(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def file(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def files(self):
        return {"low": self.file("low ram", MEMORY[:3 * MIB]),
                "high": self.file("high", MEMORY[3 * MIB:])}

    def run_tool(self, kind, *arguments):
        self.server = kind(self.folder)
        self.addCleanup(self.server.close)
        done = subprocess.run([TOOL, arguments[0], f"qemu:{self.server.path}", *arguments[1:]],
                              capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        self.errors = done.stderr.decode()
        self.server.close()
        return done

    def read(self, kind, at, size):
        return self.run_tool(kind, "read", hex(at), str(size), "--physical", "--format", "raw")

    def names(self):
        return [name for name, _ in self.server.commands]

    def check_memory(self, kind):
        for at, size, start in ((0, 16, 0), (0xBFFF0, 0x20000, 0xBFFF0), (0x100003, 70000, 0x100003),
                                (4 << 30, MIB, 3 * MIB)):
            with self.subTest(at=at, size=size):
                done = self.read(kind, at, size)
                self.assertEqual(done.returncode, 0, self.errors)
                self.assertTrue(done.stdout == MEMORY[start:start + size])
        for at in (0xE0000, 0xF0000000, 0xFEC00000, 0x300000):
            self.assertEqual(self.read(kind, at, 16).returncode, 1)
            self.assertIn("not in the image", self.errors)

    def test_monitor(self):
        self.check_memory(Server)
        self.assertIn("memory is read through QEMU's monitor: low: QEMU shares it with nobody",
                      self.errors)

    def test_files(self):
        kind = type("Shared", (Server,), {"files": self.files()})
        self.check_memory(kind)
        self.assertEqual(self.errors.count("note"), 0)

    def test_one_file(self):
        kind = type("Shared", (Server,), {
            "files": {"low": self.file("low", MEMORY[:3 * MIB])},
            "map": "".join(line for line in MAP.splitlines(True) if "high" not in line)})
        done = self.read(kind, 0x200000, MIB)
        self.assertTrue(done.stdout == MEMORY[2 * MIB:3 * MIB], self.errors)
        image = self.folder / "image.lime"
        done = self.run_tool(kind, "acquire", "-o", str(image))
        self.assertIn(done.returncode, (0, 3), self.errors)
        done = subprocess.run([TOOL, "read", image, "0x200000", "1M", "--physical", "--format",
                               "raw"], capture_output=True)
        self.assertTrue(done.stdout == MEMORY[2 * MIB:3 * MIB])

    def test_what_is_mapped_is_compared(self):
        files = self.files() | {"high": self.file("other", bytes(MIB))}
        done = self.read(type("Other", (Server,), {"files": files}), 0, 16)
        self.assertEqual(done.returncode, 1)
        self.assertIn("holds something else than its machine", self.errors)
        kind = type("Blind", (Refusing,), {"files": self.files()})
        self.assertTrue(self.read(kind, 0, 16).stdout == MEMORY[:16], self.errors)
        self.assertIn("warning: the file that QEMU names cannot be compared", self.errors)

    def test_files_that_cannot_be_used(self):
        files = self.files()
        for path, words in ((self.folder, "has no name any more"),
                            (self.folder / "gone", "cannot be opened: No such file"),
                            (self.file("short", MEMORY[3 * MIB:-1]), "shorter than the memory"),
                            ("relative", "begins where QEMU runs")):
            with self.subTest(words):
                kind = type("Unusable", (Server,), {"files": files | {"high": path}})
                self.assertTrue(self.read(kind, 0, 16).stdout == MEMORY[:16], self.errors)
                self.assertIn("read through QEMU's monitor: high: ", self.errors)
                self.assertIn(words, self.errors)

    def test_nothing_is_left_behind(self):
        before = sorted(os.listdir(self.folder))
        self.read(Server, 0, MIB // 2)
        self.assertIn(("remove-fd", {"fdset-id": 3}), self.server.commands)
        self.assertEqual(sorted(os.listdir(self.folder)), before)
        for _, arguments in self.server.commands:
            self.assertTrue(arguments.get("filename", "/proc/self/fd/").startswith("/proc/self/fd/"))
            self.assertLessEqual(arguments.get("size", 0), MIB)

    def test_what_is_not_saved_is_absent(self):
        for kind in (Short, Refusing):
            self.assertNotEqual(self.read(kind, 0x1000, 16).returncode, 0)
            self.assertIn("0x1000", self.errors)

    def test_hostile(self):
        for name, (kind, words) in HOSTILE.items():
            with self.subTest(name):
                done = self.read(kind, 0, 16)
                self.assertEqual(done.returncode, 1, self.errors)
                self.assertIn(words, self.errors)
                self.assertNotIn("\x1b", self.errors)

    def test_silence(self):
        self.assertEqual(self.read(Deaf, 0, 16).returncode, 1)
        self.assertIn("no greeting", self.errors)

    def test_no_socket(self):
        gone = self.folder / "gone"
        with socket.socket(socket.AF_UNIX) as nobody:
            nobody.bind(str(gone))
        for where, words in ((gone, "Connection refused"), (self.file("f", b""), "is no socket"),
                             (self.folder / "nothing", "No such file"), ("", "No such file")):
            with self.subTest(words):
                done = subprocess.run([TOOL, "info", f"qemu:{where}"], capture_output=True)
                self.assertEqual(done.returncode, 1)
                self.assertIn(words, done.stderr.decode())

    def test_a_path_longer_than_an_address(self):
        deep = self.folder / ("d" * 100) / ("e" * 100)
        deep.mkdir(parents=True)
        server = Server(self.folder)
        os.rename(server.path, deep / "qmp")
        self.addCleanup(server.close)
        done = subprocess.run([TOOL, "read", f"qemu:{deep}/qmp", "0", "16", "--physical",
                               "--format", "raw"], capture_output=True)
        self.assertTrue(done.stdout == MEMORY[:16], done.stderr)


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
