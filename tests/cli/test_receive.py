#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""kioku receive against senders of this script's own, good and bad ones. Only the loopback interface is
used. usage: test_receive.py KIOKU"""

import contextlib
import hashlib
import json
import os
import pathlib
import queue
import random
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "transfer"))
sys.path.insert(0, str(HERE.parent / "store"))
import sender as wire  # noqa: E402
import store_server  # noqa: E402
from sender import Broken, Link, Refused, Sender, Url  # noqa: E402

TOOL = None
MIB = 1 << 20
HANG = 60  # seconds


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


class Receiver:
    """kioku receive --json; its events are read as they come."""

    def __init__(self, folder, *options, port=0, env=None):
        self.process = subprocess.Popen(
            [TOOL, "receive", "--json", "--listen", f"127.0.0.1:{port}", "--out", str(folder),
             *map(str, options)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(env or {})})
        self.events = queue.Queue()
        self.seen = []
        self.log = []
        self.readers = [threading.Thread(target=self.read_events, daemon=True),
                        threading.Thread(target=self.read_log, daemon=True)]
        for reader in self.readers:
            reader.start()
        self.port = int(self.expect("listening")["address"].rpartition(":")[2])
        self.url = self.expect("url")["url"]

    def read_events(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))
        self.events.put(None)

    def read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def expect(self, kind, **members):
        """The next event of a kind, with these members; those before are passed over."""
        while True:
            event = self.events.get(timeout=HANG)
            assert event, f"no {kind}: {self.log}"
            self.seen.append(event)
            if event["event"] == kind and all(event[k] == v for k, v in members.items()):
                return event

    def finish(self, number=signal.SIGTERM):
        """Ends it, if it still runs; returns its exit status and stderr."""
        self.process.send_signal(number)
        status = self.process.wait(timeout=HANG)
        for reader in self.readers:
            reader.join(timeout=HANG)
        self.process.stdout.close()
        self.process.stderr.close()
        log = "".join(self.log)
        assert "anitizer" not in log, log
        return status, log


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.running = None

    def tearDown(self):
        if self.running:
            self.running.finish()
        while wire.links:
            wire.links.pop().close()

    def start(self, *options, **others):
        self.running = Receiver(self.folder, *options, **others)
        return self.running

    def restart(self, *options, number=signal.SIGKILL, **others):
        port = self.running.port
        self.running.finish(number)
        return self.start(*options, port=port, **others)

    def image(self, sender):
        return self.folder / sender.folder / sender.image

    def send_whole(self, sender, data, name=None):
        sender.hello()
        sender.send(*wire.file_messages(0, name or sender.image, data), wire.end())
        sender.done()

    def refused(self, sender, code, *messages):
        """The receiver refuses with this code, whether now or at the next answer."""
        with self.assertRaises(Refused) as caught:
            if messages:
                sender.send(*messages)
            while True:
                sender.link.receive()
        self.assertEqual(caught.exception.code, code, caught.exception.reason)
        return caught.exception.reason

    def refused_at_once(self, sender, code, greeting=None):
        with self.assertRaises(Refused) as caught:
            sender.greet(greeting or sender.hello_message())
        self.assertEqual(caught.exception.code, code, caught.exception.reason)
        return caught.exception.reason

    def folders(self):
        return sorted(p.name for p in self.folder.iterdir() if not p.name.startswith("."))


class Whole(Case):
    def test_one(self):
        receiver = self.start()
        data = noise(3 * MIB + 12345)
        sender = Sender(receiver.url, expected=len(data))
        self.send_whole(sender, data)
        started = receiver.expect("started")
        self.assertEqual((started["host"], started["expected"]), ("victim", len(data)))
        done = receiver.expect("done")
        self.assertEqual(done["sha256"], hashlib.sha256(data).hexdigest())
        self.assertEqual((done["complete"], done["lost"], done["breaks"], done["received"]),
                         (True, 0, 0, len(data)))
        self.assertEqual(done["folder"], str(self.folder / sender.folder))
        self.assertRegex(sender.folder, r"^victim_\d{8}-\d{6}$")
        self.assertEqual(self.image(sender).read_bytes(), data)
        self.assertEqual(stat.S_IMODE(self.image(sender).stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.image(sender).parent.stat().st_mode), 0o700)
        status, log = receiver.finish()
        self.assertEqual(status, 0, log)
        self.assertIn("victim: done: ", log)

    def test_any_order_and_holes(self):
        receiver = self.start()
        sender = Sender(receiver.url)
        parts = {0: noise(1000, 1), 5000: noise(3000, 2), 100000: noise(10, 3), 1000: noise(500, 4)}
        data = bytearray(200000)
        sender.hello()
        sender.send(wire.create(3, "memory.lime"), wire.create(0, "memory.lime.manifest.json.new"))
        for offset, part in reversed(parts.items()):
            data[offset:offset + len(part)] = part
            sender.send(wire.write(3, offset, part))
        sender.send(wire.hole(3, 150000, 50000), wire.write(0, 0, b"manifest"))
        sender.send(wire.close(3, len(data), flags=wire.ANSWER))
        payload = sender.link.expect(wire.DIGEST)
        self.assertEqual(payload, struct.pack("<II", 3, 0) + hashlib.md5(data).digest()
                         + hashlib.sha256(data).digest())
        sender.send(wire.close(0, 8, hashlib.sha256(b"manifest").digest()),
                    wire.replace("memory.lime.manifest.json.new", "memory.lime.manifest.json"),
                    wire.end(complete=False, lost=4096))
        self.assertEqual(sender.done(), sender.folder)
        done = receiver.expect("done")
        self.assertEqual((done["complete"], done["lost"]), (False, 4096))
        self.assertEqual(done["sha256"], hashlib.sha256(data).hexdigest())
        self.assertEqual(self.image(sender).read_bytes(), bytes(data))
        self.assertEqual(sorted(os.listdir(self.folder / sender.folder)),
                         ["memory.lime", "memory.lime.manifest.json"])
        self.assertEqual(receiver.finish()[0], 3)

    def test_holes_in_order(self):
        receiver = self.start()
        sender = Sender(receiver.url)
        data = noise(5000) + bytes(5 * MIB) + noise(77) + bytes(3)
        sender.hello()
        sender.send(wire.create(0, "memory.lime"), wire.write(0, 0, data[:5000]),
                    wire.hole(0, 5000, 5 * MIB), wire.write(0, 5000 + 5 * MIB, data[-80:-3]),
                    wire.hole(0, len(data) - 3, 3),
                    wire.close(0, len(data), hashlib.sha256(data).digest()), wire.end())
        sender.done()
        self.assertEqual(receiver.expect("done")["received"], len(data))
        self.assertEqual(self.image(sender).read_bytes(), data)

    def test_replace_and_remove(self):
        receiver = self.start()
        sender = Sender(receiver.url)
        sender.hello()
        digest = hashlib.sha256(b"x").digest()
        names = ["memory.lime", "memory.lime.a", "memory.lime.b", "memory.lime.c"]
        for number, name in enumerate(names):
            sender.send(wire.create(number, name), wire.write(number, 0, b"x"))
        sender.send(wire.close(0, 1, digest), wire.close(1, 1, digest), wire.close(2, 1, digest))
        sender.send(wire.replace("memory.lime.a", "memory.lime.b"), wire.remove("memory.lime.c"),
                    wire.remove("memory.lime.never"), wire.create(4, "memory.lime.c"),
                    wire.close(4, 0), wire.end())
        sender.done()
        self.assertEqual(sorted(os.listdir(self.folder / sender.folder)),
                         ["memory.lime", "memory.lime.b", "memory.lime.c"])

    def test_capture_that_failed(self):
        receiver = self.start()
        sender = Sender(receiver.url)
        sender.hello()
        sender.send(wire.create(0, "memory.lime"), wire.write(0, 0, b"half"),
                    wire.create(1, "memory.lime.manifest.partial"), wire.write(1, 0, b"x"),
                    wire.end(complete=False, lost=100))
        sender.done()
        done = receiver.expect("done")
        self.assertEqual((done["complete"], done["lost"]), (False, 100))
        self.assertNotIn("sha256", done)
        self.assertEqual(self.image(sender).read_bytes(), b"half")
        self.assertEqual(receiver.finish()[0], 3)

    def test_same_second_same_host(self):
        receiver = self.start("--standing")
        taken = time.strftime("host_%Y%m%d-", time.gmtime())
        senders = [Sender(receiver.url, host="host") for _ in range(6)]
        for number, sender in enumerate(senders):
            self.send_whole(sender, noise(1000, number))
        self.assertEqual(len({sender.folder for sender in senders}), 6)
        for number, sender in enumerate(senders):
            self.assertTrue(sender.folder.startswith(taken), sender.folder)
            self.assertEqual(self.image(sender).read_bytes(), noise(1000, number))

    def test_existing_folder_is_left_alone(self):
        receiver = self.start("--standing")
        now = int(time.time())
        for second in range(now - 1, now + 30):
            folder = self.folder / time.strftime("host_%Y%m%d-%H%M%S", time.gmtime(second))
            folder.mkdir()
            (folder / "memory.lime").write_bytes(b"evidence")
        sender = Sender(receiver.url, host="host")
        self.send_whole(sender, b"new")
        self.assertTrue(sender.folder.endswith("-2"), sender.folder)
        for folder in self.folder.glob("host_*"):
            if folder.name != sender.folder:
                self.assertEqual((folder / "memory.lime").read_bytes(), b"evidence")

    def test_host_names(self):
        receiver = self.start("--standing")
        for host in ("../../x", "/etc", "", ".", "..", "-rf", "a b\x1b[31m\n", "é" * 200, "x" * 500):
            with self.subTest(host):
                sender = Sender(receiver.url, host=host)
                self.send_whole(sender, b"data")
                self.assertRegex(sender.folder, r"^[A-Za-z0-9_][A-Za-z0-9._-]*_\d{8}-\d{6}(-\d+)?$")
                self.assertEqual(self.image(sender).read_bytes(), b"data")
                shown = receiver.expect("done")["host"]
                self.assertTrue(shown.isprintable() and shown.isascii())
        status, log = receiver.finish()
        self.assertEqual(status, 0)
        self.assertNotIn("\x1b", log)

    def test_count(self):
        receiver = self.start("--count", 2, "--tokens", 2)
        second = receiver.expect("url")["url"]
        for url in (receiver.url, second):
            self.send_whole(Sender(url), noise(1000))
        self.assertEqual(receiver.process.wait(timeout=HANG), 0)

    def test_many_at_once(self):
        receiver = self.start("--standing")
        senders = [Sender(receiver.url, host=f"host{i}") for i in range(20)]
        failures = []

        def work(number, sender):
            try:
                self.send_whole(sender, noise(MIB + number, number))
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)

        threads = [threading.Thread(target=work, args=item) for item in enumerate(senders)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANG)
        self.assertEqual(failures, [])
        for number, sender in enumerate(senders):
            self.assertEqual(self.image(sender).read_bytes(), noise(MIB + number, number))
        self.assertEqual(receiver.finish()[0], 0)


class Resume(Case):
    def test_cuts(self):
        receiver = self.start()
        dice = random.Random(5)
        data = noise(8 * MIB)
        sender = Sender(receiver.url)
        sender.add(*wire.file_messages(0, "memory.lime", data), wire.end())
        before = sender.hello()
        for _ in range(25):
            limit = min(sender.sent + dice.randrange(MIB), len(sender.stream) - 1)
            sender.push(limit)
            if dice.random() < 0.5:
                sender.link.reset()
            position = sender.resume()
            self.assertLessEqual(before, position)
            self.assertLessEqual(position, limit)
            before = position
        sender.push()
        sender.done()
        done = receiver.expect("done")
        self.assertEqual(done["breaks"], 25)
        self.assertEqual(self.image(sender).read_bytes(), data)
        self.assertEqual(done["sha256"], hashlib.sha256(data).hexdigest())

    def test_new_connection_ends_the_old_one(self):
        receiver = self.start()
        sender = Sender(receiver.url)
        sender.hello()
        old = sender.link
        sender.link = None  # stays open, as one does that is half-open
        sender.add(*wire.file_messages(0, "memory.lime", b"data"), wire.end())
        self.assertEqual(sender.resume(), 0)
        with self.assertRaises(Broken):
            old.receive()
        sender.push()
        sender.done()

    def test_lost_welcome(self):
        receiver = self.start()
        sender = Sender(receiver.url)
        self.assertEqual(sender.hello(), 0)
        sender.link.reset()
        self.assertEqual(sender.hello(), 0)
        sender.send(*wire.file_messages(0, "memory.lime", b"data"))
        sender.wait()
        self.assertEqual(sender.hello(), len(sender.stream))
        sender.send(wire.end())
        sender.done()
        self.assertEqual(len(self.folders()), 1)
        sender.secret = bytes(32)
        self.refused_at_once(sender, wire.TOKEN)

    def test_lost_done(self):
        for is_killed in (False, True):
            with self.subTest(is_killed=is_killed):
                receiver = self.start()
                sender = Sender(receiver.url)
                sender.hello()
                sender.send(wire.create(0, "memory.lime"), wire.write(0, 0, b"data"),
                            wire.close(0, 4, flags=wire.ANSWER), wire.end())
                sender.link.expect(wire.DIGEST)
                sender.link.expect(wire.DONE)
                sender.link.reset()
                if is_killed:
                    receiver = self.restart()
                for _ in range(2):
                    self.assertEqual(sender.resume(), len(sender.stream))
                    self.assertEqual(sender.link.expect(wire.DIGEST)[-32:],
                                     hashlib.sha256(b"data").digest())
                    sender.link.expect(wire.DONE)
                sender.link.send(wire.message(wire.BYE))
                sender.link.drain()
                receiver.finish()

    def test_killed_at_many_moments(self):
        """Every kind of message, killed after each byte count that a seed picks."""
        data = noise(2 * MIB)
        small = b"notes" * 100
        steps = [wire.create(0, "memory.lime"), wire.create(1, "memory.lime.partial")]
        for offset in range(0, len(data), 100000):
            steps.append(wire.write(0, offset, data[offset:offset + 100000]))
            if offset % 500000 == 0:
                steps.append(wire.write(1, offset // 1000, small[:50]))
        steps += [wire.hole(0, len(data), 1000), wire.create(2, "memory.lime.new"),
                  wire.write(2, 0, small), wire.close(2, len(small), hashlib.sha256(small).digest()),
                  wire.replace("memory.lime.new", "memory.lime.json"),
                  wire.remove("memory.lime.partial"), wire.create(3, "memory.lime.partial"),
                  wire.close(3, 0), wire.create(4, "memory.lime.new"), wire.write(4, 0, small),
                  wire.close(4, len(small), hashlib.sha256(small).digest()),
                  wire.replace("memory.lime.new", "memory.lime.json")]
        whole = data + bytes(1000)
        steps += [wire.close(0, len(whole), hashlib.sha256(whole).digest()), wire.end()]
        receiver = self.start()
        sender = Sender(receiver.url)
        sender.add(*steps)
        sender.hello()
        dice = random.Random(11)
        acknowledged = 0
        for _ in range(30):
            left = len(sender.stream) - sender.sent
            near_end = sender.sent > 2 * MIB
            sender.push(sender.sent + min(left - 1, dice.randrange(1, 400 if near_end else 150000)))
            if dice.random() < 0.5:
                time.sleep(dice.random() / 50)
            with contextlib.suppress(TimeoutError, Broken):
                sender.link.socket.settimeout(0.001)
                while True:
                    sender.link.receive_any()
            acknowledged = max(acknowledged, sender.link.acknowledged)
            self.restart()
            position = sender.resume()
            self.assertGreaterEqual(position, acknowledged)
        sender.push()
        sender.done()
        self.assertEqual(self.image(sender).read_bytes(), whole)
        self.assertEqual(sorted(os.listdir(self.folder / sender.folder)),
                         ["memory.lime", "memory.lime.json", "memory.lime.partial"])
        self.assertEqual((self.folder / sender.folder / "memory.lime.json").read_bytes(), small)

    def test_ended_and_started_again(self):
        receiver = self.start()
        sender = Sender(receiver.url)
        data = noise(MIB)
        messages = list(wire.file_messages(0, "memory.lime", data))
        sender.hello()
        sender.send(*messages[:4])
        sender.wait()
        position = len(sender.stream)
        port = receiver.port
        status, log = receiver.finish(signal.SIGINT)
        self.assertEqual(status, 3)
        self.assertIn("unfinished", log)
        receiver = self.start(port=port)
        self.assertEqual(sender.resume(), position)
        self.assertEqual(receiver.expect("resumed")["received"], 3 * wire.DATA_LIMIT)
        sender.send(*messages[4:], wire.end())
        sender.done()
        self.assertEqual(self.image(sender).read_bytes(), data)

    def test_ping(self):
        receiver = self.start()
        sender = Sender(receiver.url)
        sender.hello()
        kind, _ = sender.link.receive_any()  # without being asked
        self.assertEqual(kind, wire.ACK)
        sender.link.send(wire.message(wire.PING))
        sender.send(*wire.file_messages(0, "memory.lime", b""), wire.end())
        sender.done()


class Tokens(Case):
    def test_single_use(self):
        receiver = self.start()
        self.send_whole(Sender(receiver.url), b"data")
        self.refused_at_once(Sender(receiver.url), wire.TOKEN)
        self.assertIn("token", receiver.expect("refused")["message"])
        fresh = next(e["url"] for e in receiver.seen if e["event"] == "url" and
                     e["url"] != receiver.url)
        self.send_whole(Sender(fresh), b"data")
        receiver = self.restart()
        for url in {e["url"] for e in receiver.seen if "url" in e} - {receiver.url}:
            self.refused_at_once(Sender(url), wire.TOKEN)
        self.refused_at_once(Sender(fresh), wire.TOKEN)

    def test_url_of_the_run_before(self):
        first = self.start()
        self.restart()
        self.assertEqual(Url(first.url).fingerprint, Url(self.running.url).fingerprint)
        self.send_whole(Sender(first.url), b"data")

    def test_standing(self):
        receiver = self.start("--standing")
        for _ in range(3):
            self.send_whole(Sender(receiver.url), b"data")
        url = receiver.url
        self.restart("--standing")
        self.send_whole(Sender(url), b"data")
        self.restart()
        self.refused_at_once(Sender(url), wire.TOKEN)

    def test_wrong(self):
        receiver = self.start()
        self.refused_at_once(Sender(receiver.url, token=bytes(16)), wire.TOKEN)
        sender = Sender(receiver.url)
        self.refused_at_once(sender, wire.TOKEN, sender.resume_message())
        self.assertEqual(self.folders(), [])
        self.send_whole(Sender(receiver.url), b"data")

    def test_version(self):
        receiver = self.start()
        self.refused_at_once(Sender(receiver.url, version=2), wire.VERSION)
        self.refused_at_once(Sender(receiver.url, version=0), wire.VERSION)
        sender = Sender(receiver.url)
        self.refused_at_once(sender, wire.VERSION,
                             wire.message(wire.RESUME, struct.pack("<I", 7)))
        self.send_whole(sender, b"data")

    def test_file(self):
        path = self.folder / "tokens.txt"
        receiver = self.start("--token-file", path)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertIsNone(Url(receiver.url).token)
        command = next(e["command"] for e in receiver.seen if e["event"] == "url")
        self.assertEqual(command, f"kioku acquire --to '{receiver.url}' --token-file '{path}'")
        made = wire.decoded_key(path.read_text(encoding="ascii").strip())[0]
        self.send_whole(Sender(receiver.url, token=made), b"data")
        self.refused_at_once(Sender(receiver.url, token=made), wire.TOKEN)
        second = os.urandom(16)
        text = wire.encoded(second)
        with path.open("a", encoding="ascii") as file:
            file.write(f"# the next one\n\n{text}\n")
        receiver = self.restart("--token-file", path)
        self.refused_at_once(Sender(receiver.url, token=made), wire.TOKEN)
        self.send_whole(Sender(receiver.url, token=second), b"data")
        receiver.finish()
        path.write_text("what is this\n", encoding="ascii")
        done = subprocess.run([TOOL, "receive", "--out", self.folder, "--listen", "127.0.0.1:0",
                               "--token-file", path], capture_output=True, text=True, timeout=HANG,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("line 1 holds no token", done.stderr)
        self.assertNotIn("what is", done.stderr)

    def test_quota(self):
        receiver = self.start("--standing", "--quota", "1M")
        sender = Sender(receiver.url)
        self.send_whole(sender, noise(700000))
        receiver = self.restart("--standing", "--quota", "1M")
        url = Sender(receiver.url).url
        url.token = sender.token
        other = Sender(url)
        other.hello()
        self.refused(other, wire.QUOTA, *wire.file_messages(0, "memory.lime", noise(400000)))
        self.assertIn("quota", receiver.expect("failed")["message"])
        holey = Sender(receiver.url)
        holey.hello()
        self.refused(holey, wire.QUOTA, wire.create(0, "memory.lime"), wire.hole(0, 0, 1 << 40))
        self.assertEqual(receiver.finish()[0], 3)

    def test_state_is_private(self):
        receiver = self.start()
        self.send_whole(Sender(receiver.url), b"data")
        state = self.folder / ".kioku-receive"
        self.assertEqual(stat.S_IMODE(state.stat().st_mode), 0o700)
        for path in state.iterdir():
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)
            for token in {e["url"] for e in receiver.seen if "url" in e}:
                self.assertNotIn(Url(token).token, path.read_bytes())
        token = Url(receiver.url).token
        self.assertIn(hashlib.sha256(token).hexdigest(),
                      (state / "tokens").read_text(encoding="ascii"))

    def test_folder_in_use(self):
        self.start()
        done = subprocess.run([TOOL, "receive", "--out", self.folder, "--listen", "127.0.0.1:0"],
                              capture_output=True, text=True, timeout=HANG, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("another receiver", done.stderr)


class Hostile(Case):
    def bad(self, code, *messages, image="memory.lime"):
        """One sender says this after HELLO, is refused, and stays so; another one goes on."""
        receiver = self.running or self.start("--standing")
        before = self.tree()
        sender = Sender(receiver.url, image=image)
        sender.hello()
        reason = self.refused(sender, code, *messages)
        self.assertEqual(receiver.expect("failed")["message"], reason)
        self.refused_at_once(sender, code, sender.resume_message())
        outside = {p for p in self.tree() - before if p.parts[0] != sender.folder}
        self.assertEqual({p for p in outside if p.parts[0] != ".kioku-receive"}, set())
        return reason

    def tree(self):
        return {p.relative_to(self.folder) for p in self.folder.rglob("*")}

    def tearDown(self):
        if self.running:
            self.send_whole(Sender(self.running.url), b"still there")
        super().tearDown()

    def test_names(self):
        receiver = self.start("--standing")
        names = ["../x", "/etc/passwd", "", ".", "..", "a/b", "a\\b", "x" * 201, "a\n", "a\x1b[31m",
                 "é", ".hidden", "-rf", "a b", b"\xff\xfe", "memory\0"]
        for name in names:
            with self.subTest(name):
                reply = self.refused_at_once
                try:
                    reply(Sender(receiver.url, image=name), wire.NAME)
                except AssertionError:
                    reply(Sender(receiver.url, image=name), wire.PROTOCOL)
                if name == "memory\0":
                    continue
                self.bad(wire.NAME, wire.create(0, name))
        for name in ("other.lime", "memory.lim", "memory.limex", "memory.lime/../x",
                     "memory.lime.../../x"):
            with self.subTest(name):
                self.bad(wire.NAME, wire.create(0, name))
                self.bad(wire.NAME, wire.create(0, "memory.lime"), wire.close(0, 0),
                         wire.replace("memory.lime", name))
                self.bad(wire.NAME, wire.remove(name))
        self.assertEqual(len(self.folders()), len(set(self.folders())))

    def test_files(self):
        first = wire.create(0, "memory.lime")
        for code, *messages in (
                (wire.PROTOCOL, wire.create(32, "memory.lime")),
                (wire.PROTOCOL, wire.create(0xffffffff, "memory.lime")),
                (wire.PROTOCOL, first, wire.create(0, "memory.lime.x")),
                (wire.NAME, first, wire.create(1, "memory.lime")),
                (wire.PROTOCOL, wire.write(0, 0, b"x")),
                (wire.PROTOCOL, wire.write(31, 0, b"x")),
                (wire.PROTOCOL, wire.write(1 << 31, 0, b"x")),
                (wire.PROTOCOL, first, wire.close(0, 0), wire.write(0, 0, b"x")),
                (wire.PROTOCOL, first, wire.close(0, 0), wire.close(0, 0)),
                (wire.PROTOCOL, first, wire.hole(1, 0, 1)),
                (wire.PROTOCOL, first, wire.end()),
                (wire.PROTOCOL, first, wire.remove("memory.lime"), wire.write(0, 0, b"x")),
                (wire.PROTOCOL, first, wire.remove("memory.lime"), first),
                (wire.PROTOCOL, wire.replace("memory.lime", "memory.lime.x")),
                (wire.PROTOCOL, first, wire.replace("memory.lime", "memory.lime.x")),
                (wire.PROTOCOL, first, wire.close(0, 0),
                 wire.replace("memory.lime", "memory.lime")),
                (wire.PROTOCOL, first, wire.write(0, (1 << 63) - 1, b"xx")),
                (wire.PROTOCOL, first, wire.write(0, 1 << 63, b"x")),
                (wire.PROTOCOL, first, wire.hole(0, (1 << 64) - 1, 2)),
                (wire.PROTOCOL, first, wire.write(0, 0, b"")),
                (wire.STORAGE, first, wire.hole(0, 0, (1 << 63) - 1)),
                (wire.STORAGE, first, wire.write(0, (1 << 63) - 5, b"x")),
        ):
            with self.subTest(messages):
                self.bad(code, *messages)

    def test_sizes_that_lie(self):
        first = [wire.create(0, "memory.lime"), wire.write(0, 0, b"data")]
        digest = hashlib.sha256(b"data").digest()
        for size in (0, 3, 5, 1 << 40, (1 << 64) - 1):
            with self.subTest(size):
                code = wire.PROTOCOL if size >> 63 else wire.DIFFERS
                self.bad(code, *first, wire.close(0, size, digest))

    def test_digest_differs(self):
        reason = self.bad(wire.DIFFERS, wire.create(0, "memory.lime"), wire.write(0, 0, b"data"),
                          wire.close(0, 4, bytes(32)))
        self.assertIn("SHA-256 of memory.lime", reason)
        self.bad(wire.DIFFERS, wire.create(0, "memory.lime"), wire.write(0, 2, b"ta"),
                 wire.write(0, 0, b"da"), wire.close(0, 4, bytes(32)))

    def test_messages(self):
        self.start("--standing")
        for data in (wire.message(99), wire.message(0), wire.message(wire.WELCOME),
                     wire.message(wire.ACK, bytes(8)), struct.pack("<II", wire.WRITE, 1 << 31),
                     struct.pack("<II", wire.WRITE, 0xffffffff), wire.message(wire.CREATE, b"x"),
                     wire.message(wire.CREATE, struct.pack("<II", 0, 0) + b"\xff\xff"),
                     wire.message(wire.END), wire.message(wire.HELLO), b"GET / HTTP/1.0\r\n\r\n",
                     noise(100000)):
            with self.subTest(data[:20]):
                self.bad(wire.PROTOCOL, data)

    def test_greeting_again(self):
        receiver = self.start("--standing")
        sender = Sender(receiver.url)
        sender.hello()
        self.refused(sender, wire.PROTOCOL, sender.hello_message())

    def test_after_the_end(self):
        receiver = self.start("--standing")
        sender = Sender(receiver.url)
        sender.hello()
        sender.send(*wire.file_messages(0, "memory.lime", b"data"), wire.end())
        sender.link.expect(wire.DONE)
        self.refused(sender, wire.PROTOCOL, wire.create(1, "memory.lime.x"))
        del sender.stream[-len(wire.create(1, "memory.lime.x")):]
        self.assertEqual(sender.resume(), len(sender.stream))  # it stays done
        sender.done()
        self.assertEqual(os.listdir(self.folder / sender.folder), ["memory.lime"])

    def test_too_many_files(self):
        names = [wire.create(i, f"memory.lime.{i}") for i in range(32)]
        self.bad(wire.PROTOCOL, *names, wire.create(32, "memory.lime.32"))

    def test_before_hello(self):
        receiver = self.start("--standing")
        url = Url(receiver.url)
        for data in (wire.write(0, 0, b"x"), wire.message(wire.PING), wire.message(wire.BYE),
                     struct.pack("<II", wire.HELLO, 1 << 20), noise(1000), bytes(1000)):
            with self.subTest(data[:10]):
                link = Link(url)
                with self.assertRaises((Refused, Broken)):
                    link.send(data)
                    link.receive()
                receiver.expect("refused")
                link.close()
        for data in (b"GET / HTTP/1.0\r\n\r\n", noise(5000), bytes(5000)):
            with socket.create_connection((url.host, url.port)) as plain:
                plain.sendall(data)
                with contextlib.suppress(OSError):
                    while plain.recv(1000):
                        pass
            receiver.expect("refused")

    def test_link_in_the_way_of_a_file(self):
        """Somebody who may write into the folder cannot lead what comes out of it."""
        receiver = self.start("--standing")
        sender = Sender(receiver.url)
        sender.hello()
        target = self.folder / "target"
        (self.folder / sender.folder / "memory.lime").symlink_to(target)
        self.refused(sender, wire.STORAGE, wire.create(0, "memory.lime"))
        self.assertFalse(target.exists())

    def test_flood(self):
        receiver = self.start("--standing")
        url = Url(receiver.url)
        sender = Sender(receiver.url)
        sender.hello()
        idle = []
        for _ in range(300):
            idle.append(socket.create_connection((url.host, url.port)))
        data = noise(MIB)
        sender.send(*wire.file_messages(0, "memory.lime", data), wire.end())
        sender.done()
        other = Sender(receiver.url)
        self.send_whole(other, data)
        for item in idle:
            item.close()
        self.assertEqual(self.image(other).read_bytes(), data)
        status, log = receiver.finish()
        self.running = None
        self.assertEqual(status, 0)
        self.assertLess(log.count("\n"), 100)

    def test_too_many_connections(self):
        receiver = self.start("--standing", "--connections", 2)
        senders = [Sender(receiver.url) for _ in range(3)]
        senders[0].hello()
        senders[1].hello()
        self.refused_at_once(senders[2], wire.BUSY)
        senders[1].resume()
        senders[0].send(*wire.file_messages(0, "memory.lime", b"data"), wire.end())
        senders[0].done()
        receiver.expect("done")
        for _ in range(100):
            with contextlib.suppress(Refused):
                senders[2].hello()
                break
            time.sleep(0.1)
        for sender in senders[1:]:
            sender.send(*wire.file_messages(0, "memory.lime", b"data"), wire.end())
            sender.done()


class Full(Case):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("only root may mount a small file system")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", self.folder],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipTest(f"no small file system: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", self.folder], check=True)

    def test_disk_full(self):
        receiver = self.start("--standing")
        small, large = Sender(receiver.url, host="small"), Sender(receiver.url, host="large")
        messages = list(wire.file_messages(0, "memory.lime", noise(MIB)))
        small.hello()
        small.send(*messages[:3])
        small.wait()
        large.hello()
        reason = self.refused(large, wire.STORAGE, *wire.file_messages(0, "memory.lime", noise(8 * MIB)))
        self.assertIn("No space left on device", reason)
        failed = receiver.expect("failed", host="large")
        self.assertEqual(failed["message"], reason)
        self.refused_at_once(large, wire.STORAGE, large.resume_message())
        os.unlink(self.image(large))
        small.send(*messages[3:], wire.end())
        small.done()
        self.assertEqual(self.image(small).read_bytes(), noise(MIB))
        receiver = self.restart("--standing")
        self.refused_at_once(large, wire.STORAGE, large.resume_message())
        receiver.finish()


class Store(Case):
    def setUp(self):
        super().setUp()
        self.bucket = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.bucket)
        try:
            self.server = store_server.Server(self.bucket)
        except store_server.Missing as reason:
            self.skipTest(str(reason))
        self.addCleanup(self.server.close)
        self.options = ("--standing", "--store", f"http://127.0.0.1:{self.server.port}/bucket/case",
                        "--store-region", store_server.REGION)
        self.right = {"AWS_ACCESS_KEY_ID": store_server.ACCESS_KEY,
                      "AWS_SECRET_ACCESS_KEY": store_server.SECRET_KEY}

    def stored(self, sender):
        place = f"case/{sender.folder}/"
        return {key[len(place):]: data for key, data in self.server.objects().items()
                if key.startswith(place)}

    def test_upload(self):
        receiver = self.start(*self.options, "--count", 2, env=self.right)
        senders = [Sender(receiver.url) for _ in range(2)]
        for number, sender in enumerate(senders):
            self.send_whole(sender, noise(100000, number))
            event = receiver.expect("stored")
            self.assertEqual(event["url"].rstrip("/"),
                             f"http://127.0.0.1:{self.server.port}/bucket/case/{sender.folder}")
            self.assertEqual(self.stored(sender), {"memory.lime": noise(100000, number)})
        self.assertEqual(receiver.process.wait(timeout=HANG), 0)

    def test_progress(self):
        proxy = store_server.Proxy(self.server.port)
        self.addCleanup(proxy.close)
        proxy.fail("PUT", "partNumber=2", "stall")
        options = list(self.options)
        options[2] = f"{proxy.url}/bucket/case"
        receiver = self.start(*options, env=self.right)
        sender = Sender(receiver.url)
        self.send_whole(sender, noise(20 * MIB))
        event = receiver.expect("storing")
        self.assertEqual((event["stored"], event["size"]), (16 * MIB, 20 * MIB))
        self.assertEqual(event["folder"], str(self.folder / sender.folder))
        self.assertTrue(proxy.stalled.wait(HANG))
        self.assertEqual(receiver.finish()[0], 3)
        receiver = self.start(*options, port=receiver.port, env=self.right)
        receiver.expect("stored")
        self.assertEqual(self.stored(sender), {"memory.lime": noise(20 * MIB)})

    def test_tried_again_at_the_next_start(self):
        wrong = {**self.right, "AWS_SECRET_ACCESS_KEY": "wrong"}
        receiver = self.start(*self.options, env=wrong)
        sender = Sender(receiver.url)
        self.send_whole(sender, b"data")
        self.assertTrue(receiver.expect("not_stored")["message"])
        self.assertEqual(self.stored(sender), {})
        port = receiver.port
        status, log = receiver.finish()
        self.assertEqual(status, 3)
        self.assertIn("not uploaded", log)
        receiver = self.start(*self.options, port=port, env=self.right)
        self.assertEqual(receiver.expect("stored")["folder"], str(self.folder / sender.folder))
        self.assertEqual(self.stored(sender), {"memory.lime": b"data"})
        receiver = self.restart(*self.options, env=self.right)
        self.send_whole(Sender(receiver.url), b"other")
        self.assertNotEqual(receiver.expect("stored")["folder"], str(self.folder / sender.folder))


def main():
    global TOOL
    TOOL = os.path.abspath(sys.argv.pop(1))
    result = unittest.main(exit=False, verbosity=1).result
    failed = len(result.failures) + len(result.errors)
    for case, reason in result.skipped:
        print(f"# SKIP {case}: {reason}")
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed, "
          f"{len(result.skipped)} skipped")
    sys.exit(failed > 0)


main()
