# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files in memory: what a guest archived of its own tmpfs against what kioku lists and restores.
Each test yields problems."""

import contextlib
import hashlib
import io
import json
import os
import random
import re
import shutil
import stat
import subprocess
import tarfile
from dataclasses import dataclass

import configurations
import guest
import kernels
from known import Known
from ram import working_copy
from tool import ToolError, text_bytes

PAGE = 4096
LARGE = 200   # MiB
HUGE = 15     # TiB of a file with next to nothing in it
SMALL = 3000  # files
PLANTED = b"kioku-plant-this-name"
DAMAGED = b"../../../../etc/passw"


# --- files as both sides see them

@dataclass(frozen=True)
class File:
    kind: str
    mode: int = 0
    owner: tuple = ()
    modified: int = 0
    size: int = 0
    sha256: str = ""
    target: bytes = b""
    links: tuple = ()  # all names of a file that has several


def raw(text):
    return text.encode("utf-8", "surrogateescape")


def digest(stream, chunk=1 << 20):
    found = hashlib.sha256()
    while data := stream.read(chunk):
        found.update(data)
    return found.hexdigest()


def grouped(found, groups):
    for names in groups:
        if len(names) > 1:
            for name in names:
                found[name] = File(**{**vars(found[name]), "links": tuple(sorted(names))})
    return found


def archived(stream, below=b""):
    """{path: File} of a tar archive, of what is in one folder of it."""
    found, groups = {}, {}
    with tarfile.open(fileobj=stream, encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar:
            name = raw(member.name).removeprefix(b"./")
            if not (name.rstrip(b"/") + b"/").startswith(below):
                continue
            name = name.rstrip(b"/")[len(below):]
            common = (member.mode & 0o777, (member.uid, member.gid), int(member.mtime // 1))
            if member.isdir():
                found[name] = File("folder", *common)
            elif member.issym():
                found[name] = File("symlink", target=raw(member.linkname))
            elif member.islnk():
                first = raw(member.linkname).removeprefix(b"./")[len(below):]
                found[name] = found[first]
                groups.setdefault(first, {first}).add(name)
            elif member.isfile():
                content = tar.extractfile(member)
                found[name] = File("file", *common, member.size, digest(content))
    return grouped(found, groups.values())


def restored(folder):
    """{path: File} of a folder, which must not have anything else in it."""
    found, groups = {}, {}
    for above, folders, files in os.walk(os.fsencode(folder)):
        for name in [b"", *files, *(item for item in folders
                                    if os.path.islink(os.path.join(above, item)))]:
            path = os.path.join(above, name) if name else above
            is_at = os.path.relpath(path, os.fsencode(folder))
            is_at = b"" if is_at == b"." else is_at
            is_ = os.lstat(path)
            owner = (is_.st_uid, is_.st_gid)
            common = (is_.st_mode & 0o7777, owner, int(is_.st_mtime_ns // 10**9))
            if stat.S_ISLNK(is_.st_mode):
                found[is_at] = File("symlink", target=os.readlink(path))
            elif stat.S_ISDIR(is_.st_mode):
                found[is_at] = File("folder", *common)
            elif stat.S_ISREG(is_.st_mode):
                with open(path, "rb") as file:
                    # Of terabytes of zeros there is no digest in a lifetime; see wrong_huge().
                    content = digest(file) if is_.st_size < 1 << 32 else ""
                found[is_at] = File("file", *common, is_.st_size, content)
                groups.setdefault(is_.st_ino, set()).add(is_at)
            else:
                found[is_at] = File("neither")
    return grouped(found, groups.values())


def differences(what, expected, found, fields=None):
    for name in sorted(expected.keys() - found.keys()):
        yield f"{what}: {name} is missing"
    for name in sorted(found.keys() - expected.keys()):
        yield f"{what}: {name} is there, which the guest does not have"
    for name in sorted(expected.keys() & found.keys()):
        ours, theirs = vars(found[name]), vars(expected[name])
        wrong = {field: (ours[field], theirs[field]) for field in fields or theirs
                 if ours[field] != theirs[field]}
        if wrong:
            yield f"{what}: {name}: found, expected: {wrong}"


@contextlib.contextmanager
def emptied(path):
    shutil.rmtree(path, ignore_errors=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


# --- any guest: /lab

def lab_truth(known):
    """{path: size, digest} of /lab, as bytes that truth.json has escaped."""
    return {item["path"]: (item["size"], item["sha256"]) for item in known.before["files"]}


def lab_deleted(known):
    """Files of /lab that processes use though they have no name any more. A name may end like that by
    itself."""
    used = {path for process in known.before["processes"]
            for path in (process["exe"] or "", *process["fds"].values(),
                         *(area["path"] for area in process["maps"]))}
    return {path.removesuffix(" (deleted)") for path in used - set(lab_truth(known))
            if path.startswith("/lab/") and path.endswith(" (deleted)")}


def shown(name):
    return name.decode("utf-8", "backslashreplace")


def lab_device(tool, image):
    rows = tool.rows("files", image, "--fstype", "tmpfs", "--columns", "device,mount,path,type")
    return next(row["device"] for row in rows if row["mount"] == "/lab"), rows


def listed(tool, known, image):
    """files: /lab and everything that is open, against the guest's own archive."""
    rows = tool.rows("files", image, "--fstype", "tmpfs", "--columns", "all")
    lab = [row for row in rows if row["mount"] == "/lab"]
    found = {"/lab" + shown(text_bytes(row, "path")): row["size"] for row in lab
             if row["type"] == "regular" and not row["deleted"]}
    expected = {name: size for name, (size, _) in lab_truth(known).items()}
    for name in sorted(expected.keys() ^ found.keys()):
        yield f"{name} is in {'the guest' if name in expected else 'the image'} only"
    for name in sorted(expected.keys() & found.keys()):
        if expected[name] != found[name]:
            yield f"{name} has {expected[name]} bytes, not {found[name]}"
    links = {"/lab" + shown(text_bytes(row, "path")): shown(text_bytes(row, "target"))
             for row in lab if row["type"] == "symlink"}
    if links != known.before["links"]:
        yield f"links are {links}, not {known.before['links']}"
    gone = {"/lab" + shown(text_bytes(row, "path")) for row in lab
            if row["deleted"] and row["type"] == "regular"}
    if gone != lab_deleted(known):
        yield f"deleted: {gone}, not {lab_deleted(known)}"
    return f"{len(rows)} rows"


