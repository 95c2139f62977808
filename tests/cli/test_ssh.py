#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ssh:// with a real sshd on loopback, which this test starts as its own user with keys of its own.
usage: test_ssh.py KIOKU [TEST]..."""

import json
import os
import pty
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

TOOL = None
LIME = struct.Struct("<IIQQ8x")
MIB = 1 << 20
START, SIZE = 0x100000, 24 * MIB
LIMIT = 60  # seconds, after which something hangs
SSHD = shutil.which("sshd", path="/usr/sbin:/sbin:" + os.environ.get("PATH", ""))
SSH = shutil.which("ssh")
SUFFIXES = ("", ".md5", ".sha256", ".manifest.json")

# What the user's configuration would say; nothing of the real one is read.
CLIENT = """
Host *
IdentityFile {folder}/user
IdentitiesOnly yes
IdentityAgent none
GlobalKnownHostsFile {folder}/known
StrictHostKeyChecking {checking}
"""
SERVER = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
SetEnv HOME=/nonexistent {env}
{more}
"""
STAND_IN = """#!/bin/sh
printf '%s\\n' "$@" >> {folder}/log
test "$1" != -V || {{ echo {version} >&2; exit 0; }}
exec {ssh} -F {folder}/config "$@"
"""


def contents(path):
    with open(path, "rb") as file:
        return file.read()


def wait_until(condition, what):
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never {what}")
        time.sleep(0.02)


def processes():
    """{pid: (parent, command line)}"""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            status = contents(f"/proc/{name}/stat").decode(errors="replace").rsplit(")", 1)[1]
            found[int(name)] = (int(status.split()[1]),
                                contents(f"/proc/{name}/cmdline").decode(errors="replace"))
        except OSError:
            pass
    return found


def below(pid):
    """The processes that a process has started, and those that they have."""
    found, known = [pid], processes()
    for one in found:
        found.extend(child for child, (parent, _) in known.items() if parent == one)
    return found[1:]


