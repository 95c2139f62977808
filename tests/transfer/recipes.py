#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the recipes of kioku-recipes(7) as they are printed: the target's lines in a real guest, the
analyst's on this machine, in a network namespace that has the addresses of the page. Then the same
guest sends over links that are far away, or bad.

The last line is: N passed, N failed, N skipped.
"""

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "lab"), str(TOP / "tests/guest"), str(TOP / "tests/store")]
sys.dont_write_bytecode = True

import far_links
import guest
import kernels
import store_server
from results import Results

PAGE = TOP / "docs/man/kioku-recipes.7.scd"
CACHE = TOP / "tests/cache"
ANALYST, TARGET = "192.0.2.1", "192.0.2.7"  # as the page has them
SHORT = ("usb", "usb-check", "ssh", "receiver")
LIMIT = 100  # seconds, after which something hangs
# What a target may have, and a guest of the lab has not.
PROGRAMS = ["dash", "nc.openbsd", "nc.traditional", "ssh", "tc"]
# QEMU's own network would do, but is several times as slow.
NETWORK = ["-netdev", "tap,id=net,ifname=target,script=no,downscript=no",
           "-device", "virtio-net-pci,netdev=net"]


class Recipe:
    def __init__(self, name, settings):
        self.name = name
        self.netcat = dict(setting.split("=") for setting in settings)
        self.lines = []  # (who, command)


def recipes(page):
    """The blocks of the page, in order; a block without a name, or another prompt, is a mistake."""
    found, inside, named = [], False, None
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("; recipe "):
            name, *settings = line.split()[2:]
            named = Recipe(name, settings)
        elif line.startswith("```"):
            inside = not inside
            if inside:
                if not named:
                    raise ValueError(f"a block before \"{line}\" has no name")
                found.append(named)
                named = None
        elif inside:
            prompt, command = re.fullmatch(r"(target#|analyst\$) (.*)", line).groups()
            found[-1].lines.append((prompt[:-1], command))
    return found


def wait_until(condition, what):
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"never {what}")
        time.sleep(0.05)


def listening():
    """The ports that somebody here listens at, by TCP."""
    ports = set()
    for name in ("tcp", "tcp6"):
        for line in Path("/proc/net", name).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == "0A":
                ports.add(int(local.rpartition(":")[2], 16))
    return ports


def run(*words, **more):
    return subprocess.run(words, check=True, **more)


class Server:
    """A program that serves until the end."""

    def __init__(self, folder, name, words, port):
        self.log = folder / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(lambda: self.process.poll() is not None or port in listening(), f"{name} serves")
        if self.process.poll() is not None:
            raise RuntimeError(f"{name} has ended: {self.log.read_text()[-500:]}")

    def close(self):
        self.process.kill()
        self.process.wait()


class Analyst:
    """This machine: a shell in which what is evidence lies elsewhere."""

    def __init__(self, tool, folder):
        self.folder, self.tool = folder, tool
        self.evidence, self.usb, self.bin = (folder / name for name in ("evidence", "usb", "bin"))
        self.servers, self.store = [], None
        self.bin.mkdir()
        (self.bin / "kioku").symlink_to(tool.resolve())
        self.clear()

    def clear(self):
        """The folders stay: one is served."""
        for place in (self.evidence, self.usb):
            place.mkdir(exist_ok=True)
            for path in place.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def put(self, command):
        """What the page's folders and its user are here, but for what an NFS server calls them."""
        command = re.sub(r"(?<!:)/evidence", str(self.evidence), command)
        if self.store:
            command = command.replace("https://s3.example.com/memory", self.store.place)
        return command.replace("/media/usb", str(self.usb)).replace("analyst@", "root@")

    def use_netcat(self, name):
        (self.bin / "nc").unlink(missing_ok=True)
        if name:
            (self.bin / "nc").symlink_to(shutil.which(name))

    def start(self, command):
        """A line; it may still be running, and then it listens."""
        out = open(self.folder / "said", "wb")
        process = subprocess.Popen(
            ["bash", "-c", f"set -o pipefail; {self.put(command)}"], cwd=self.folder, stdout=out,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
            env=os.environ | {"PATH": f"{self.bin}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"})
        out.close()
        port = re.search(r"\b(4444|7633)\b", command)
        before = listening()
        if port and int(port[0]) not in before:
            wait_until(lambda: process.poll() is not None or int(port[0]) in listening(),
                       f"listening: {command}")
        return process

    def said(self):
        return (self.folder / "said").read_text(errors="replace")

    def serve_nfs(self):
        """NFS 4 alone needs no other daemon."""
        state = self.folder / "nfs"
        state.mkdir()
        (state / "conf").write_text(f"""
            NFS_CORE_PARAM {{ Bind_addr = {ANALYST}; Protocols = 4; Enable_NLM = false;
                Enable_RQUOTA = false; Enable_UDP = false; }}
            NFSV4 {{ Graceless = true; RecoveryBackend = fs; RecoveryRoot = {state}; }}
            EXPORT {{ Export_Id = 1; Path = {self.evidence}; Pseudo = /evidence; Access_Type = RW;
                Squash = No_Root_Squash; SecType = sys; Protocols = 4; Transports = TCP;
                FSAL {{ Name = VFS; }} }}
            """)
        self.servers.append(Server(self.folder, "nfs", [
            "ganesha.nfsd", "-F", "-f", state / "conf", "-L", "/dev/stdout", "-p", state / "pid",
            "-N", "NIV_WARN"], 2049))

    def serve_ssh(self):
        """For a key that it makes; returns it, and the line for known_hosts."""
        for name in ("host", "user"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.folder / name)
        (self.folder / "sshd_config").write_text(f"""
            ListenAddress {ANALYST}:22\nHostKey {self.folder}/host\nPidFile none
            AuthorizedKeysFile {self.folder}/user.pub\nStrictModes no\nUsePAM no
            PasswordAuthentication no\nPermitRootLogin prohibit-password
            """)
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd wants it, even if empty
        self.servers.append(Server(self.folder, "sshd", [
            shutil.which("sshd"), "-D", "-e", "-f", self.folder / "sshd_config"], 22))
        return ((self.folder / "user").read_text(),
                f"{ANALYST} {(self.folder / 'host.pub').read_text()}")

    def serve_store(self):
        (self.folder / "s3.credentials").write_text(
            f"[default]\naws_access_key_id = {store_server.ACCESS_KEY}\n"
            f"aws_secret_access_key = {store_server.SECRET_KEY}\n")
        self.store = Store(self.folder)
        self.servers.append(self.store)

    def close(self):
        for server in self.servers:
            server.close()