def lab_restored(tool, known, image, folder):
    """recover: /lab as a folder and as an archive, by digest."""
    device, _ = lab_device(tool, image)
    with emptied(folder):
        result = tool.run("recover", image, "--fstype", "tmpfs", "-o", folder)
        if result.status:
            yield result.describe()
        as_folder = restored(folder / f"tmpfs-{device}")
        gone = restored(folder / ".deleted" / f"tmpfs-{device}")
    archive = tool.run("recover", image, "--fstype", "tmpfs", "-o", "-")
    if archive.status:
        yield archive.describe()
    as_tar = archived(io.BytesIO(archive.stdout), f"tmpfs-{device}/".encode())
    for what, found in (("folder", as_folder), ("archive", as_tar)):
        ours = {"/lab/" + shown(name): (file.size, file.sha256) for name, file in found.items()
                if file.kind == "file"}
        for name in sorted(ours.items() ^ lab_truth(known).items()):
            yield f"{what}: {name}"
    yield from differences("the archive against the folder", as_folder, as_tar)
    left = {shown(name.partition(b"-")[2]) for name, file in gone.items() if file.kind == "file"}
    if left != {path.rpartition("/")[2] for path in lab_deleted(known)}:
        yield f"deleted: {sorted(gone)}"
    return f"{len(as_folder)} files"



# --- a guest with much in its tmpfs

SCRIPT = f"""
set -e
b=/bin/busybox
$b mkdir -p /trees /holes /large
$b mount -t tmpfs -o size=64m trees /trees
$b mount -t tmpfs -o size=240m large /large
$b mount -t tmpfs -o size=16m holes /holes
cd /trees
$b tar xf /trees.tar
$b dd if=/dev/urandom of=/large/data bs=1M count={LARGE} 2> /dev/null
$b dd if=/dev/urandom of=/holes/huge bs=4096 count=3 2> /dev/null
$b dd if=/dev/urandom of=/holes/huge bs=4096 count=2 conv=notrunc seek=$((7 << 28)) 2> /dev/null
$b truncate -s {HUGE << 40} /holes/huge
$b dd if=/dev/urandom of=/holes/gone bs=4096 count=50 2> /dev/null
$b sha256sum /holes/gone > /run/gone
$b sha256sum /large/data > /run/large
$b mkfifo fifo
$b mknod null c 1 3
$b chmod 4755 names/plain
($b sleep 100000 < /holes/gone) > /dev/null 2>&1 &
$b sleep 1
$b rm /holes/gone /trees.tar
"""


