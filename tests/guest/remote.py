# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that are read over a NetTLP link while they run, and after they panicked: an endpoint over
their memory, kioku as the requester. Each test yields problems."""

import json
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import compare
import guest
import kernels
from known import Known
from ram import Ram
from tool import Tool, ToolError, text_bytes

PROGRAMS = Path(__file__).resolve().parent / "programs"
REMOTE, LOCAL = "127.0.9.2", "127.0.9.1"
LOW_MEMORY = "00000000-0009ffff : System RAM"  # what may be read before RAM is known
STORM = b"storm"
STORM_USERS = {0, 4711}
COLD = {"bytes": 10_000_000, "requests": 20_000}
WARM = {"bytes": 256 << 10, "requests": 1000}
REQUESTS_A_TASK, REQUESTS_A_NAME = 5, 2
ONCE = 40  # requests of a list that are not for one of its tasks


@dataclass
class Plan:
    kernel: str
    memory: int = 1024
    cpu: str = "max"
    append: str = ""
    storms: int = 5

    @property
    def name(self):
        levels = "4l" if "la57=off" in self.cpu else "5l"
        more = "-".join(re.findall(r"[a-z]+", self.append))
        return f"remote-{self.kernel}-{self.memory}m-{levels}{'-' if more else ''}{more}"


def plans(full):
    """The ordinary one has 5 levels and KASLR."""
    chosen = [Plan("bookworm")]
    if full:
        chosen = [Plan("bookworm", storms=200), Plan("backports", 3072, "max,la57=off", "pti=on"),
                  Plan("bullseye", 512, append="nokaslr"), Plan("trixie", 1024),
                  Plan("sid", 5120)]
    return chosen


class Endpoint:
    """kioku serve over a guest's memory; what is not RAM there may not be touched."""

    def __init__(self, tool, image, ranges, *options):
        self.process = subprocess.Popen(
            [tool.path, "serve", image, "--nettlp", REMOTE, "--ranges", ranges, "--json", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if not self.process.stdout.readline():
            raise ToolError(f"serve: {self.process.stderr.read().decode()}")

    def stop(self):
        """What it counted."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=60)
        return json.loads(out.splitlines()[-1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def url(**parameters):
    parameters = {"local": LOCAL, **parameters}
    return f"nettlp://{REMOTE}?" + "&".join(f"{name}={value}"
                                            for name, value in parameters.items())


class Visit:
    """A running guest, with a program that keeps the time and, when it is wanted, a storm."""

    def __init__(self, machine, plan, session):
        self.machine, self.plan, self.folder = machine, plan, machine.folder
        self.tool, self.cached = session.tool, Tool(session.options.kioku, machine.folder / "cache")
        programs = {f"/bin/{name}": compiled(name, session.folder) for name in ("clock", "storm")}
        machine.boot(kernels.get(plan.kernel), memory=plan.memory, cpu=plan.cpu, cpus=2,
                     append=plan.append, files=programs, output=16)
        self.must("/bin/clock /run/clock > /dev/null 2>&1 & "
                  "until busybox grep -q x /run/clock; do busybox sleep 0.2; done")
        self.variable = int(self.must("busybox cat /run/clock"), 16)
        self.pieces = [{**piece, "physical": hex(piece["physical"])}
                       for piece in guest.ram_map(plan.memory)]
        (self.folder / "guest.json").write_text(json.dumps({"ram_map": self.pieces, "dumps": {}}))
        self.keep("truth")
        self.known = Known(self.folder)
        self.ranges = self.folder / "iomem"
        self.ranges.write_text("\n".join([LOW_MEMORY, *self.known.before["iomem"]]) + "\n")

    def must(self, command):
        status, text = self.machine.said(command)
        if status:
            raise guest.GuestError(f"{command}: exit status {status}: {text}")
        return text

    def keep(self, name):
        truth = self.machine.collect()
        (self.folder / f"{name}-kallsyms.txt").write_bytes(truth.pop("kallsyms"))
        (self.folder / f"{name}.json").write_text(json.dumps(truth))
        self.known = Known(self.folder)

    def endpoint(self, *options):
        return Endpoint(self.tool, self.machine.ram, self.ranges, *options)

    def cr3(self):
        """Of a process that a CPU runs just now: the clock, for all others are asleep."""
        for _ in range(200):
            for cpu in self.machine.registers():
                if cpu["rip"] < 1 << 47:
                    return cpu["cr3"]
            time.sleep(0.05)
        raise guest.GuestError("no CPU is ever in a program")

    def ram(self):
        return Ram(self.machine.ram, self.pieces)


def compiled(name, folder):
    target = folder / name
    if not target.exists():
        subprocess.run(["gcc", "-static", "-O1", "-o", target, PROGRAMS / f"{name}.c"], check=True)
    return target


# --- tests

def views(visit):
    """As any image of a machine that runs, and not a word more: nothing was torn."""
    with visit.endpoint("--latency", "12us") as endpoint:
        statuses = {}
        rows = {}
        for view in ("ps", "threads", "pstree"):
            result = visit.tool.run(view, url(), "--format", "json")
            statuses[view], rows[view] = result, result.rows()
        visit.keep("truth-after")
        summary = endpoint.stop()

    class Found:
        def rows(self, command, *_):
            return rows[command]

    for view, result in statuses.items():
        if result.status:
            yield result.describe()
    for test in (compare.ps, compare.threads, compare.pstree):
        for problem in test(Found(), visit.known, "nettlp"):
            yield f"{test.__name__}: {problem}"
    if summary["outside"]:
        yield f"{summary['outside']} requests to what is no RAM"
    for count in ("malformed", "writes", "translated", "foreign"):
        if summary[count]:
            yield f"{summary[count]} requests counted as {count}"
    return f"{len(rows['ps'])} processes"


def least(tool, command, *arguments):
    """What it costs where nothing is asked for twice because this machine was busy."""
    tries = [tool.run(command, url(), *arguments, "--stats").stats() for _ in range(3)]
    return min(tries, key=lambda found: found["requests"])


def cost(visit):
    """What it takes from nothing to the list, and again; of a guest that stands still."""
    visit.machine.freeze()
    with visit.endpoint("--latency", "12us"):
        tasks = len(visit.cached.rows("ps", url()))
        stats = {"cold": least(visit.tool, "ps")}
        for name, command, *columns in (("warm", "ps"), ("names", "ps", "--columns", "pid,comm"),
                                        ("info", "info")):
            stats[name] = least(visit.cached, command, *columns)
    visit.machine.resume()
    for name, limits in (("cold", COLD), ("warm", WARM)):
        for unit, limit in limits.items():
            if stats[name][unit] > limit:
                yield f"{name}: {stats[name][unit]} {unit}, more than {limit}"
    for name, limit in (("warm", REQUESTS_A_TASK), ("names", REQUESTS_A_NAME)):
        more = stats[name]["requests"] - stats["info"]["requests"] - ONCE
        if more > limit * tasks:
            yield f"{name}: {more} requests for {tasks} tasks"
    return ", ".join(f"{name} {found['bytes']} B {found['requests']} requests"
                     for name, found in stats.items()) + f", {tasks} tasks"


def variable(visit, runs=True):
    """The time that the guest's program keeps, by its page tables' root and a virtual address."""
    cr3 = visit.cr3()

    def read():
        found = visit.cached.run("read", url(), hex(visit.variable), 8, "--cr3", hex(cr3),
                                 "--format", "raw")
        if found.status or len(found.stdout) != 8:
            raise ToolError(found.describe())
        return int.from_bytes(found.stdout, "little")

    with visit.endpoint():
        first = read()
        before = int(visit.must("busybox date +%s"))
        time.sleep(3)
        second = read()
        after = int(visit.must("busybox date +%s"))
        pages = visit.cached.rows("pagemap", url(), "--cr3", hex(cr3))
    if not before - 60 < first < second <= after:
        yield f"the variable is {first}, then {second}; the guest's clock is {before} to {after}"
    start = visit.variable & ~4095
    if not any(int(row["start"], 16) <= start < int(row["end"], 16) for row in pages):
        yield f"pagemap --cr3 has nothing at {start:#x}"
    visit.clock = (cr3, second)
    return f"{second}, {len(pages)} mappings"


def dump(visit):
    """Of a guest that stands still, over a link that loses, doubles and delays: byte by byte."""
    target = visit.folder / "dump.padded"
    visit.machine.freeze()
    with visit.endpoint("--loss", "1", "--duplicate", "1", "--reorder", "1", "--late",
                        "0.1:600ms") as endpoint:
        # A part of it: the tests of the link itself read more. --physical asks the kernel for RAM.
        start, size = 16 << 20, 24 << 20
        found = visit.cached.run("read", url(tags=64), hex(start), size, "--physical", "-o", target)
        summary = endpoint.stop()
    with visit.ram() as ram:
        wanted = ram.read(start, size)
    visit.machine.resume()
    if found.status:
        yield found.describe()
    elif target.read_bytes() != wanted:
        yield "it differs"
    target.unlink(missing_ok=True)
    if summary["outside"]:
        yield f"{summary['outside']} requests to what is no RAM"
    return f"{summary['dropped']} lost, {summary['duplicated']} doubled, {summary['late']} late"


def whole(visit):
    """acquire, all of it."""
    target = visit.folder / "whole.raw"
    visit.machine.freeze()
    with visit.endpoint():
        found = visit.cached.run("acquire", url(tags=128, mrrs=4096), "-o", target, "--as", "padded",
                                 "--digest", "none", timeout=600)
    if found.status:
        yield found.describe()
    else:
        with visit.ram() as ram, open(target, "rb") as image:
            for start, last in visit.known.iomem("System RAM"):
                for at in range(start, last + 1, 16 << 20):
                    size = min(16 << 20, last + 1 - at)
                    image.seek(at)
                    if image.read(size) != ram.read(at, size):
                        yield f"it differs at 0x{at:x} or behind"
    visit.machine.resume()
    target.unlink(missing_ok=True)


def storm(visit):
    """No row that is wrong, and nobody missed who was there all the time."""
    visit.keep("truth")
    visit.must("/bin/storm > /dev/null 2>&1 & echo $! > /run/storm")
    runs = []
    with visit.endpoint("--latency", "12us"):
        for number in range(visit.plan.storms):
            result = visit.cached.run("ps", url(), "--format", "json")
            if result.status not in (0, 3):
                yield f"run {number}: {result.describe()}"
                continue
            runs.append((number, result.rows()))
    visit.must("kill -STOP $(cat /run/storm); kill -KILL $(cat /run/storm); busybox sleep 1")
    visit.keep("truth-after")
    for number, rows in runs:
        for problem in storm_rows(visit.known, rows):
            yield f"run {number}: {problem}"
    return f"{visit.plan.storms} runs, up to {max((len(rows) for _, rows in runs), default=0)} processes"


def storm_rows(known, rows):
    pids = [row["pid"] for row in rows]
    for pid in compare.leaders(known):
        if pid not in pids and known.steady(pid) and not known.names(pid) <= {b"sh"} and \
                not next(iter(known.names(pid))).startswith(b"kworker/"):
            yield f"{pid} {known.names(pid)} is missing"
    for row in rows:
        name, pid = text_bytes(row, "comm"), row["pid"]
        if pid in known.tasks and name in known.names(pid):
            steady = {field: row[field] for field in row if field != "state"}
            yield from compare.wrong_cells(known, steady, pid,
                                           ("pid", "ppid", "uid", "gid", "threads"))
        elif name == STORM:
            wrong = {"uid": row["uid"] not in STORM_USERS, "gid": row["gid"] not in STORM_USERS,
                     # A dead task is uncounted before it is taken off the list (__unhash_process()).
                     "threads": row["threads"] not in ((0, 1) if row["state"] == "X" else (1, None)),
                     "ppid": not 0 < row["ppid"] < 4 << 20,
                     "state": row["state"] not in tuple("RSDZXI")}
            if any(wrong.values()) and not row.get("absent"):
                yield f"the storm's row {row} has a wrong {[key for key in wrong if wrong[key]]}"
        elif not name.startswith(b"kworker/") and name not in (b"sh", b"agent", b"busybox"):
            yield f"{pid} {name} is nobody: {row}"


def panicked(visit):
    """No help from the target any more, not even of its driver."""
    visit.keep("truth")
    visit.must("rm -f /run/storm")
    visit.machine.panic()
    (visit.folder / "truth-after.json").unlink(missing_ok=True)
    visit.known = Known(visit.folder)
    cr3, _ = visit.clock
    target = url(requester="01:00")
    with visit.endpoint("--no-messages"):
        yield from compare.ps(visit.cached, visit.known, target)
        read = ("read", target, hex(visit.variable), 8, "--cr3", hex(cr3), "--format", "raw")
        values = {visit.cached.run(*read).stdout for _ in range(2)}
        found = visit.tool.run("info", url())
    if found.status != 1 or "requester=" not in found.stderr:
        yield f"without an id: {found.describe()}"
    value = int.from_bytes(next(iter(values)), "little")
    if len(values) != 1 or not visit.clock[1] <= value < visit.clock[1] + 3600:
        yield f"the variable is {values}, after {visit.clock[1]}"
    return f"the variable is {value}"


# In this order: the last one ends the guest.
TESTS = [views, cost, variable, dump, storm, panicked]


def check_all(session):
    for plan in plans(session.options.full):
        tests = [*TESTS[:-1], whole, TESTS[-1]] if session.options.full else TESTS
        if not any(session.results.wants(f"{plan.name}: {test.__name__}") for test in tests):
            continue
        with guest.Guest(session.folder / plan.name) as machine:
            try:
                visit = Visit(machine, plan, session)
            except (guest.GuestError, kernels.FetchError, ToolError) as error:
                session.results.fail(f"{plan.name}: boot", error)
                continue
            for test in tests:
                session.results.check(f"{plan.name}: {test.__name__}", test, visit)