class Store:
    """What the page calls https://s3.example.com/memory."""

    def __init__(self, folder):
        certificate = str(folder / "store.pem")
        (folder / "store").mkdir()
        self.server = store_server.Server(folder / "store")
        store_server.make_certificate(certificate)
        self.proxy = store_server.Proxy(self.server.port, certificate)
        self.place = (f"{self.proxy.url}/bucket --store-region {store_server.REGION} "
                      f"--store-ca {certificate}")

    def close(self):
        self.proxy.close()
        self.server.close()


class Target:
    """The guest."""

    def __init__(self, machine, key, known):
        self.machine = machine
        self.must(f"ip link set eth0 up; ip addr add {TARGET}/24 dev eth0; "
                  "busybox --install -s /bin; mkdir -p /mnt /run/.ssh; ln -s vdb /dev/sdb1; "
                  "echo root:x:0:0::/run:/bin/sh > /etc/passwd")
        self.write("/run/.ssh/id_ed25519", key)
        self.write("/run/.ssh/known_hosts", known)
        self.must("chmod -R go= /run/.ssh; cp /bin/kioku /output/kioku; umount /output")

    def must(self, command):
        status, text = self.machine.said(command)
        if status:
            raise guest.GuestError(f"{command}: {text}")

    def write(self, path, text):
        for at in range(0, len(text), 200):
            part = text[at:at + 200].replace("\n", "\\n")
            self.must(f"printf '{part}' >> {path}")

    def use_netcat(self, name):
        self.must(f"rm -f /bin/nc; {f'ln -s {name} /bin/nc' if name else ':'}")

    def words(self):
        return (self.machine.folder / "words").read_text(errors="replace")

    def do(self, command):
        """A line; (exit status, what it said). Not in busybox's shell, which has a netcat of its own
        before that in PATH."""
        return self.machine.said("dash -c " + shlex.quote(command), LIMIT)

    def take_disk(self, folder):
        """What lies on the disk, once it is plugged in at the analyst's."""
        self.must("mount -t ext4 /dev/vdb /output")
        self.machine.take(folder)
        self.must("rm -f /output/*.lime*; umount /output")


class Run:
    """One recipe."""

    def __init__(self, recipe, analyst, target):
        self.recipe, self.analyst, self.target = recipe, analyst, target
        self.listener = None  # the analyst's line that still runs
        self.sender = None    # the target's
        self.text = ""        # what the target has said

    def problems(self):
        analyst, target, netcat = self.analyst, self.target, self.recipe.netcat
        analyst.use_netcat(netcat.get("analyst"))
        target.use_netcat(netcat.get("target"))
        with ThreadPoolExecutor(1) as pool:
            try:
                for who, command in self.recipe.lines:
                    step = self.on_target if who == "target" else self.on_analyst
                    yield from step(command, pool)
                yield from self.end_sender()
            finally:
                self.stop_listener()

    def end_listener(self):
        """The line before ends by itself."""
        if not self.listener:
            return
        status = self.listener.wait(LIMIT)
        self.listener = None
        if status:
            yield f"the analyst's line ended with {status}: {self.analyst.said()}"

    def stop_listener(self):
        if self.listener:
            os.killpg(self.listener.pid, signal.SIGKILL)
            self.listener.wait()

    def end_sender(self):
        if self.sender:
            status, text = self.sender.result(LIMIT)
            self.sender, self.text = None, self.text + text
            if status:
                yield f"the target's line ended with {status}: {text}"

    def on_target(self, command, pool):
        yield from self.end_sender()
        if "#KEY" in command:
            wait_until(lambda: "kioku://" in self.analyst.said(), "a line to paste")
            pasted = re.search(r"kioku acquire --to '.*'", self.analyst.said())[0]
            if re.sub(r"#[^']*", "#KEY", pasted) != command:
                yield f"the line to paste is {pasted}"
            command = pasted
        words = len(self.target.words())
        self.sender = pool.submit(self.target.do, self.analyst.put(command))
        wait_until(lambda: self.sender.done() or
                   "waiting for a client" in self.target.words()[words:], f"ended: {command}")
        if self.sender.done():
            yield from self.end_sender()

    def on_analyst(self, command, pool):
        yield from self.end_listener()
        process = self.analyst.start(command)
        if self.sender:  # it waits for this
            process.wait(LIMIT)
            yield from self.end_sender()
        if re.search(r"\bnc -l|\breceive\b", command):
            self.listener = process
            if process.poll() is not None:
                yield f"{command} ended at once: {self.analyst.said()}"
                self.listener = None
            return
        status = process.wait(LIMIT)
        if status:
            yield f"{command} ended with {status}: {self.analyst.said()}"
        elif command.startswith("sha256sum"):
            yield from self.compare(self.analyst.said())

    def compare(self, said):
        """The target has shown the same, alone on a line."""
        digest = said.split()[0]
        if not re.search(rf"^{digest}  -$", self.text, re.M):
            yield f"the target has not said {digest}: {self.text}"