@unittest.skipUnless(SSHD and SSH, "sshd or ssh is not installed")
class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kioku-sshd-")
        self.addCleanup(shutil.rmtree, self.folder)
        memory = random.Random(1).randbytes(SIZE)
        self.image = LIME.pack(0x4C694D45, 1, START, START + SIZE - 1) + memory
        for name in ("bin", "far", "here"):
            os.mkdir(self.at(name))
        self.write("here/image.lime", self.image)
        self.make_key("host")
        self.make_key("user")
        self.sshd = None

    def at(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, data):
        with open(self.at(name), "wb" if isinstance(data, bytes) else "w") as file:
            file.write(data)

    def make_key(self, name, passphrase=""):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "test",
                        "-f", self.at(name)], check=True)

    def serve(self, more="", version="OpenSSH_9", checking="yes", env=""):
        """sshd, and in bin/ what is taken for ssh. The user's shell reads no start files."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        host = contents(self.at("host.pub")).decode()
        self.write("known", f"[127.0.0.1]:{self.port} {host}" if checking == "yes" else "")
        self.write("config", CLIENT.format(folder=self.folder, checking=checking))
        self.write("sshd_config", SERVER.format(folder=self.folder, port=self.port, more=more,
                                                 env=env))
        self.write("bin/ssh", STAND_IN.format(folder=self.folder, version=version, ssh=SSH))
        os.chmod(self.at("bin/ssh"), 0o700)
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # sshd wants it, even if empty
        with open(self.at("sshd.log"), "wb") as log:
            self.sshd = subprocess.Popen([SSHD, "-D", "-e", "-f", self.at("sshd_config")],
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(self.stop_sshd)
        wait_until(lambda: b"listening" in contents(self.at("sshd.log")), "listening")

    def stop_sshd(self):
        for pid in (*below(self.sshd.pid), self.sshd.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.sshd.wait()

    @property
    def env(self):
        return {"LC_ALL": "C.UTF-8", "HOME": "/nonexistent",
                "PATH": self.at("bin") + ":/usr/sbin:/usr/bin:/sbin:/bin",
                **{key: os.environ[key] for key in ("ASAN_OPTIONS", "UBSAN_OPTIONS")
                   if key in os.environ}}

    def url(self, path):
        return f"ssh://127.0.0.1:{self.port}{path}"

    def words(self, path, *more):
        return [TOOL, "convert", "image.lime", "--to", self.url(path), *more]

    def send(self, path, *more, status=0):
        """One conversion; what it said. Nothing of it is left."""
        done = subprocess.run(self.words(path, *more), cwd=self.at("here"), env=self.env,
                              timeout=LIMIT, capture_output=True, check=False)
        text = done.stderr.decode(errors="replace")
        self.assertEqual(done.returncode, status, text)
        self.check_nothing_left()
        return text

    def log(self):
        """The words with which ssh was called."""
        return contents(self.at("log")).decode().split("\n")

    def check_nothing_left(self):
        for word in self.log():
            if word.startswith("ControlPath=/"):
                self.assertFalse(os.path.exists(os.path.dirname(word.partition("=")[2])))
        clients = [line for _, line in processes().values() if self.at("config") in line]
        self.assertEqual(clients, [])

    def verify(self, path, status=0):
        done = subprocess.run([TOOL, "verify", path], env=self.env, capture_output=True,
                              check=False, timeout=LIMIT)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout.decode() + done.stderr.decode()

    def check_arrived(self, folder, name):
        path = os.path.join(folder, name)
        self.assertEqual(sorted(os.listdir(folder)), sorted(name + suffix for suffix in SUFFIXES))
        self.assertTrue(contents(path) == self.image)
        for suffix in SUFFIXES:
            self.assertEqual(os.stat(path + suffix).st_mode & 0o7777, 0o600, suffix)
        subprocess.run(["sha256sum", "--quiet", "-c", name + ".sha256"], cwd=folder, check=True)
        subprocess.run(["md5sum", "--quiet", "-c", name + ".md5"], cwd=folder, check=True)
        self.verify(path)

    def check_prefix(self, path):
        """A part of the image is there, and its manifest says that it is one."""
        with open(path + ".manifest.json", encoding="utf-8") as file:
            self.assertFalse(json.load(file)["complete"])
        data = contents(path)
        self.assertTrue(LIME.size < len(data) < len(self.image))
        self.assertTrue(data[LIME.size:] == self.image[LIME.size:len(data)])
        self.verify(path, status=3)


class Sending(Case):
    def test_arrives(self):
        self.serve()
        self.send(self.at("far/image.lime"))
        self.check_arrived(self.at("far"), "image.lime")
        self.assertEqual(os.listdir(self.at("here")), ["image.lime"])
        logins = re.findall(r"Accepted publickey", contents(self.at("sshd.log")).decode())
        self.assertEqual(len(logins), 1)

    def test_compressed(self):
        self.serve()
        self.send(self.at("far/image.lime.gz"))
        self.assertTrue(subprocess.run(["gzip", "-dc", self.at("far/image.lime.gz")], check=True,
                                       stdout=subprocess.PIPE).stdout == self.image)
        self.verify(self.at("far/image.lime.gz"))

    def test_odd_names(self):
        self.serve()
        name = "it's \"a\" $HOME `id` \\ ; & * ? !x %d é"
        os.mkdir(self.at("far", name))
        self.send(self.at("far", name, name), "--as", "lime")
        self.check_arrived(self.at("far", name), name)

    def test_other_client(self):
        """Each command makes a connection."""
        self.serve(version="Other_1")
        self.assertIn("a connection for each file", self.send(self.at("far/image.lime")))
        self.check_arrived(self.at("far"), "image.lime")
        self.assertFalse([word for word in self.log() if "Control" in word])

    def test_one_session(self):
        """A far side that has one connection do one thing only."""
        self.serve(more="MaxSessions 1")
        self.send(self.at("far/image.lime"))
        self.check_arrived(self.at("far"), "image.lime")

    def test_new_host(self):
        """Its key is noted down nowhere on this machine's disk."""
        self.serve(checking="accept-new")
        noted = os.path.expanduser("~/.ssh/known_hosts")
        before = contents(noted) if os.path.exists(noted) else None
        self.send(self.at("far/image.lime"))
        self.check_arrived(self.at("far"), "image.lime")
        self.assertEqual(contents(noted) if os.path.exists(noted) else None, before)


