# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our kernel module inside guests: its dumps and what is read through /dev/kioku against the guest's
memory from outside, its framing against Debian's LiME module, and everything that can go wrong.
Each test yields problems."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import acquire
import compare
import guest
import kernels
import kioku_module
import lime_module
import peers
import recording
from known import Known

PORT = 4444
LOADS, DUMPS = 20, 4
STALLS = 8
SLOW = 8 << 20  # bytes a second: a dump takes half a minute then
PARAMETERS = ["path", "format", "digest", "timeout", "compress", "dio", "localhostonly",
              "accept_timeout"]
ALARMS = r"BUG:|WARNING:|Oops|Call Trace|general protection|rcu.*stall|possible.*deadlock"


@dataclass
class Plan:
    kernel: str
    memory: int = 256
    append: str = ""
    cpu: str = "max"
    brief: bool = False  # only what is essential

    @property
    def name(self):
        return f"module-{self.kernel}-{self.memory}m"


def plans(options):
    """What is essential, in one guest, is for every check; all of it, in more of them, for --module
    and --full. Memory is copied in one way where rep movsb is fast, and in another where it is not.
    """
    if not (options.module or options.full):
        return [Plan("bookworm", brief=True)]
    chosen = [Plan("bookworm"), Plan("backports", cpu="max,erms=off")]
    if options.full:
        chosen += [Plan("bullseye"), Plan("bookworm", 5120, "nokaslr")]
    return chosen


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Loaded:
    """A guest that can load the module."""

    def __init__(self, plan, machine, folder, tool):
        self.plan, self.machine, self.folder = plan, machine, folder
        self.port = free_port()
        network = f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:{PORT}"
        machine.boot(kernels.get(plan.kernel), plan.memory, cpu=plan.cpu,
                     files={"/bin/kioku": tool, "/lime.ko": lime_module.module(plan.kernel),
                            "/kioku.ko": kioku_module.module(plan.kernel)},
                     append=f"memhp_default_state=online_movable {plan.append}".strip(),
                     modules=["sha256_generic", "hwpoison_inject", "virtio_balloon", "e1000"],
                     arguments=[*guest.hot_plug(plan.memory, most=plan.memory + 1024),
                                "-device", "virtio-balloon-pci", "-netdev", network,
                                "-device", "e1000,netdev=net"],
                     output=3 * plan.memory + 512)
        self.recorder = recording.Recorder(machine, folder)
        self.words("ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up")
        machine.keep_truth(folder)
        facts = self.recorder.copy(folder / "ram.img")
        (folder / "guest.json").write_text(json.dumps(facts, indent=1) + "\n")
        self.known = Known(folder)

    def keep_truth(self):
        """Threads of the kernel come and go: what it says now is what the last image is about."""
        self.machine.keep_truth(self.folder, "truth-after")
        self.known = Known(self.folder)

    def words(self, command, timeout=300):
        return self.recorder.words(command, timeout)

    def said(self, command, timeout=300):
        return self.machine.said(command, timeout)

    def ranges(self):
        return acquire.system_ram(self.words("cat /proc/iomem").splitlines())

    def ram(self):
        """Bytes of System RAM."""
        return sum(end - start for start, end in self.ranges())

    def log(self, mark):
        """Our lines of the kernel log since a mark() was made."""
        text = self.words("busybox dmesg")
        return [line for line in text.partition(mark)[2].splitlines() if " kioku: " in line]

    def mark(self):
        mark = f"mark-{time.monotonic_ns()}"
        self.words(f"echo {mark} > /dev/kmsg")
        return mark

    def says(self, mark, pattern, timeout=60):
        """Waits for a line of ours in the log since a mark; a problem if there is none."""
        for _ in range(timeout * 5):
            if re.search(pattern, "\n".join(self.log(mark))):
                return
            time.sleep(0.2)
        yield f"the log says {self.log(mark)}"

    def is_loaded(self):
        return "kioku " in self.words("cat /proc/modules")

    def start(self, parameters):
        """insmod in the background; its exit status goes to /run/status, its pid, at once, to
        /run/pid."""
        self.words("rm -f /run/status /run/pid; "
                   f"(busybox sh -c 'echo $$ > /run/pid; exec insmod /kioku.ko {parameters}' "
                   "> /run/said 2>&1; echo $? > /run/status) > /dev/null 2>&1 & "
                   "until test -s /run/pid; do :; done")

    def ended(self, timeout=120):
        """The exit status of what start() started."""
        for _ in range(timeout * 2):
            status, text = self.said("cat /run/status")
            if status == 0 and text.strip():
                return int(text)
            time.sleep(0.5)
        raise guest.GuestError("insmod does not end")

    def wait_listening(self, timeout=60):
        for _ in range(timeout * 2):
            if self.said(f"busybox netstat -ltn | grep -q ':{PORT} '")[0] == 0:
                return
            time.sleep(0.5)
        raise guest.GuestError("nobody listens")


