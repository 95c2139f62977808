# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every row of every view against the guest's own word, both ways. Each test yields problems."""

import html
import itertools
import random
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import truth
from known import KERNEL_MAP
from ram import PAGE
from tool import ToolError, nanoseconds, text_bytes

USER_END = 1 << 63
PID_VIEWS = ("ps", "threads", "pstree", "psscan", "args", "env", "maps", "elf", "lsof", "mounts",
             "history", "strings", "sockets")
NOBODY = 1 << 22  # one more than a pid can be
TICK = 0.011  # seconds, and a little for rounding


# --- tasks

def wrong_cells(known, row, tid, fields):
    """What a row says about a task that the guest does not."""
    if text_bytes(row, "comm") not in known.names(tid):
        yield f"task {tid}: comm is {text_bytes(row, 'comm')}, not {known.names(tid)}"
    for field in fields:
        if field in row and row[field] not in known.allowed(tid, field):
            yield f"task {tid}: {field} is {row[field]}, not {known.allowed(tid, field)}"
    states = known.states(tid)
    if "state" in row and states and row["state"] not in states:
        yield f"task {tid}: state is {row['state']}, not {states}"


def wrong_times(known, rows, key):
    """The boot time's fraction of a second, which btime lacks, is the same for all tasks."""
    late = {row[key]: nanoseconds(row["start_time"]) / 1e9 - known.started(row[key])
            for row in rows if row.get("start_time") and row[key] in known.tasks}
    for row in rows:
        if not row.get("start_time"):
            yield f"task {row[key]}: no start_time"
    for tid, seconds in late.items():
        if not -TICK < seconds < 1 + TICK or not seconds - min(late.values()) < TICK:
            yield f"task {tid}: start_time is {seconds:.3f} s after what the guest says"


def wrong_set(known, rows, key, wanted):
    """Tasks that are missing, twice there, or there though the guest had none such."""
    found = [row[key] for row in rows]
    for tid in sorted(set(wanted) - set(found)):
        if known.steady(tid):
            yield f"task {tid} {known.names(tid)} is missing"
    for tid in sorted({tid for tid in found if found.count(tid) > 1}):
        yield f"task {tid} is there {found.count(tid)} times"
    for row in rows:
        if row[key] not in wanted and not known.may_be_new(text_bytes(row, "comm")):
            yield f"task {row[key]} {text_bytes(row, 'comm')} is not in the guest"


def leaders(known):
    return {tid for tid, seen in known.tasks.items() if seen[0]["pid"] == tid}


def ps(tool, known, image, *options):
    rows = tool.rows("ps", image, *options)
    yield from wrong_set(known, rows, "pid", leaders(known))
    rows = [row for row in rows if row["pid"] in known.tasks]
    for row in rows:
        yield from wrong_cells(known, row, row["pid"], ("pid", "ppid", "uid", "gid", "threads"))
    yield from wrong_times(known, rows, "pid")
    return f"{len(rows)} processes"


def threads(tool, known, image):
    rows = tool.rows("threads", image)
    yield from wrong_set(known, rows, "tid", known.tasks)
    rows = [row for row in rows if row["tid"] in known.tasks]
    for row in rows:
        yield from wrong_cells(known, row, row["tid"], ("pid", "tid", "ppid", "uid", "gid"))
    yield from wrong_times(known, rows, "tid")
    return f"{len(rows)} threads"


def pstree(tool, known, image):
    rows = tool.rows("pstree", image)
    yield from wrong_set(known, rows, "pid", leaders(known))
    above = []  # the row's ancestors, the topmost first
    for row in rows:
        if row["pid"] in known.tasks:
            yield from wrong_cells(known, row, row["pid"], ("pid", "ppid", "uid", "threads"))
        if row["depth"] > len(above):
            yield f"process {row['pid']}: depth {row['depth']} below depth {len(above) - 1}"
        above = [*above[:row["depth"]], row["pid"]]
        parent = above[-2] if len(above) > 1 else 0
        if row["ppid"] != parent:
            yield f"process {row['pid']}, child of {row['ppid']}, is below {parent}"
    return f"{max(row['depth'] for row in rows) + 1} levels"