class Refusals(Case):
    def test_nothing_is_overwritten(self):
        self.serve()
        self.write("far/image.lime", "theirs")
        self.write("far/other.lime.md5", "theirs")
        os.symlink("nowhere", self.at("far/link.lime"))
        before = sorted(os.listdir(self.at("far")))
        for name, there in (("image.lime", "image.lime"), ("other.lime", "other.lime.md5"),
                            ("link.lime", "link.lime")):
            text = self.send(self.at("far", name), status=2)
            self.assertIn(f"{self.at('far', there)} exists already on 127.0.0.1", text)
        self.assertEqual(sorted(os.listdir(self.at("far"))), before)
        self.assertEqual(contents(self.at("far/image.lime")), b"theirs")

    def test_no_folder(self):
        self.serve()
        self.assertIn("there is no folder for", self.send(self.at("no/image.lime"), status=2))

    def test_stranger(self):
        """A key that the far side does not know."""
        self.serve()
        os.remove(self.at("user.pub"))
        text = self.send(self.at("far/image.lime"), status=1)
        self.assertIn("Permission denied", text)
        self.assertIn("cannot reach 127.0.0.1: ssh ended with status 255", text)

    def test_another_host_key(self):
        self.serve()
        self.make_key("impostor")
        key = contents(self.at("impostor.pub")).decode()
        self.write("known", f"[127.0.0.1]:{self.port} {key}")
        self.assertIn("ssh ended with status 255", self.send(self.at("far/image.lime"), status=1))
        self.assertEqual(os.listdir(self.at("far")), [])

    def test_nobody_there(self):
        self.serve()
        self.stop_sshd()
        self.assertIn("ssh ended with status 255", self.send(self.at("far/image.lime"), status=1))


class Failures(Case):
    def test_lying_digest(self):
        os.mkdir(self.at("lies"))
        self.write("lies/sha256sum", "#!/bin/sh\necho " + "0" * 64 + "  -\n")
        os.chmod(self.at("lies/sha256sum"), 0o700)
        self.serve(env=f"PATH={self.at('lies')}:/usr/bin:/bin")
        text = self.send(self.at("far/image.lime"), status=1)
        self.assertIn("is not what was sent: its SHA-256 is 0000", text)

    def test_altered_on_the_way(self):
        os.mkdir(self.at("lies"))
        self.write("lies/cat", "#!/bin/sh\nexec tr '\\001' '\\002'\n")
        os.chmod(self.at("lies/cat"), 0o700)
        self.serve(env=f"PATH={self.at('lies')}:/usr/bin:/bin")
        self.assertIn("is not what was sent", self.send(self.at("far/image.lime"), status=1))

    def test_disk_full(self):
        self.serve()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "kioku", self.at("far")],
                          capture_output=True, check=False).returncode != 0:
            self.skipTest("a small file system cannot be mounted")
        self.addCleanup(subprocess.run, ["umount", self.at("far")], check=True)
        text = self.send(self.at("far/image.lime"), status=1)
        self.assertIn("No space left on device", text)
        self.assertIn("the command there ended with status 1", text)
        self.assertTrue(self.image.startswith(contents(self.at("far/image.lime"))))

    def start(self, *more, path="far/image.lime"):
        """A conversion that takes some seconds, once some of it is there."""
        running = subprocess.Popen(self.words(self.at(path), "--rate", "6M", *more),
                                   cwd=self.at("here"), env=self.env, stderr=subprocess.PIPE)
        self.addCleanup(running.stderr.close)
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        wait_until(lambda: os.path.exists(self.at(path)) and
                   os.path.getsize(self.at(path)) >= 2 * MIB, "2 MiB there")
        return running

    def test_sshd_killed(self):
        self.serve()
        running = self.start()
        self.stop_sshd()
        text = running.communicate(timeout=LIMIT)[1].decode()
        self.assertEqual(running.returncode, 1, text)
        self.assertRegex(text, "image.lime on 127.0.0.1: ssh ended with status 255")
        self.assertTrue(self.image.startswith(contents(self.at("far/image.lime"))))
        self.assertIn("far/image.lime", self.verify(self.at("far/image.lime"), status=3))
        self.check_nothing_left()

    def test_killed(self):
        """Nothing goes on without kioku."""
        self.serve()
        running = self.start()
        running.kill()
        running.wait(LIMIT)
        wait_until(lambda: not [line for _, line in processes().values()
                                if self.at("config") in line], "all clients gone")
        wait_until(lambda: not below(self.sshd.pid), "all of sshd gone")
        self.verify(self.at("far/image.lime"), status=3)
        # Nobody was left to remove the folder of the socket, which lies in memory.
        shutil.rmtree(next(os.path.dirname(word.partition("=")[2]) for word in self.log()
                           if word.startswith("ControlPath=/")))

    def test_terminated(self):
        self.serve()
        running = self.start()
        running.terminate()
        text = running.communicate(timeout=LIMIT)[1].decode()
        self.assertEqual(running.returncode, 3, text)
        self.check_prefix(self.at("far/image.lime"))
        self.check_nothing_left()