# --- dumps

def headers(path):
    """[(offset, 32 bytes)] of the records of a LiME file."""
    found = []
    with open(path, "rb") as file:
        end = file.seek(0, 2)
        at = 0
        while at < end:
            file.seek(at)
            header = file.read(32)
            magic, _, start, last, _ = struct.unpack("<IIQQQ", header)
            if magic != 0x4C694D45:
                raise ValueError(f"{path.name}: no record at {at:#x}")
            found.append((at, header))
            at += 32 + last + 1 - start
    if at != end:
        raise ValueError(f"{path.name}: it ends {at - end} bytes early")
    return found


def dumped(loaded, tool):
    """insmod path=... as LiME's, against memory from outside, and our reader's view of it."""
    loaded.recorder.acquire("dump", "insmod /kioku.ko path=/output/ram.lime format=lime "
                                    "digest=sha256 && rmmod kioku")
    dump = acquire.Acquisition(loaded.known, "dump", "ram.lime")
    remark = yield from acquire.peer(tool, dump)
    return remark and remark.replace("LiME", "it")


def framing(loaded, tool):
    """The same records, in the same order, as Debian's LiME module writes."""
    loaded.recorder.acquire("peer", "insmod /lime.ko path=/output/ram.lime format=lime "
                                    "digest=sha256 && rmmod lime")
    ours, theirs = (headers(loaded.folder / name / "ram.lime") for name in ("dump", "peer"))
    if ours != theirs:
        yield f"{ours}, but LiME has {theirs}"
    peer = acquire.Acquisition(loaded.known, "peer", "ram.lime")
    yield from acquire.peer(tool, peer)
    return f"{len(ours)} records"


def volatility(loaded):
    """volatility3 takes both for what they are."""
    folder = peers.volatility()
    for name in ("dump", "peer"):
        for plugin, said in ((["layerwriter.LayerWriter", "--list"], "LimeLayer"),
                             (["banners.Banners"], loaded.known.before["release"])):
            command = ["python3", folder / "vol.py", "-q", "-f", loaded.folder / name / "ram.lime",
                       *plugin]
            done = subprocess.run(command, env=peers.environment(), capture_output=True, text=True,
                                  timeout=300)
            if done.returncode or said not in done.stdout:
                yield f"{name}, {plugin[0]}: {done.stdout[-300:]}{done.stderr[-300:]}"


def device(loaded, tool):
    """kioku acquire module: complete, equal to memory, readable."""
    loaded.recorder.acquire(
        "device", "insmod /kioku.ko && kioku acquire module -o /output/device.lime; status=$?; "
                  "rmmod kioku && exit $status")
    found = acquire.Acquisition(loaded.known, "device", "device.lime")
    manifest = found.manifest()
    if manifest["source"]["driver"] != "module":
        yield f"it was read by {manifest['source']['driver']}"
    for test in (acquire.outcome, acquire.complete):
        yield from test(found)
    for test in (acquire.verified, acquire.memory):
        remark = yield from test(tool, found)
    loaded.keep_truth()
    yield from compare.ps(tool.torn(), loaded.known, found.image)
    return remark