def test(recipe, analyst, target):
    if recipe.name != "usb-check":
        analyst.clear()
    yield from Run(recipe, analyst, target).problems()
    if recipe.name == "usb":
        target.take_disk(analyst.usb)
    if recipe.name == "store":
        yield from stored(analyst)


def stored(analyst):
    """Everything that is in the evidence folder is in the store, and nothing else."""
    files = {str(path.relative_to(analyst.evidence)): path.read_bytes()
             for path in analyst.evidence.glob("[!.]*/*")}
    objects = analyst.store.server.objects()
    if not files or objects != files:
        yield f"the store has {sorted(objects)}, and not {sorted(files)}"


# --- the two machines

def with_libraries(names):
    """{path in the guest: file here} of programs and what they need."""
    files = {}
    for name in names:
        path = shutil.which(name)
        files[f"/bin/{name}"] = path
        text = run("ldd", path, capture_output=True, text=True).stdout
        for library in re.findall(r"(/\S+) \(0x", text):
            files[library] = os.path.realpath(library)
    return files


def missing():
    for program in (*PROGRAMS, "socat", "sshd", "ganesha.nfsd", "qemu-system-x86_64", "unshare"):
        if not shutil.which(program):
            return f"{program} is not installed"
    if subprocess.run(["unshare", "-n", "ip", "tuntap", "add", "target", "mode", "tap"],
                      check=False, capture_output=True).returncode:
        return "a network of its own needs root and /dev/net/tun"
    return None


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kioku", type=Path, default=TOP / "build/kioku", metavar="PATH")
    parser.add_argument("--static", type=Path, default=TOP / "build-static/kioku", metavar="PATH",
                        help="a static build, for the guest")
    parser.add_argument("--only", metavar="REGEX", help="only recipes whose name matches")
    parser.add_argument("--short", action="store_true", help=f"only {', '.join(SHORT)}")
    parser.add_argument("--full", action="store_true", help="also those that pipe to a program")
    return parser.parse_args()


def run_all(options, results, folder):
    analyst = Analyst(options.kioku, folder)
    try:
        key, known = analyst.serve_ssh()
        analyst.serve_nfs()
        analyst.serve_store()
        with guest.Guest(folder / "guest") as machine:
            machine.boot(kernels.get("bookworm"), memory=192, cpu="qemu64", output=1024,
                         modules=["virtio_net", "nfsv4", "sch_netem"], arguments=NETWORK,
                         files={"/bin/kioku": options.static, **with_libraries(PROGRAMS)})
            target = Target(machine, key, known)
            for recipe in recipes(PAGE):
                # An emulated CPU takes half a minute for each.
                if "-pipe" in recipe.name and not (options.full or options.only):
                    continue
                if options.short and recipe.name not in SHORT:
                    continue
                if not results.check(f"recipe {recipe.name}", test, recipe, analyst, target):
                    machine.ping()
            far_links.check_all(results, options.kioku.resolve(), ANALYST, folder, target,
                                options.full or options.only)
    finally:
        analyst.close()


def main():
    options = parse_arguments()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    results = Results(options.only)
    reason = missing() or (not options.static.exists() and "there is no static build: --static")
    if reason:
        results.skip("recipes", reason)
        return results.finish()
    if "KIOKU_NAMESPACE" not in os.environ:
        # While there is a network.
        store_server.install()
        kernels.get("bookworm")
        os.environ["KIOKU_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "-n", sys.executable, *sys.argv])
    for words in ("link set lo up", "tuntap add target mode tap", "link set target up",
                  f"addr add {ANALYST}/24 dev target"):
        run("ip", *words.split())
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="recipes-") as folder:
        run_all(options, results, Path(folder))
    return results.finish()


sys.exit(main())