def odd_names():
    yield from (b"plain", b"two words", b"-rf", b"new\nline", b"esc\x1b[31mred", b"\xff\xfe\x80",
                "\u00fc\u4e16.txt".encode(), b"back\\slash", b"*", b"?[a]", b"..x", b"...", b"~", b"#1",
                b"x" * 255, PLANTED)


def make_trees(path):
    """A tar archive with files of all kinds; the same each time."""
    generator = random.Random(8)

    def add(tar, name, data=b"", **fields):
        member = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
        member.size, member.mode, member.mtime = len(data), 0o640, 1500000000 + len(name)
        for field, value in fields.items():
            setattr(member, field, value)
        tar.addfile(member, io.BytesIO(data))

    def folder(tar, name, mode=0o755):
        add(tar, name, type=tarfile.DIRTYPE, mode=mode)

    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, encoding="utf-8",
                      errors="surrogateescape") as tar:
        for number in range(SMALL):
            if number % 100 == 0:
                folder(tar, b"many/%02d" % (number // 100), 0o700 + number // 100)
            size = generator.choice((0, 1, 17, 511, 4095, 4096, 4097, 9000))
            add(tar, b"many/%02d/%04d" % (number // 100, number), generator.randbytes(size),
                mode=generator.choice((0o600, 0o644, 0o755, 0)), uid=generator.randrange(3000),
                gid=generator.choice((0, 100, 70000)))
        for name in odd_names():
            add(tar, b"names/" + name, b"named " + name)
        deep = b"deep"
        while len(deep) < 3800:
            deep += b"/" + b"d" * 90
            folder(tar, deep, 0o711)
        add(tar, deep + b"/bottom", b"far down")
        folder(tar, b"empty", 0o555)
        add(tar, b"linked", b"one file")
        for name in (b"links/second", b"links/third"):
            add(tar, name, type=tarfile.LNKTYPE, linkname="linked")
        for name, target in ((b"absolute", "/etc/passwd"), (b"out", "../../.."), (b"long", "l" * 3000),
                             (b"to folder", "many")):
            add(tar, b"symlinks/" + name, type=tarfile.SYMTYPE, linkname=target)


class Forest:
    """A guest with trees, frozen, and what it says of them."""

    def __init__(self, machine, kernel, session):
        self.folder, self.session = machine.folder, session
        self.folder.mkdir(parents=True, exist_ok=True)
        trees, script = self.folder / "trees.tar", self.folder / "script"
        make_trees(trees)
        script.write_text(SCRIPT)
        known = kernels.get(kernel)
        machine.boot(known, memory=640, output=16,
                     files={"trees.tar": trees, "script": script,
                            f"boot/config-{known.release}": known.folder / "config"})
        status, text = machine.said("sh /script", timeout=600)
        if status:
            raise guest.GuestError(text)
        self.archive = self.folder / "guest.tar"
        status, text = machine.stream(
            "cd /trees && /bin/busybox tar cf - .", self.archive, 600)
        if status:
            raise guest.GuestError(text)
        _, text = machine.said("cat /run/large /run/gone")
        self.large, self.gone = (line.split()[0] for line in text.splitlines())
        (self.folder / "guest.json").write_text(json.dumps(machine.facts(dumps={})))
        machine.keep_truth(self.folder)
        machine.freeze()
        machine.copy_ram(self.folder / "ram.img")
        self.known = Known(self.folder)
        self.image = self.folder / "ram.img"
        rows = session.tool.rows("files", self.image, "--fstype", "tmpfs", "--columns",
                                 "address,device,mount,inode,type,path", status=0)
        self.rows = {(row["mount"], text_bytes(row, "path")): row for row in rows}
        self.device = {mount: row["device"] for (mount, _), row in self.rows.items()}

    def expected(self):
        """Without setuid, fifos and devices, which are left out."""
        with open(self.archive, "rb") as stream:
            found = archived(stream)
        found[b""] = found.pop(b".", None) or found[b""]
        return found


def into_folder(forest):
    tool, target = forest.session.tool, forest.folder / "restored"
    with emptied(target):
        result = tool.run("recover", forest.image, "--fstype", "tmpfs", "-o", target, timeout=300)
        if result.status:
            yield result.describe()
        trees = forest.device["/trees"]
        found = restored(target / f"tmpfs-{trees}")
        expected = forest.expected()
        yield from differences("folder", expected, found)
        yield from wrong_huge(target / f"tmpfs-{forest.device['/holes']}" / "huge")
        large = restored(target / f"tmpfs-{forest.device['/large']}")
        if large.get(b"data", File("none")).sha256 != forest.large:
            yield f"the large file differs: {large}"
        gone = restored(target / ".deleted" / f"tmpfs-{forest.device['/holes']}")
        if forest.gone not in {file.sha256 for file in gone.values()}:
            yield f"the deleted file is not there: {sorted(gone)}"
        said = result.stderr
        for name in ("fifo is a fifo", "null is a character device"):
            if name not in said:
                yield f"not said: {name}"
    return f"{len(found)} files"


def wrong_huge(path):
    """Its holes are holes, and content is where it was."""
    is_ = os.stat(path)
    if is_.st_size != HUGE << 40:
        yield f"{path.name} has {is_.st_size} bytes"
    if is_.st_blocks > 200:
        yield f"{path.name} takes up {is_.st_blocks} blocks"
    with open(path, "rb") as file:
        end, parts = 0, []
        while True:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            parts.append((start, end - start))
    if parts != [(0, 3 * PAGE), (7 << 40, 2 * PAGE)]:
        yield f"{path.name} has data at {parts}"


def into_archive(forest):
    tool = forest.session.tool
    target = forest.folder / "restored.tar"
    with open(target, "wb") as out:
        result = tool.run("recover", forest.image, "--path", "/trees", "-o", "-", timeout=300)
        out.write(result.stdout)
    if result.status:
        yield result.describe()
    prefix = f"tmpfs-{forest.device['/trees']}".encode()
    with open(target, "rb") as stream:
        found = archived(stream, prefix + b"/")
    yield from differences("archive", forest.expected(), found)
    # GNU tar, too, must find in it what kioku's folder has.
    if shutil.which("tar"):
        yield from unpacked(target, forest)
    target.unlink()
    return f"{len(found)} files"


def unpacked(archive, forest):
    with emptied(forest.folder / "unpacked") as folder:
        folder.mkdir()
        done = subprocess.run(["tar", "-xf", archive, "-C", folder, "--same-owner", "-p"],
                              capture_output=True, text=True)
        if done.returncode:
            yield f"tar: {done.stderr[:300]}"
        found = restored(folder / f"tmpfs-{forest.device['/trees']}")
        yield from differences("unpacked by tar", forest.expected(), found)


def some_of_it(forest):
    """--path takes a file, and a folder with all that is below."""
    tool = forest.session.tool
    for pattern, pick in (("/trees/many/07", lambda name: name.startswith(b"many/07")),
                          ("*/bottom", lambda name: name.endswith(b"/bottom")),
                          ("/linked", lambda name: name == b"linked")):
        result = tool.run("recover", forest.image, "--path", pattern, "-o", "-")
        prefix = f"tmpfs-{forest.device['/trees']}/".encode()
        found = archived(io.BytesIO(result.stdout), prefix)
        expected = {name for name in forest.expected() if pick(name)}
        if result.status or found.keys() != expected:
            yield f"{pattern}: {result.describe()}: {sorted(found.keys() ^ expected)[:3]}"


def nothing_missing(forest):
    rows = forest.session.tool.rows("recover", forest.image, "--fstype", "tmpfs", "--list-missing")
    if rows:
        yield f"missing: {rows[:3]}"


# --- damage

def members(tool, image, structure):
    """{member: offset in bytes}, of the first level, as kioku type prints it."""
    text = tool.run("type", image, f"struct {structure}").stdout.decode()
    return {name: int(offset) for name, offset in
            re.findall(r"^\t+.*?\b(\w+)(?:\[\d*\])?;\s*/\*\s*(\d+)\s+\d+ \*/", text, re.M)}


class Surgeon:
    """Finds the structures of a file in a copy of the image."""

    def __init__(self, forest, ram):
        tool, image = forest.session.tool, forest.image
        self.forest, self.ram = forest, ram
        self.base = int(tool.info(image)["kernel"]["direct_map_base"], 16)
        self.inode = members(tool, image, "inode")
        self.dentry = members(tool, image, "dentry")
        self.mapping = members(tool, image, "address_space")
        self.xarray = members(tool, image, "xarray")

    def physical(self, address):
        return address - self.base

    def word(self, address):
        return int.from_bytes(self.ram.read(self.physical(address), 8), "little")

    def at(self, path, mount="/trees"):
        return int(self.forest.rows[mount, path]["address"], 16)

    def dentry_of(self, inode):
        return self.word(inode + self.inode["i_dentry"]) - self.dentry["d_alias"]

    def node_of(self, inode):
        mapping = self.word(inode + self.inode["i_mapping"])
        return self.word(mapping + self.mapping["i_pages"] + self.xarray["xa_head"]) & ~3

    def change(self, address, value):
        return self.physical(address), value.to_bytes(8, "little")


@contextlib.contextmanager
def operated(forest):
    with working_copy(forest.image, forest.folder / "damaged.img",
                      forest.known.facts["ram_map"]) as ram:
        yield Surgeon(forest, ram)


def run_recover(forest, ram, *arguments):
    """Into a folder beside a file that must stay as it is, and what was restored."""
    above = forest.folder / "jail"
    with emptied(above):
        above.mkdir()
        result = forest.session.hostile.run("recover", ram.path, "--fstype", "tmpfs", *arguments,
                                            "-o", above / "in", timeout=300)
        if os.listdir(above) not in ([], ["in"]):
            raise ToolError(f"something left its folder: {os.listdir(above)}")
        return result, restored(above / "in") if (above / "in").exists() else {}


def planted_name(forest):
    """../../../../etc/passw, and '..' as names of files."""
    with operated(forest) as surgeon:
        ram = surgeon.ram
        places = list(ram.find(PLANTED))
        with ram.patched([(place, DAMAGED) for place in places]):
            result, found = run_recover(forest, ram, "--path", "/trees/names")
        if result.status != 3:
            yield f"a name with slashes: {result.describe()}"
        if any(b".." in name.split(b"/") for name in found):
            yield "a name leads up"
        dentry = surgeon.dentry_of(surgeon.at(b"/names/plain"))
        name = surgeon.word(dentry + surgeon.dentry["d_name"] + 8)
        size = surgeon.physical(dentry + surgeon.dentry["d_name"] + 4)
        with ram.patched([(surgeon.physical(name), b"..\0"), (size, b"\2\0\0\0")]):
            result, found = run_recover(forest, ram)
        if not any(name.startswith(b".unnamed/") for name in found):
            yield f"'..': {result.describe()}, {sorted(found)[:4]}"
    return f"{len(places)} places"


def cycles(forest):
    """A folder below itself; and a list of names that goes round."""
    with operated(forest) as surgeon:
        outer = surgeon.dentry_of(surgeon.at(b"/many"))
        inner = surgeon.dentry_of(surgeon.at(b"/many/07"))
        with surgeon.ram.patched([surgeon.change(outer + surgeon.dentry["d_parent"], inner)]):
            result, found = run_recover(forest, surgeon.ram)
        if result.status != 3 or b"tmpfs-%s/names/plain" % forest.device["/trees"].encode() \
                not in found:
            yield result.describe()
        alias = surgeon.dentry_of(surgeon.at(b"/linked")) + surgeon.dentry["d_alias"]
        with surgeon.ram.patched([surgeon.change(alias, alias)]):
            result, found = run_recover(forest, surgeon.ram, "--path", "/linked")
        if result.status != 3:
            yield result.describe()


def planted_size(forest):
    """16 TiB, and sizes that are none: nothing of that is written."""
    with operated(forest) as surgeon:
        place = surgeon.at(b"/names/two words") + surgeon.inode["i_size"]
        for size in (16 << 40, (1 << 63) - 1, 1 << 63, 1 << 62):
            with surgeon.ram.patched([surgeon.change(place, size)]):
                result, found = run_recover(forest, surgeon.ram, "--path", "/trees/many/01")
                # A disk may be unable to have such a file; an archive can.
                archive = forest.session.hostile.run("recover", surgeon.ram.path, "--path",
                                                     "/names/two words", "-o", "-")
            if result.status or len(archive.stdout) > 1 << 20:
                yield f"{size:#x}: {result.describe()}, {len(archive.stdout)} bytes of archive"


def lost_pages(forest):
    """What damage hides is told, and is no hole."""
    with operated(forest) as surgeon:
        node = surgeon.node_of(surgeon.at(b"/data", "/large"))
        slots = members(forest.session.tool, forest.image, "xa_node")["slots"]
        tool = forest.session.hostile
        for what, change in (("a node", surgeon.change(node + slots + 8, node | 2)),
                             ("a page", surgeon.change(node + slots + 8, 0xFFFFEA0000000008))):
            with surgeon.ram.patched([change]):
                found = tool.run("recover", surgeon.ram.path, "--path", "/large/data",
                                 "--list-missing", "--format", "json")
            rows = found.rows()
            if found.status != 3 or len(rows) != 1 or rows[0]["reason"] != "damaged" or \
                    rows[0]["end"] - rows[0]["start"] not in (PAGE << 6, PAGE << 12):
                yield f"{what}: {found.describe()}: {rows[:3]}"
        with surgeon.ram.patched([surgeon.change(node + slots + 8, 0)]):
            found = tool.run("recover", surgeon.ram.path, "--path", "/large/data",
                             "--list-missing", "--format", "json")
        if found.status != 3:
            yield f"an emptied slot: {found.describe()}"


def mutations(forest, seed, count):
    """Whatever is damaged, kioku ends in time and stays in its folder."""
    generator = random.Random(seed)
    statuses = {}
    with operated(forest) as surgeon:
        rows = [row for (mount, path), row in forest.rows.items() if path is not None]
        for _ in range(count):
            inode = int(generator.choice(rows)["address"], 16)
            kind = generator.randrange(4)
            start, size = ((inode, 640), (surgeon.dentry_of(inode), 192),
                           (surgeon.node_of(inode), 576),
                           (surgeon.word(inode + surgeon.inode["i_sb"]), 1480))[kind]
            place = surgeon.physical(start + 8 * generator.randrange(size // 8))
            if surgeon.ram.offset(place) is None:
                continue
            old = surgeon.ram.read(place, 8)
            new = generator.choice((
                generator.randbytes(8), bytes(8), b"\xff" * 8,
                inode.to_bytes(8, "little"),
                (int.from_bytes(old, "little") ^ 1 << generator.randrange(64)).to_bytes(8, "little")))
            with surgeon.ram.patched([(place, new)]):
                result, _ = run_recover(forest, surgeon.ram, "--path", "*[0-9a-z]")
                forest.session.hostile.run("files", surgeon.ram.path, "--columns", "all",
                                           "--format", "csv")
            statuses[result.status] = statuses.get(result.status, 0) + 1
    yield from ()
    return f"exit statuses {statuses}"


def check_all(session):
    for kernel in ("bookworm", "backports") if session.options.full else ("bookworm",):
        tests = (into_folder, into_archive, some_of_it, nothing_missing, planted_name, cycles,
                 planted_size, lost_pages, configurations.file)
        names = [f"files-{kernel}: {test.__name__}" for test in (*tests, mutations)]
        if not any(map(session.results.wants, names)):
            continue
        with guest.Guest(session.folder / f"files-{kernel}") as machine:
            try:
                forest = Forest(machine, kernel, session)
            except (guest.GuestError, kernels.FetchError, ToolError) as error:
                session.results.fail(f"files-{kernel}: boot", error)
                continue
        for test, name in zip(tests, names):
            session.results.check(name, test, forest)
        session.results.check(names[-1], mutations, forest, session.options.seed,
                              session.options.mutations // 10)