def nc(port, path):
    """What a client gets that sends nothing; nc of OpenBSD, as LiME's procedures have it."""
    with open(path, "wb") as out:
        subprocess.run(["nc", "-d", "127.0.0.1", str(port)], stdin=subprocess.DEVNULL, stdout=out,
                       timeout=600, check=True)


def fetch(port, *paths):
    """One connection for each; QEMU also answers when nobody listens in the guest."""
    for path in paths:
        nc(port, path)
        while not path.stat().st_size:
            time.sleep(0.2)
            nc(port, path)


def over_tcp(loaded, tool):
    """The image, then its digest over a connection of its own, against memory from outside."""
    image, digest = (loaded.folder / name for name in ("ram.lime", "ram.lime.sha256"))
    with ThreadPoolExecutor(1) as pool:
        client = pool.submit(fetch, loaded.port, image, digest)
        loaded.recorder.acquire("tcp", f"insmod /kioku.ko path=tcp:{PORT} digest=sha256 && "
                                       "rmmod kioku")
        client.result()
    for path in (image, digest):
        path.rename(loaded.folder / "tcp" / path.name)
    image = acquire.Acquisition(loaded.known, "tcp", "ram.lime")
    if headers(image.image) != headers(loaded.folder / "dump/ram.lime"):
        yield "its records are others than those of the file"
    remark = yield from acquire.peer(tool, image)
    return remark and remark.replace("LiME", "it")


def compressed(loaded, tool):
    image, packed, digest = (loaded.folder / name for name in ("tcp.lime", "tcp.z", "tcp.sha256"))
    mark = loaded.mark()
    loaded.start(f"path=tcp:{PORT} format=lime compress=1 digest=sha256")
    fetch(loaded.port, packed, digest)
    if loaded.ended() != 0:
        yield f"insmod failed: {loaded.words('cat /run/said')}"
    loaded.words("rmmod kioku")
    image.write_bytes(zlib.decompress(packed.read_bytes(), wbits=11))
    if hashlib.sha256(image.read_bytes()).hexdigest() != digest.read_text():
        yield f"the digest is {digest.read_text()!r}"
    if headers(image) != headers(loaded.folder / "dump/ram.lime"):
        yield "its records are others than those of the file"
    log = "\n".join(loaded.log(mark))
    if "neither encrypted nor authenticated" not in log:
        yield f"nobody is warned: {log}"
    if f"{packed.stat().st_size} bytes written to tcp:{PORT}" not in log:
        yield f"the log has no summary: {log}"
    loaded.keep_truth()
    yield from compare.ps(tool.torn(), loaded.known, image)
    return f"{packed.stat().st_size >> 20} MiB compressed"


def only_local(loaded):
    """localhostonly: nobody from outside. The client in the guest has nothing more to say, and says
    so at once."""
    loaded.start(f"path=tcp:{PORT} format=raw localhostonly=1")
    loaded.wait_listening()
    with socket.create_connection(("127.0.0.1", loaded.port)) as client:
        try:
            if client.recv(1):
                yield "who connects from outside gets memory"
        except ConnectionError:
            pass
    size = int(loaded.words(f"busybox nc 127.0.0.1 {PORT} < /dev/null | busybox wc -c"))
    if size != loaded.ram():
        yield f"{size} bytes came"
    if loaded.ended() != 0:
        yield f"insmod failed: {loaded.words('cat /run/said')}"
    loaded.words("rmmod kioku")


def slow_pages(loaded):
    """A machine that stands still now and then: that costs the page of that moment, not the rest of
    its range."""
    mark = loaded.mark()
    loaded.start("path=/dev/null format=raw timeout=1000")
    for _ in range(STALLS):
        time.sleep(0.1)
        loaded.machine.stall(2)
    if loaded.ended() != 0:
        yield f"insmod failed: {loaded.words('cat /run/said')}"
    loaded.words("rmmod kioku")
    last = "".join(loaded.log(mark)[-1:])
    found = re.search(rf"kioku: {loaded.ram()} bytes .* (\d+) pages skipped: (\d+) too slow$", last)
    # A crowded host may add some of its own.
    if not found or found[1] != found[2] or int(found[1]) > 10 * STALLS:
        yield f"the log says {last}"
    return found and f"{found[1]} pages"