REPORTED = re.compile(r'<tr class="d\d+" data-depth="(\d+)">(.*?)</tr>')


def report(tool, known, image):
    """The page's process tree is that of pstree."""
    def row_of(depth, cells):
        values = [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", cells)]
        return int(depth), *map(int, values[1:5])

    page = tool.run("report", image, "-o", "-").stdout.decode()
    found = [row_of(*match) for match in REPORTED.findall(page)]
    wanted = [tuple(row[name] for name in ("depth", "pid", "ppid", "uid", "threads"))
              for row in tool.rows("pstree", image)]
    if found != wanted:
        yield f"{len(found)} processes are not the {len(wanted)} of pstree"
    if not page.endswith("</html>\n"):
        yield "the page has no end"
    return f"{len(found)} processes, {len(page)} bytes"


def idle(tool, known, image):
    """One idle task for each CPU, with --all only."""
    for view in ("ps", "threads", "pstree"):
        if any(row["pid"] == 0 for row in tool.rows(view, image)):
            yield f"{view}: an idle task without --all"
        every = tool.rows(view, image, "--all")
        names = sorted(text_bytes(row, "comm").decode() for row in every if row["pid"] == 0)
        expected = [f"swapper/{cpu}" for cpu in range(known.before["cpus"])]
        if names != expected:
            yield f"{view} --all: idle tasks are {names}, not {expected}"
    listed = tool.rows("ps", image, "--pid", "1,2")
    if [row["pid"] for row in listed] != [1, 2]:
        yield f"ps --pid 1,2 shows {[row['pid'] for row in listed]}"


def nobody(tool, known, image):
    """Of a process that is not there, every view says so, and shows the others."""
    for view in PID_VIEWS:
        whole = tool.run(view, image, "--pid", 1)
        result = tool.run(view, image, "--pid", f"1,{NOBODY}")
        if result.status != 3 or f"gap: process {NOBODY} was not found" not in result.stderr:
            yield result.describe()
        if whole.status or result.stdout != whole.stdout:
            yield f"{whole.describe()}; with another process its output differs"
    for command in (("translate", image, "0x1000"), ("pagemap", image), ("read", image, "0x1000", 1),
                    ("dump", image, "-o", "/dev/null")):
        result = tool.run(*command, "--pid", NOBODY)
        if result.status != 1 or f"there is no process {NOBODY}" not in result.stderr:
            yield result.describe()


def psscan(tool, known, image):
    rows = tool.rows("psscan", image)
    listed = {row["task"]: row for row in tool.rows("threads", image, "--all")}
    for row in rows:
        if row["listed"] != (row["task"] in listed):
            yield f"task {row['tid']} at {row['task']}: listed is {row['listed']}"
        if not row["listed"] and row["exit_state"] == 0 and \
                not known.is_left_over(row["tid"], text_bytes(row, "comm")):
            yield f"task {row['tid']} {text_bytes(row, 'comm')} at {row['task']} is not listed, " \
                  f"and has not ended"
        if row["listed"] and any(row[column] != value for column, value
                                 in listed.get(row["task"], {}).items() if column in row):
            yield f"task {row['tid']}: {row}, but threads has {listed.get(row['task'])}"
    found = [row["task"] for row in rows]
    for task in sorted(set(listed) - set(found)):
        yield f"task {listed[task]['tid']} {text_bytes(listed[task], 'comm')} was not found"
    if len(set(found)) != len(found) or len({row["physical"] for row in rows}) != len(rows):
        yield "a task is there twice"
    return f"{len(rows)} tasks, {sum(not row['listed'] for row in rows)} of them not listed"


# --- the kernel

def symbols(tool, known, image, *options):
    rows = tool.rows("symbols", image, *options)
    found = [(int(row["address"], 16), row["type"], row["name"]) for row in rows if row["module"] is None]
    for ours, theirs in itertools.zip_longest(found, known.kallsyms):
        if ours != theirs:
            yield f"{show_symbol(ours)}, but the guest has {show_symbol(theirs)}"
    return f"{len(found)} symbols"


def live_symbols(tool, known, image):
    """Those of modules and the like, in the order of /proc/kallsyms."""
    found = [(row["address"], row["type"], row["name"], row["module"])
             for row in tool.rows("symbols", image) if row["module"] is not None]
    lines = (known.folder / "truth-kallsyms.txt").read_text().splitlines()
    told = [(hex(int(address, 16)), kind, name, module[0].strip("[]"))
            for address, kind, name, *module in map(str.split, lines) if module]
    yield from (f"{ours}, but the guest has {theirs}"
                for ours, theirs in itertools.zip_longest(found, told) if ours != theirs)
    return f"{len(found)} symbols"


def show_symbol(symbol):
    return f"{symbol[0]:016x} {symbol[1]} {symbol[2]}" if symbol else "nothing"


def symbols_by_name(tool, known, image):
    rows = tool.rows("symbols", image, "--name", "tcp_*sk*")
    found = [row["name"] for row in rows]
    expected = [name for _, _, name in known.kallsyms if re.fullmatch("tcp_.*sk.*", name)]
    if found != expected:
        yield f"{len(found)} symbols match tcp_*sk*, but {len(expected)} of the guest's do"


def expected_facts(known):
    note = known.vmcoreinfo
    offset, phys_base = int(note["KERNELOFFSET"], 16), int(note["NUMBER(phys_base)"])
    start = known.address("_text") or known.address("_stext")
    return {
        "release": known.before["release"],
        "build_id": known.before["build_id"],
        "hostname": known.before["hostname"],
        "banner": known.before["version"],
        "architecture": "x86-64",
        "paging": f"x86-64 {known.facts['levels']}-level",
        "text_virtual": start,
        "text_physical": known.image_physical(start),
        "kaslr_text_virtual_offset": offset,
        "kaslr_text_physical_offset": offset + phys_base,
        "init_task": known.address("init_task"),
        "symbols": str(len(known.kallsyms)),
    }


def info(tool, known, image, *options, unknown=()):
    """unknown: facts that need not be there; if they are, they must be right all the same."""
    kernel = tool.info(image, *options)["kernel"]
    for name, expected in expected_facts(known).items():
        found = kernel.get(name)
        if name in unknown and found is None:
            continue
        if isinstance(expected, int) and found is not None:
            found = int(found, 16)
        if found != expected:
            yield f"{name} is {found!r}, not {expected!r}"
    if int(kernel.get("types", 0)) < 10000:
        yield f"only {kernel.get('types')} types"
    late = nanoseconds(kernel["boot_time"]) / 1e9 - known.before["btime"]
    if not -TICK < late < 1 + TICK:
        yield f"boot_time is {late:.3f} s after btime"
    now, asked = nanoseconds(kernel["wall_time"]) / 1e9, known.before["epoch"]
    latest = known.after["epoch"] + 2 if known.after else asked + 60
    if not asked - 2 < now < latest:
        yield f"wall_time is {now - asked:.3f} s after the guest was asked"
    if "nokaslr" in known.before["cmdline"] and int(kernel["kaslr_direct_map_offset"], 16):
        yield f"nokaslr, but kaslr_direct_map_offset is {kernel['kaslr_direct_map_offset']}"
    yield from wrong_direct_map(tool, known, image, int(kernel["direct_map_base"], 16))
    return f"direct map at {kernel['direct_map_base']}"


def wrong_direct_map(tool, known, image, base):
    """A page of the heap must be the same by its address in the direct map."""
    physical = int(next(filter(None, known.area("heap")["pages"].values())), 16)
    read = tool.run("read", image, hex(base + physical), PAGE)
    with known.ram() as ram:
        if read.stdout != ram.read(physical, PAGE):
            yield f"direct_map_base: {hex(base + physical)} does not lead to {hex(physical)}"


# --- types

def btf(known):
    """The kernel's type data, which lie in one piece in the image."""
    start, stop = known.address("__start_BTF"), known.address("__stop_BTF")
    with known.ram() as ram:
        return ram.read(known.image_physical(start), stop - start)


def layout(text):
    """Declarations with their offset and size, of what pahole or kioku printed. pahole guesses
    alignments, which type data do not have, and prints some blanks of its own."""
    text = re.sub(r"\s*__attribute__\(\(__aligned__\(\d+\)\)\)", "", text)
    lines = re.findall(r"^\s*(\S.*?);\s*/\*\s*([\d: ]+?)\s*\*/", text, re.M)
    return [(re.sub(r"\s*\*\s*", "*", " ".join(declaration.replace("[0]", "[]").split())),
             " ".join(place.split())) for declaration, place in lines]


def types(tool, known, image, folder, names=("task_struct", "mm_struct", "sock", "page", "inode")):
    """What pahole reads out of the same type data."""
    blob = folder / "types.btf"
    blob.write_bytes(btf(known))
    compared = 0
    for name in names:
        ours = tool.run("type", image, f"struct {name}")
        if ours.status:
            raise ToolError(ours.describe())
        theirs = subprocess.run(["pahole", "-F", "btf", "-C", name, blob], capture_output=True,
                                text=True, check=True)
        pairs = list(itertools.zip_longest(layout(ours.stdout.decode()), layout(theirs.stdout)))
        compared += len(pairs)
        for mine, other in pairs:
            if mine != other:
                yield f"struct {name}: {mine}, but pahole has {other}"
                break
        if not pairs:
            yield f"struct {name}: pahole has nothing to compare with"
    blob.unlink()
    return f"{compared} members"


# --- memory

def read(tool, known, image):
    """The marker's records, out of every area that it filled."""
    total = 0
    for area in known.before["areas"]:
        arguments = (area["address"], area["size"], "--pid", area["pid"])
        result = tool.run("read", image, *arguments, "--format", "raw")
        if None in area["pages"].values():
            if result.status == 0:
                yield f"area {area['name']}: complete, although pages are not present"
            continue
        expected = bytes(area["size"])
        if area["filled"]:
            expected = b"".join(truth.record(area["name"], number)
                                for number in range(area["size"] // 64))
        total += len(expected)
        if result.status or result.stdout != expected:
            yield f"area {area['name']}: {result.describe()}"
    return f"{total >> 10} KiB"


def read_kernel(tool, known, image):
    """The banner, by its virtual and by its physical address."""
    banner = known.before["version"].encode()
    virtual = known.address("linux_banner")
    if virtual is None:
        return "no linux_banner"
    ways = {"virtual": (hex(virtual), len(banner)),
            "kallsyms' way of writing": (f"{virtual:x}", len(banner)),
            "physical": (hex(known.image_physical(virtual)), len(banner), "--physical")}
    for way, arguments in ways.items():
        result = tool.run("read", image, *arguments, "--format", "raw")
        if result.status or result.stdout != banner:
            yield f"linux_banner, {way}: {result.describe()}"


def sample(known, seed, full):
    """{(pid, page): physical or None}: all of the marker's areas, some pages of the others."""
    chosen = {}
    generator = random.Random(seed)
    for before, after in known.processes():
        pages = sorted(page for page in before["pages"].keys() & after["pages"].keys()
                       if before["pages"][page] == after["pages"][page])
        if not full:
            pages = generator.sample(pages, min(2, len(pages)))
        chosen.update({(before["pid"], page): before["pages"][page] for page in pages})
    for area in known.before["areas"]:
        pages = sorted(area["pages"])
        if not full:
            pages = {*pages[:2], *pages[-2:], *generator.sample(pages, min(8, len(pages)))}
        chosen.update({(area["pid"], page): area["pages"][page] for page in pages})
    return chosen


def translate(tool, known, image, seed, full):
    """What /proc/PID/pagemap says of a page; one run for each."""
    chosen = sample(known, seed, full)
    offset = random.Random(seed).randrange(PAGE)

    def one(page):
        pid, virtual = page
        return page, tool.run("translate", image, hex(int(virtual, 16) + offset), "--pid", pid,
                              "--format", "json")

    with ThreadPoolExecutor(2) as pool:
        for (pid, virtual), result in pool.map(one, chosen):
            physical = chosen[pid, virtual]
            where = f"process {pid}, {virtual}, at {physical}"
            if physical is None:
                if result.status != 1 or "not mapped" not in result.stderr:
                    yield f"{where}: {result.describe()}"
            elif result.status:
                yield f"{where}: {result.describe()}"
            elif int(result.rows()[-1]["physical"], 16) != int(physical, 16) + offset:
                yield f"{where}: {result.rows()[-1]['physical']}"
    return f"{len(chosen)} pages"


def mapped_pages(rows):
    """{page: row} of what is below the kernel's half."""
    found = {}
    for row in rows:
        if int(row["start"], 16) < USER_END:
            for page in range(int(row["start"], 16), int(row["end"], 16), PAGE):
                found[page] = row
    return found


def wrong_pages(found, before, after):
    pages = [{int(page, 16) for page in process["pages"]} for process in (before, after)]
    for page in sorted((pages[0] & pages[1]) - found.keys())[:3]:
        yield f"process {before['pid']}: {hex(page)} is missing"
    for page in sorted(found.keys() - (pages[0] | pages[1]))[:3]:
        yield f"process {before['pid']}: {hex(page)} is mapped, which the guest denies"


def wrong_permissions(found, process):
    """A page may be writable less than its mapping (copied on write), never more."""
    for area in process["maps"]:
        readable, writable, executable = area["permissions"][:3]
        expected = readable + "-" + executable
        if area["permissions"].startswith("---"):
            expected = "---"
        for page in range(int(area["start"], 16), int(area["end"], 16), PAGE):
            if page not in found:
                continue
            shown = found[page]["permissions"]
            # The hardware has no pages that can be written to or executed but not read.
            if shown[0] != "r" and expected != "---" or shown[2] != executable or \
                    (shown[1] == "w" and writable != "w"):
                yield f"process {process['pid']}: {hex(page)} is {shown}, mapped as " \
                      f"{area['permissions']}"
                break


def wrong_sizes(known, found):
    """The huge area is one page where its frames are in a row."""
    area = known.area("huge")
    frames = [int(frame, 16) if frame else None for frame in area["pages"].values()]
    huge = None not in frames and frames[0] % (2 << 20) == 0 and \
        frames == list(range(frames[0], frames[0] + (2 << 20), PAGE))
    row = found.get(int(area["address"], 16))
    if huge and (not row or row["page_size"] != 2 << 20):
        yield f"process {area['pid']}: {area['address']} is a huge page, but there is {row}"


def pagemap(tool, known, image):
    total = 0

    def one(pair):
        return pair, tool.run("pagemap", image, "--pid", pair[0]["pid"], "--format", "json")

    with ThreadPoolExecutor(2) as pool:
        for (before, after), result in pool.map(one, list(known.processes())):
            if not before["pages"]:  # a kernel thread or a zombie
                if result.status != 1:
                    yield f"process {before['pid']} has no memory: {result.describe()}"
                continue
            if result.status:
                yield f"process {before['pid']}: {result.describe()}"
                continue
            found = mapped_pages(result.rows())
            total += len(found)
            yield from wrong_pages(found, before, after)
            yield from wrong_permissions(found, before)
            if before["pid"] == known.area("huge")["pid"]:
                yield from wrong_sizes(known, found)
    return f"{total} pages"


def kernel_space(tool, known, image):
    """translate --steps and --cr3 agree with each other and with phys_base."""
    virtual = known.address("linux_banner") or known.address("_stext")
    physical = known.image_physical(virtual)
    steps = tool.rows("translate", image, hex(virtual), "--steps")
    if len(steps) < known.facts["levels"] - 2 or int(steps[-1]["physical"], 16) != physical:
        yield f"{hex(virtual)} is at {hex(physical)}, but there is {steps}"
    root = int(steps[0]["entry_physical"], 16) & ~(PAGE - 1)
    by_root = tool.rows("translate", image, hex(virtual), "--steps", "--cr3", hex(root))
    if by_root != steps:
        yield f"--cr3 {hex(root)}: {by_root}"
    if not any(int(row["start"], 16) <= virtual < int(row["end"], 16) and
               row["permissions"].startswith("r") and row["permissions"][3] == "-"
               for row in tool.rows("pagemap", image, "--cr3", hex(root))
               if int(row["start"], 16) >= KERNEL_MAP):
        yield f"pagemap --cr3 {hex(root)} does not have {hex(virtual)}"
