# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our kernel module inside guests: its dumps and what is read through /dev/kioku against the guest's
memory from outside, its framing against Debian's LiME module, and everything that can go wrong.
Each test yields problems."""

import hashlib
import json
import re
import socket
import struct
import subprocess
import time
import zlib
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
LOADS = 20
ALARMS = r"BUG:|WARNING:|Oops|Call Trace|general protection|rcu.*stall|possible.*deadlock"


@dataclass
class Plan:
    kernel: str
    memory: int = 256
    append: str = ""
    cpu: str = "max"

    @property
    def name(self):
        return f"module-{self.kernel}-{self.memory}m"


def plans(full):
    """Memory is copied in one way where rep movsb is fast, and in another where it is not."""
    chosen = [Plan("bookworm"), Plan("backports", cpu="max,erms=off")]
    if full:
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

    def log(self, mark):
        """Our lines of the kernel log since a mark() was made."""
        text = self.words("busybox dmesg")
        return [line for line in text.partition(mark)[2].splitlines() if " kioku: " in line]

    def mark(self):
        mark = f"mark-{time.monotonic_ns()}"
        self.words(f"echo {mark} > /dev/kmsg")
        return mark

    def is_loaded(self):
        return "kioku " in self.words("cat /proc/modules")

    def start(self, parameters):
        """insmod in the background; its exit status goes to /run/status, its pid to /run/pid."""
        self.words("rm -f /run/status; "
                   f"(busybox sh -c 'echo $$ > /run/pid; exec insmod /kioku.ko {parameters}' "
                   "> /run/said 2>&1; echo $? > /run/status) > /dev/null 2>&1 &")

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


def over_tcp(loaded, tool):
    """Compressed, with a digest, which comes over a second connection."""
    image, packed, digest = (loaded.folder / name for name in ("tcp.lime", "tcp.z", "tcp.sha256"))
    mark = loaded.mark()
    loaded.start(f"path=tcp:{PORT} format=lime compress=1 digest=sha256")
    loaded.wait_listening()
    nc(loaded.port, packed)
    nc(loaded.port, digest)
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


def other_formats(loaded):
    """raw is all ranges, padded begins at 0; also by O_DIRECT, and with a timeout that no page can
    be sure to keep."""
    ranges = acquire.system_ram(loaded.words("cat /proc/iomem").splitlines())
    total, end = sum(last - start for start, last in ranges), ranges[-1][1]
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


def build_all(loaded):
    """Its index knows the module that it has built for this kernel, by what it is named and holds."""
    release, folder = loaded.known.before["release"], loaded.folder / "modules"
    done = subprocess.run([kioku_module.TOP / "module/build-all", "-o", folder,
                           kernels.headers(loaded.plan.kernel), loaded.folder],
                          capture_output=True, text=True)
    # The second one is none.
    if done.returncode != 1 or "neither headers" not in done.stderr:
        yield f"exit status {done.returncode}: {done.stderr}"
    found = json.loads((folder / "index.json").read_text())[release]
    built = (folder / found["module"]["path"]).read_bytes()
    if hashlib.sha256(built).hexdigest() != found["module"]["sha256"]:
        yield f"the index has another digest: {found}"
    if not found["vermagic"].startswith(f"{release} "):
        yield f"it is for {found['vermagic']}"
    return f"{len(built) >> 10} KiB"


# --- what goes wrong

FAILURES = {  # parameters: what insmod says, what our last line of the log says
    "path=/run/x": ("No space left", r"cannot write /run/x: (-ENOSPC|-28), after \d{7,} bytes"),
    # What insmod makes of ENOENT.
    "path=/nowhere/x": ("No such file|unknown symbol", r"cannot write /nowhere/x: (-ENOENT|-2), after 0 bytes"),
    "path=/output/x format=elf": ("nvalid", "format=elf: there are lime, raw and padded"),
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


def port_in_use(loaded):
    loaded.words(f"busybox nc -l -p {PORT} > /dev/null 2>&1 & echo $! > /run/nc")
    loaded.wait_listening()
    yield from refused(loaded, f"path=tcp:{PORT}", "in use", "EADDRINUSE|-98")
    loaded.said("busybox kill $(cat /run/nc)")


def client_leaves(loaded):
    mark = loaded.mark()
    # busybox's insmod tries everything twice.
    loaded.start(f"path=tcp:{PORT} accept_timeout=3000")
    loaded.wait_listening()
    with socket.create_connection(("127.0.0.1", loaded.port)) as client:
        client.recv(100000)
    if loaded.ended() == 0:
        yield "insmod has not failed"
    if not re.search(r"cannot write tcp:\d+: (-EPIPE|-ECONNRESET|-32|-104), after",
                     "\n".join(loaded.log(mark))):
        yield f"the log says {loaded.log(mark)}"
    if loaded.is_loaded():
        yield "it is still there"


def interrupted(loaded):
    """rmmod while it waits and while it writes; then signals, the last of which cannot be caught.
    A shell's background processes ignore SIGINT."""
    for parameters, signal in ((f"path=tcp:{PORT}", "HUP"), ("path=/output/x", "TERM"),
                               ("path=/output/x digest=sha256 compress=1", "KILL")):
        mark = loaded.mark()
        loaded.start(parameters)
        time.sleep(2)
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


def in_use(loaded):
    """An open /dev/kioku keeps it; it cannot be written; holes are refused, RAM is not."""
    loaded.words("insmod /kioku.ko")
    start = acquire.system_ram(loaded.words("cat /proc/iomem").splitlines())[1][0] // 4096
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
    """Again and again, as a device and as a dump; the last is as good as the first."""
    loaded.words(f"for i in $(busybox seq {LOADS}); do insmod /kioku.ko && "
                 "dd if=/dev/kioku bs=64k skip=16 count=16 of=/dev/null 2> /dev/null && "
                 "rmmod kioku && insmod /kioku.ko path=/dev/null && rmmod kioku || exit 1; done",
                 900)
    yield from ()  # words() raises
    return f"{LOADS} of each"


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


# In this order; True: with the tool. Padded dumps end where memory was plugged in, above 4 GiB.
TESTS = [(dumped, True), (framing, True), (volatility,), (device, True), (over_tcp, True),
         (other_formats,), (build_all,), (faulty, True), (failures,), (port_in_use,),
         (client_leaves,), (interrupted,), (in_use,), (loads,), (locked_down,), (quiet,)]


def check_all(session):
    for plan in plans(session.options.full):
        if not any(session.results.wants(f"{plan.name}: {test.__name__}") for test, *_ in TESTS):
            continue
        folder = session.folder / plan.name
        folder.mkdir(parents=True)
        with guest.Guest(folder / "live") as machine:
            try:
                loaded = Loaded(plan, machine, folder, session.options.static.resolve())
            except (guest.GuestError, kernels.FetchError) as error:
                failure = str(error)
                session.results.check(f"{plan.name}: boot", lambda why=failure: iter([why]))
                continue
            for test, *tool in TESTS:
                if test is volatility and not peers.volatility():
                    session.results.skip(f"{plan.name}: volatility",
                                         "there is no volatility3 in $KIOKU_PEERS")
                    continue
                session.results.check(f"{plan.name}: {test.__name__}", test, loaded,
                                      *(session.tool for _ in tool))
