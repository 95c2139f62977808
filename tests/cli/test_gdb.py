#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""gdb://: the tool on a debugger stub that is not QEMU's, well-behaved and otherwise.
usage: test_gdb.py KIOKU"""

import json
import os
import pathlib
import random
import re
import socket
import subprocess
import sys
import threading
import unittest

TOOL = None
CORPUS = pathlib.Path(__file__).resolve().parent.parent / "fuzz/corpus/monitor_format"
MEMORY = random.Random(5).randbytes(8 << 20)  # from physical address 0 on
RAM_END = 0x20000000                          # as i440fx says it
QUIET = "timeout=300"                         # ms: for stubs that never answer


def packet(data):
    return b"$" + data + b"#%02x" % (sum(data) & 255)


class Stub:
    """Answers as QEMU 7.2 does; subclasses do not. commands: what it was asked, in order."""

    running = True
    packet_size = 0x1000
    version = "7.2.22"

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.commands, self.physical, self.ended = [], "0", None
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # accept() ends, if nobody came
        except OSError:
            pass
        self.listener.close()
        self.thread.join(20)

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
        if self.running:
            self.send(b"T02thread:01;")
        received = b""
        while part := self.link.recv(65536):
            received += part
            while match := re.match(rb"[+-]*\$([^#]*)#..", received, re.S):
                received = received[match.end():]
                self.commands.append(match[1].decode())
                self.link.sendall(b"+")
                self.answer(match[1].decode())

    def send(self, data):
        self.link.sendall(packet(data))

    def answer(self, command):
        if command.startswith("qSupported"):
            self.send(b"PacketSize=%x;qXfer:features:read+" % self.packet_size)
        elif command == "qqemu.PhyMemMode":
            self.send(self.physical.encode())
        elif command.startswith("Qqemu.PhyMemMode:"):
            self.physical = command[-1]
            self.send(b"OK")
        elif command.startswith("qRcmd,"):
            for line in self.monitor(bytes.fromhex(command[6:]).decode()).splitlines(True):
                self.send(b"O" + line.encode().hex().encode())
            self.send(b"OK")
        elif command.startswith("m"):
            at, size = (int(number, 16) for number in command[1:].split(","))
            self.memory(at, size)
        elif command == "D":
            self.ended = "resumed"
            self.send(b"OK")
        else:
            self.send(b"")

    def memory(self, at, size):
        if size > self.packet_size // 2:
            self.send(b"E22")
        else:
            self.send(MEMORY[at:at + size].ljust(size, b"\0").hex().encode())

    def monitor(self, command):
        files = {"info mtree -f": "i440fx", "info registers -a": "registers"}
        if command == "info version":
            return f"{self.version}\r\n"
        if command == "info memdev":
            return "memory backend: pc.ram\r\n  size:  536870912\r\n"
        return (CORPUS / files[command]).read_text()


class Stopped(Stub):
    running = False


class Newer(Stopped):
    """Says nothing of having stopped, as since 8.1."""
    version = "10.0.2 (Debian)"


class Small(Stub):
    """Takes little, packs it, and says that it stopped again and again."""
    packet_size = 0x50

    def memory(self, at, size):
        self.send(b"T05thread:01;")
        super().memory(at, size)

    def send(self, data):
        super().send(re.sub(rb"(00)\1{3}(?!0)", lambda _: b"0*$", data))  # eight zeros


class WithoutMonitor(Stub):
    def answer(self, command):
        if command.startswith("qRcmd"):
            self.send(b"")
        else:
            super().answer(command)


class Virtual(Stub):
    """Some other stub, which knows of no physical addresses."""

    def answer(self, command):
        if "qemu" in command:
            self.send(b"")
        else:
            super().answer(command)


class Refusing(Stub):
    def memory(self, at, size):
        self.send(b"E14" if at >= 0x200000 else MEMORY[at:at + size].hex().encode())


class Short(Stub):
    def memory(self, at, size):
        self.send(MEMORY[at:at + 5].hex().encode())


def raw(name, **answers):
    """A stub that sends bytes as they are: to everything, or to what begins so."""
    def answer(self, command):
        for start, data in answers.items():
            if command.lower().startswith(start):
                if data is None:
                    self.link.shutdown(socket.SHUT_RDWR)
                else:
                    self.link.sendall(data)
                return
        Stub.answer(self, command)
    return type(name, (Stub,), {"answer": answer})


class Endless(Stub):
    """Sends, whatever is said, the same until nobody listens."""
    flood = b"+"

    def talk(self):
        while True:
            self.link.sendall(self.flood * 4096)


class Deaf(Stub):
    def talk(self):
        while self.link.recv(65536):
            pass


HOSTILE = {
    "silent from the start": (Deaf, "does not answer in time"),
    "silent on memory": (raw("Silent", m=b""), "does not answer in time"),
    "acks without end": (Endless, "does not answer in time"),
    # Each is acknowledged, to somebody who does not read: on a fast machine there is soon no room for that.
    "stops without end": (type("Stops", (Endless,), {"flood": packet(b"T05")}), "in time|takes no more requests"),
    "noise without end": (type("Noise", (Endless,), {"flood": b"x"}), "in time"),
    "a packet without end": (type("Long", (Endless,), {"flood": b"$0"}), "too long"),
    "hangs up": (raw("Closed", q=None), "has closed the connection"),
    "hangs up on memory": (raw("Cut", m=None), "has closed the connection"),
    "wrong sum": (raw("Sum", m=b"$00#61"), "damaged packet"),
    "no sum": (raw("NoSum", m=b"$00#zz"), "damaged packet"),
    "more than was asked for": (raw("More", m=packet(b"00" * 4096)), "something else than memory"),
    "an odd digit": (raw("Odd", m=packet(b"00000")), "something else than memory"),
    "no digits": (raw("NoDigits", m=packet(b"OK")), "something else than memory"),
    "a bomb": (raw("Bomb", m=packet(b"0" + b"*~" * 9000)), "too long"),
    "not acknowledged": (raw("Refused", q=b"-" * 4), "damaged packets"),
    "packets of no size": (raw("Nothing", qsup=packet(b"PacketSize=1")), "no size"),
    "a monitor without end": (raw("Talker", qrcmd=packet(b"O" + b"20" * 1000) * 5000), "too much"),
    "a monitor that says no text": (raw("Text", qrcmd=packet(b"Oxx")), "no text"),
    "physical addresses are refused": (Virtual, "by virtual address only"),
}


class Tests(unittest.TestCase):
    def run_tool(self, stub, *arguments, options=()):
        self.stub = stub()
        self.addCleanup(self.stub.close)
        where = "&".join((f"gdb://127.0.0.1:{self.stub.port}?timeout=20000", *options))
        done = subprocess.run([TOOL, arguments[0], where, *arguments[1:]], capture_output=True,
                              timeout=60, stdin=subprocess.DEVNULL)
        self.errors = done.stderr.decode()
        return done

    def read(self, stub, at, size, *more, options=()):
        return self.run_tool(stub, "read", hex(at), str(size), "--physical", "--format", "raw",
                             *more,
                             options=options)

    def test_memory(self):
        for stub in (Stub, Stopped, Newer, Small):
            for at, size in ((0, 1), (0x1003, 9000), (0x123456, 1 << 17)):
                with self.subTest(stub=stub.__name__, at=at, size=size):
                    done = self.read(stub, at, size)
                    self.assertEqual(done.returncode, 0, self.errors)
                    self.assertTrue(done.stdout == MEMORY[at:at + size])

    def test_only_ram_is_asked_for(self):
        self.assertEqual(self.read(Stub, 0xFEC00000, 16).returncode, 1)
        self.assertIn("not in the image", self.errors)
        self.assertFalse([word for word in self.stub.commands if word.startswith("m")])
        self.assertEqual(self.read(Stub, RAM_END - 8, 16).returncode, 3)
        self.assertEqual([word for word in self.stub.commands if word.startswith("m")],
                         [f"m{RAM_END - 8:x},8"])

    def test_packets_are_as_large_as_may_be(self):
        self.read(Stub, 0x100000, 8192)
        self.assertEqual([word for word in self.stub.commands if word.startswith("m")],
                         [f"m{at:x},800" for at in range(0x100000, 0x102000, 0x800)])

    def test_the_machine_is_left_as_it_was_found(self):
        for stub, options, resumed in ((Stub, (), True), (Stopped, (), False), (Newer, (), True),
                                       (Stub, ("resume=no",), False),
                                       (Stopped, ("resume=yes",), True)):
            with self.subTest(stub=stub.__name__, options=options):
                self.read(stub, 0, 16, options=options)
                self.stub.close()
                self.assertEqual(self.stub.ended == "resumed", resumed)
                self.assertEqual(self.stub.physical, "0")
                self.assertIn("and then runs on" if resumed else "and stays so", self.errors)

    def test_it_runs_on_after_failures(self):
        self.assertEqual(self.read(Virtual, 0, 16).returncode, 1)
        self.stub.close()
        self.assertEqual(self.stub.ended, "resumed")

    def test_what_is_refused_is_absent(self):
        self.assertEqual(self.read(Refusing, 0x1FFFF0, 16).returncode, 0, self.errors)
        done = self.read(Refusing, 0x1FFFF0, 32)
        self.assertEqual(done.returncode, 3)
        self.assertTrue(done.stdout == MEMORY[0x1FFFF0:0x200000])
        self.assertIn("gap: 0x200000-0x20000f", self.errors)
        self.assertNotEqual(self.read(Short, 0x1000, 16).returncode, 0)

    def test_without_a_monitor(self):
        """Only conventional memory is sure then, as long as nobody has asked the kernel."""
        info = self.run_tool(WithoutMonitor, "info", "--format", "json", "--no-cache")
        self.assertEqual(json.loads(info.stdout)["source"]["ranges"][0]["size"], 0xA0000, self.errors)
        asked = [word for word in self.stub.commands if word.startswith("m")]
        self.assertTrue(asked)
        for word in asked:
            at, size = (int(number, 16) for number in word[1:].split(","))
            self.assertLessEqual(at + size, 0xA0000)

    def test_hostile(self):
        for name, (stub, words) in HOSTILE.items():
            with self.subTest(name):
                wait = [] if "time" not in words else [QUIET]
                done = self.read(stub, 0x1000, 16, options=wait)
                self.assertEqual(done.returncode, 1, self.errors)
                self.assertRegex(self.errors, words)
                self.assertEqual(done.stdout, b"")

    def test_nobody_is_there(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        done = subprocess.run([TOOL, "info", f"gdb://localhost:{port}"], capture_output=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"Connection refused", done.stderr)

    def test_urls(self):
        for where, words in (("gdb:127.0.0.1:1", "a debugger stub is gdb://"),
                             ("gdb://", "a debugger stub is gdb://"),
                             ("gdb://host:1", "names are not looked up"),
                             ("gdb://127.0.0.1:99999", "port"),
                             ("gdb://127.0.0.1:1/x", "a debugger stub is gdb://"),
                             ("gdb://127.0.0.1:1?resume=maybe", "is no parameter"),
                             ("gdb://127.0.0.1:1?timeout=0", "is no parameter"),
                             ("gdb://127.0.0.1:1?timeout=-1", "is no parameter")):
            with self.subTest(where):
                done = subprocess.run([TOOL, "info", where], capture_output=True)
                self.assertEqual(done.returncode, 1)
                self.assertIn(words, done.stderr.decode())


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
