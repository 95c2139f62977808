# SPDX-License-Identifier: LGPL-2.1-or-later
"""kioku inside guests, reading the machine that it runs on: its rows against the guest's own word,
its bytes against the guest's memory from outside. Each test yields problems."""

import json
import random
import tarfile
from dataclasses import dataclass

import compare
import guest
import kernels
from known import Known
from ram import PAGE, Ram
from tool import ToolError, text_bytes

STAMP = b"the last bytes of the first range of RAM, which no kernel takes for pages "
VISITORS = (b"kioku", b"sh")  # who was not there when the guest told its truth
SAMPLE = 24                   # pages


@dataclass
class Plan:
    kernel: str
    memory: int = 512
    cpu: str = "max"
    append: str = ""

    @property
    def name(self):
        levels = "4l" if "la57=off" in self.cpu else "5l"
        kaslr = "nokaslr" if "nokaslr" in self.append else "kaslr"
        return f"live-{self.kernel}-{self.memory}m-{levels}-{kaslr}"


def plans(full):
    """Both sides of the hole below 4 GiB, both numbers of levels, with KASLR and without."""
    chosen = [Plan("backports", 5120)]
    if full:
        chosen += [Plan("bookworm"), Plan("backports", 5120, "max,la57=off", "nokaslr"),
                   Plan("bookworm", 5120, "max,la57=off", "nokaslr"), Plan("backports"),
                   Plan("bullseye", 512, "max,la57=off"), Plan("bullseye", 5120, append="nokaslr"),
                   Plan("trixie", 5120), Plan("sid", 1024), Plan("sid", 5120, "max,la57=off"),
                   Plan("bookworm-cloud", 256), Plan("trixie-rt", 512)]
    return chosen


class Inside:
    """What the tool printed in the guest, as the tests want it: {command: rows}."""

    def __init__(self, files):
        self.files = files

    def rows(self, command, image, *_):
        rows = json.loads(self.files[command])
        visitors = {row["pid"] for row in rows if text_bytes(row, "comm") in VISITORS}
        return [row for row in rows if row["pid"] not in visitors]


class Visit:
    """A guest that was looked at from inside and is stopped now."""

    def __init__(self, machine, plan, tool):
        self.folder = machine.folder
        machine.boot(kernels.get(plan.kernel), memory=plan.memory, cpu=plan.cpu,
                     append=plan.append, files={"/bin/kioku": tool})
        self.pieces = [{**piece, "physical": hex(piece["physical"])}
                       for piece in guest.ram_map(plan.memory)]
        self.keep("truth", machine.collect())
        self.known = Known(self.folder)
        self.edge = self.stamp_edge()
        self.sample = self.choose_pages()
        self.statuses = self.run(machine)
        self.keep("truth-after", machine.collect())
        self.known = Known(self.folder)
        machine.freeze()
        with tarfile.open(self.folder / "truth.tar") as tar:
            self.files = {name.removeprefix("lab/"): tar.extractfile(name).read()
                          for name in tar.getnames() if name.startswith("lab/out-")}
        self.inside = Inside({name.removeprefix("out-"): data
                              for name, data in self.files.items()})

    def keep(self, name, truth):
        kallsyms = truth.pop("kallsyms")
        (self.folder / f"{name}-kallsyms.txt").write_bytes(kallsyms)
        (self.folder / f"{name}.json").write_text(json.dumps(truth))
        (self.folder / "guest.json").write_text(json.dumps({"ram_map": self.pieces, "dumps": {}}))

    def ram(self, writable=False):
        return Ram(self.folder / "ram", self.pieces, writable)

    def stamp_edge(self):
        """The part of a page that ends the first range of RAM: (start, size), stamped."""
        start, last = self.known.iomem("System RAM")[0]
        first = last & ~(PAGE - 1)
        size = last + 1 - first
        with self.ram(writable=True) as ram:
            ram.write(first, (STAMP * PAGE)[:size])
        return first, size

    def choose_pages(self):
        """Physical addresses of pages that nobody changes: of the marker, and the kernel's text."""
        generator = random.Random(3)
        pages = [int(page, 16) for area in ("heap", "huge", "file")
                 for page in self.known.area(area)["pages"].values() if page]
        start, last = self.known.iomem("Kernel code")[0]
        return [*generator.sample(pages, SAMPLE), start & ~(PAGE - 1), last & ~(PAGE - 1)]

    def run(self, machine):
        """{command: exit status}"""
        read = "kioku read live {} {} --physical --pad >> /lab/out-{}"
        commands = {f"{view}": f"kioku {view} live --format json > /lab/out-{view}"
                    for view in ("ps", "threads", "info")}
        commands["edge"] = read.format(hex(self.edge[0]), self.edge[1], "edge")
        commands["pages"] = "; ".join(read.format(hex(page), PAGE, "pages")
                                      for page in self.sample)
        return {name: machine.run(command) for name, command in commands.items()}


# --- tests

def statuses(visit):
    for name, status in visit.statuses.items():
        if status != 0:
            yield f"{name} live: exit status {status}"


def info(visit):
    """The ranges are all System RAM, to the byte, and all of it can be read."""
    document = json.loads(visit.inside.files["info"])
    if document["source"]["format"] != "kcore":
        yield f"it is read as {document['source']['format']}"
    found = [(int(part["start"], 16), part["size"], part["state"])
             for part in document["source"]["ranges"]]
    wanted = [(start, last + 1 - start, "present")
              for start, last in visit.known.iomem("System RAM")]
    if found != wanted:
        yield f"ranges are {found}, not {wanted}"
    return f"{len(found)} ranges"


def edge(visit):
    """kcore leaves it out, and so does who reads /dev/mem: it takes a mapping."""
    if visit.inside.files["edge"] != (STAMP * PAGE)[:visit.edge[1]]:
        yield f"0x{visit.edge[0]:x}: {visit.inside.files['edge'][:64]}"
    return f"{visit.edge[1]} bytes"


def pages(visit):
    data = visit.inside.files["pages"]
    with visit.ram() as ram:
        for number, page in enumerate(visit.sample):
            if data[number * PAGE:(number + 1) * PAGE] != ram.read(page, PAGE):
                yield f"page 0x{page:x} is another"
    return f"{len(visit.sample)} pages up to 0x{max(visit.sample):x}"


def check_all(session):
    """Boots each guest, and hands over its tests."""
    tool = session.options.static
    for plan in plans(session.options.full):
        folder = session.folder / plan.name
        tests = (statuses, info, edge, pages)
        if not session.results.wants(plan.name):
            continue
        with guest.Guest(folder) as machine:
            try:
                visit = Visit(machine, plan, tool)
            except (guest.GuestError, ToolError) as error:
                session.results.fail(f"{plan.name}: boot", error)
                continue
            for test in tests:
                session.results.check(f"{plan.name}: {test.__name__}", test, visit)
            for test in (compare.ps, compare.threads):
                session.results.check(f"{plan.name}: {test.__name__}", test, visit.inside,
                                      visit.known, "live")