def other_formats(loaded):
    """raw is all ranges, padded begins at 0; also by O_DIRECT, and with a timeout that no page can
    be sure to keep."""
    ranges, total = loaded.ranges(), loaded.ram()
    end = ranges[-1][1]
    expected = {"format=raw": total, "format=raw dio=1": total, "format=padded dio=1": end,
                "format=lime timeout=1": total + 32 * len(ranges), "timeout=0": total +
                32 * len(ranges)}
    for parameters, size in expected.items():
        mark = loaded.mark()
        loaded.words(f"insmod /kioku.ko path=/output/other {parameters}; rmmod kioku", 600)
        found = int(loaded.words("busybox stat -c %s /output/other"))
        if found != size:
            yield f"{parameters}: {found} bytes, not {size}"
        if not any(f" {size} bytes written" in line for line in loaded.log(mark)):
            yield f"{parameters}: {loaded.log(mark)}"
        loaded.words("rm /output/other")


def build_all(loaded, tool):
    """Of a folder of packages: the module for this kernel, and a profile from another boot of it, with
    which images of this one are read."""
    release, folder = loaded.known.before["release"], loaded.folder / "modules"
    debs = loaded.folder / "debs"
    kernels.packages(loaded.plan.kernel, debs)
    done = subprocess.run([kioku_module.TOP / "module/build-all", "--kioku", tool.path, "-o", folder,
                           debs, loaded.folder], capture_output=True, text=True)
    # The second one is none.
    if done.returncode != 1 or "neither headers" not in done.stderr:
        yield f"exit status {done.returncode}: {done.stderr}"
    found = json.loads((folder / "index.json").read_text())[release]
    for what in ("module", "profile"):
        built = (folder / found[what]["path"]).read_bytes()
        if hashlib.sha256(built).hexdigest() != found[what]["sha256"]:
            yield f"the index has another digest: {found}"
    if not found["vermagic"].startswith(f"{release} "):
        yield f"it is for {found['vermagic']}"
    profile = folder / found["profile"]["path"]
    image = loaded.folder / "device/device.lime"
    yield from compare.ps(tool.torn(), loaded.known, image, "--profile", profile)
    cold, warm = (tool.run("ps", image, "--stats", *options).stats()["bytes"]
                  for options in ([], ["--profile", profile]))
    if warm > cold / 2:
        yield f"ps with the profile touches {warm} of {cold} bytes"
    shutil.rmtree(debs)
    return f"{profile.stat().st_size >> 10} KiB of profile"