class Terminal(Case):
    """kioku in the foreground of a terminal, as somebody types it."""

    def start(self, *more):
        pid, self.terminal = pty.fork()
        if pid == 0:
            os.chdir(self.at("here"))
            words = self.words(self.at("far/image.lime"), *more)
            os.execve(words[0], words, self.env)
        self.addCleanup(os.close, self.terminal)
        self.pid, self.shown, self.status = pid, "", None
        self.addCleanup(self.end)

    def end(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def read(self):
        """What appears on the terminal; whether it ended."""
        if select.select([self.terminal], [], [], 0.1)[0]:
            try:
                part = os.read(self.terminal, 4096)
            except OSError:  # nobody has it open any more
                part = b""
            self.shown += part.decode(errors="replace")
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status is not None

    def wait_for(self, text):
        wait_until(lambda: self.read() or text in self.shown, f"said {text}")
        self.assertIn(text, self.shown)

    def wait_end(self, status):
        wait_until(self.read, "ended: " + self.shown)
        self.assertEqual(self.status, status, self.shown)
        self.check_nothing_left()

    def type(self, text):
        os.write(self.terminal, text.encode())

    def lock_key(self):
        subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame",
                        "-f", self.at("user")], check=True, stdout=subprocess.DEVNULL)

    def test_asked_once(self):
        self.lock_key()
        self.serve()
        self.start()
        self.wait_for("Enter passphrase")
        self.type("open sesame\n")
        self.wait_end(0)
        self.assertEqual(self.shown.count("Enter passphrase"), 1)
        self.check_arrived(self.at("far"), "image.lime")

    def test_interrupted(self):
        """Ctrl-C reaches ssh, too; what was read must arrive all the same."""
        self.serve()
        self.start("--rate", "6M")
        there = self.at("far/image.lime")
        wait_until(lambda: self.read() or os.path.exists(there) and
                   os.path.getsize(there) >= 2 * MIB, "2 MiB there")
        self.type("\x03")
        self.wait_end(3)
        self.assertIn("stopped by SIGINT", self.shown)
        self.check_prefix(there)

    def test_interrupted_at_the_prompt(self):
        self.lock_key()
        self.serve()
        self.start()
        self.wait_for("Enter passphrase")
        self.assertFalse(termios.tcgetattr(self.terminal)[3] & termios.ECHO)
        self.type("\x03")
        self.wait_end(1)
        self.assertIn("kioku: error: stopped", self.shown)
        self.assertTrue(termios.tcgetattr(self.terminal)[3] & termios.ECHO)
        self.assertEqual(os.listdir(self.at("far")), [])

    def test_hung_up(self):
        """The terminal is gone, as a window that is closed."""
        self.serve()
        self.start("--rate", "6M")
        there = self.at("far/image.lime")
        wait_until(lambda: self.read() or os.path.exists(there) and
                   os.path.getsize(there) >= 2 * MIB, "2 MiB there")
        os.kill(-self.pid, signal.SIGHUP)
        self.wait_end(3)
        self.check_prefix(there)


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