def dkms(loaded):
    """Debian's dkms builds it by what "make source" has laid out, for a kernel that does not run."""
    release, folder = loaded.known.before["release"], loaded.folder / "dkms"
    programs = kernels.programs(["dkms", "kmod"], folder / "programs")
    version = re.search(r" version: '(.+?)'", (kioku_module.TOP / "meson.build").read_text())[1]
    installed = folder / "installed" / release
    installed.mkdir(parents=True)
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:{programs}"}
    for command in (["make", "-C", kioku_module.TOP / "module", "source",
                     f"DEST={folder}/kioku-{version}"],
                    ["dkms", "install", f"kioku/{version}", "-k", release, "--no-depmod",
                     "--kernelsourcedir", kernels.headers(loaded.plan.kernel), "--sourcetree", folder,
                     "--dkmstree", folder / "tree", "--installtree", installed.parent]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            yield f"{command[0]}: {done.stdout[-500:]}{done.stderr[-500:]}"
            return
    [module] = installed.glob("**/kioku.ko*")
    said = subprocess.run(["modinfo", module], env=environment, capture_output=True, text=True).stdout
    for line in (r"license: +GPL$", rf"vermagic: +{re.escape(release)} ", "description: +Images",
                 *(f"parm: +{name}:" for name in PARAMETERS)):
        if not re.search(f"^{line}", said, re.M):
            yield f"modinfo does not say {line!r}: {said}"


# --- what goes wrong

FAILURES = {  # parameters: what insmod says, what our last line of the log says
    "path=/run/x": ("No space left", r"cannot write /run/x: (-ENOSPC|-28), after \d{7,} bytes"),
    # What insmod makes of ENOENT.
    "path=/nowhere/x": ("No such file|unknown symbol", r"cannot write /nowhere/x: (-ENOENT|-2), after 0 bytes"),
    "path=/output/x format=elf": ("nvalid", "format=elf: there are lime, raw and padded"),
    "path=": ("nvalid", "path= is empty"),
    "path=tcp:0": ("nvalid", "there is no such port"),
    "path=tcp:70000": ("nvalid", "there is no such port"),
    "path=/output/x digest=nosuch": ("not supported", "digest=nosuch: this kernel"),
    f"path=tcp:{PORT} accept_timeout=700": ("timed out", "ETIMEDOUT|-110"),
}


def refused(loaded, parameters, said, logged):
    mark = loaded.mark()
    status, text = loaded.said(f"insmod /kioku.ko '{parameters}'".replace(" ", "' '")
                               .replace("insmod' '/kioku.ko' '", "insmod /kioku.ko "))
    if status == 0 or not re.search(said, text, re.I):
        yield f"{parameters}: exit status {status}: {text}"
    lines = loaded.log(mark)
    if not lines or not re.search(logged, lines[-1]):
        yield f"{parameters}: the log says {lines}"
    if loaded.is_loaded():
        yield f"{parameters}: it is still there"


def failures(loaded):
    for parameters, (said, logged) in FAILURES.items():
        yield from refused(loaded, parameters, said, logged)
        loaded.words("rm -f /run/x /output/x")
    return f"{len(FAILURES)} kinds"


def disk_full(loaded):
    """In every format, and by every way to a disk: what fitted stays there."""
    loaded.words("free=$(busybox df -m /output | busybox awk 'END { print $4 }'); "
                 "busybox fallocate -l $((free - 8))m /output/filler")
    ways = ("format=lime", "format=raw", "format=padded", "compress=1", "dio=1", "digest=sha256")
    for way in ways:
        yield from refused(loaded, f"path=/output/x {way}", "No space left",
                           r"cannot write /output/x: (-ENOSPC|-28), after \d{7} bytes")
        size = int(loaded.words("busybox stat -c %s /output/x"))
        if not 4 << 20 < size < 10 << 20:
            yield f"{way}: {size} bytes are there"
        loaded.words("rm -f /output/x")
    loaded.words("rm /output/filler")


def port_in_use(loaded):
    loaded.words(f"busybox nc -l -p {PORT} > /dev/null 2>&1 & echo $! > /run/nc")
    loaded.wait_listening()
    yield from refused(loaded, f"path=tcp:{PORT}", "in use", "EADDRINUSE|-98")
    loaded.said("busybox kill $(cat /run/nc)")


def client_leaves(loaded):
    """At once, soon, and later; with and without having read all that had come."""
    for size in (0, 1, 100_000, 20 << 20):
        mark = loaded.mark()
        loaded.start(f"path=tcp:{PORT}")
        loaded.wait_listening()
        with socket.create_connection(("127.0.0.1", loaded.port)) as client:
            while size > 0:
                size -= len(client.recv(min(size, 1 << 16)))
        yield from loaded.says(mark, r"cannot write tcp:\d+: (-EPIPE|-ECONNRESET|-32|-104), after")
        # busybox's insmod tries everything twice.
        loaded.said("busybox kill $(cat /run/pid)")
        if loaded.ended() == 0:
            yield "insmod has not failed"
        if loaded.is_loaded():
            yield "it is still there"


def digest_left(loaded):
    """Nobody comes for the digest: that is no success either."""
    mark = loaded.mark()
    loaded.start(f"path=tcp:{PORT} digest=sha256 accept_timeout=1000")
    fetch(loaded.port, loaded.folder / "left")
    if loaded.ended() == 0:
        yield "insmod has not failed"
    if not re.search(r"cannot write the digest of tcp:\d+: (-ETIMEDOUT|-110), after \d{9} bytes",
                     "\n".join(loaded.log(mark))):
        yield f"the log says {loaded.log(mark)}"


def interrupted(loaded):
    """rmmod while it waits, for a client, or for one that does not read, and while it writes; then
    signals, the last of which cannot be caught. A shell's background processes ignore SIGINT and
    SIGQUIT."""
    for parameters, signal in ((f"path=tcp:{PORT}", "HUP"), (f"path=tcp:{PORT}", "TERM"),
                               ("path=/output/x", "TERM"), ("path=/output/x dio=1", "USR1"),
                               ("path=/output/x digest=sha256 compress=1", "KILL")):
        mark = loaded.mark()
        with contextlib.ExitStack() as stack:
            stack.enter_context(loaded.machine.slow_output(SLOW))
            loaded.start(parameters)
            if "tcp" in parameters:
                loaded.wait_listening()
                if signal == "TERM":
                    stack.enter_context(socket.create_connection(("127.0.0.1", loaded.port)))
                time.sleep(1)
            else:
                loaded.words("until test -s /output/x; do busybox usleep 10000; done")
            status, text = loaded.said("rmmod kioku")
            if status == 0:
                yield f"{parameters}: rmmod succeeds meanwhile"
            loaded.words(f"busybox kill -{signal} $(cat /run/pid)")
            if loaded.ended() == 0:
                yield f"{parameters}: insmod succeeds"
        if loaded.is_loaded():
            yield f"{parameters}: it is still there"
        if not re.search("(-EINTR|-4), after", "\n".join(loaded.log(mark))):
            yield f"{parameters}: the log says {loaded.log(mark)}"
        loaded.words("rm -f /output/x")


def any_moment(loaded):
    """Signals and rmmod from the start of insmod on: whatever it was about to do, nothing stays."""
    for moment in range(10):
        with loaded.machine.slow_output(SLOW):
            loaded.start("path=/output/x digest=sha256")
            loaded.words(f"busybox usleep {moment * 70_000}; rmmod kioku; "
                         "busybox kill -TERM $(cat /run/pid)")
            if loaded.ended() == 0:
                yield f"moment {moment}: insmod succeeds"
        if loaded.is_loaded():
            yield f"moment {moment}: it is still there"
        loaded.words("rm -f /output/x*")


def in_use(loaded):
    """An open /dev/kioku keeps it; it cannot be written; holes are refused, RAM is not."""
    loaded.words("insmod /kioku.ko")
    start = loaded.ranges()[1][0] // 4096
    tries = {f"dd if=/dev/kioku bs=4096 skip={start} count=1 of=/dev/null": True,
             "dd if=/dev/kioku bs=4096 skip=160 count=1 of=/dev/null": False,
             "dd if=/dev/kioku bs=4096 skip=1000000000 count=1 of=/dev/null": False,
             "exec 9<>/dev/kioku": False,
             "exec 9</dev/kioku; rmmod kioku": False,
             "busybox stat -c %a /dev/kioku | grep -qx 400": True}
    for command, good in tries.items():
        status, text = loaded.said(command)
        if (status == 0) != good:
            yield f"{command}: exit status {status}: {text}"
    loaded.words("rmmod kioku")


def loads(loaded):
    """Again and again as a device, and some times as a dump; the last is as good as the first."""
    dumps = DUMPS if loaded.plan.brief else LOADS
    loaded.words(f"for i in $(busybox seq {LOADS}); do insmod /kioku.ko && "
                 "dd if=/dev/kioku bs=64k skip=16 count=16 of=/dev/null 2> /dev/null && "
                 f"rmmod kioku || exit 1; [ $i -gt {dumps} ] && continue; "
                 "insmod /kioku.ko path=/dev/null && rmmod kioku || exit 1; done", 900)
    yield from ()  # words() raises
    return f"{LOADS} as a device, {dumps} as a dump"


def faulty(loaded, tool):
    """Poisoned, offline and ballooned pages, through the device and in a dump."""
    loaded.recorder.faulty("insmod /kioku.ko && kioku acquire -o /output/faults.lime.lz4 "
                           "--digest sha256; status=$?; rmmod kioku; exit $status")
    found = acquire.Acquisition(loaded.known, "faults", "faults.lime.lz4")
    if found.manifest()["source"]["driver"] != "module":
        yield f"it was read by {found.manifest()['source']['driver']}"
    yield from acquire.outcome(found)
    yield from acquire.memory(tool, found)
    remark = yield from acquire.faulty_memory(found)
    mark = loaded.mark()
    loaded.words("insmod /kioku.ko path=/output/faults.lime && rmmod kioku", 600)
    counts = "".join(loaded.log(mark)[-1:])
    known = json.loads((loaded.folder / "faults.json").read_text())
    away = (known["offline"][1] + known["ballooned"]) // 4096
    if f"{away} offline or ballooned, 1 poisoned" not in counts:
        yield f"{away} pages are away and one is poisoned: {counts}"
    loaded.words("rm /output/faults.lime")
    return remark


def locked_down(loaded):
    """The last of all: nobody unlocks it again."""
    loaded.words("insmod /kioku.ko; mount -t securityfs none /sys/kernel/security; "
                 "echo confidentiality > /sys/kernel/security/lockdown")
    status, text = loaded.said("kioku acquire module -o - --as raw > /dev/null")
    if status != 1 or "locked down (confidentiality)" not in text:
        yield f"exit status {status}: {text}"
    loaded.words("rmmod kioku")
    if loaded.said("insmod /kioku.ko")[0] == 0:
        yield "it can be loaded"


def quiet(loaded):
    """No line of the kernel log that something went wrong inside."""
    log = loaded.words("busybox dmesg")
    for line in log.splitlines():
        if re.search(ALARMS, line):
            yield line


# In this order. Padded dumps end where memory was plugged in, above 4 GiB.
TESTS = [dumped, framing, volatility, device, over_tcp, compressed, only_local, slow_pages,
         other_formats, build_all, dkms, faulty, failures, disk_full, port_in_use, client_leaves,
         digest_left, interrupted, any_moment, in_use, loads, locked_down, quiet]
WITH_TOOL = {dumped, framing, device, over_tcp, compressed, build_all, faulty}
ESSENTIAL = {dumped, framing, volatility, device, over_tcp, failures, disk_full, port_in_use,
             client_leaves, interrupted, in_use, loads, locked_down, quiet}


def why_not(test, plan):
    """Why a test cannot be run, or None."""
    if test is volatility and not peers.volatility():
        return "there is no volatility3 in $KIOKU_PEERS"
    if test is dkms and not shutil.which(kernels.compiler(kernels.headers(plan.kernel)) or "gcc"):
        return "the compiler of this kernel is not here"
    return None


def check_all(session):
    for plan in plans(session.options):
        tests = [test for test in TESTS if test in ESSENTIAL or not plan.brief]
        if not any(session.results.wants(f"{plan.name}: {test.__name__}") for test in tests):
            continue
        folder = session.folder / plan.name
        folder.mkdir(parents=True)
        with guest.Guest(folder / "live") as machine:
            try:
                loaded = Loaded(plan, machine, folder, session.options.static.resolve())
            except (guest.GuestError, kernels.FetchError) as error:
                session.results.fail(f"{plan.name}: boot", error)
                continue
            for test in tests:
                title, reason = f"{plan.name}: {test.__name__}", why_not(test, plan)
                if reason:
                    session.results.skip(title, reason)
                else:
                    session.results.check(title, test, loaded,
                                          *([session.tool] if test in WITH_TOOL else []))
