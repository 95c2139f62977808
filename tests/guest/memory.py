# SPDX-License-Identifier: LGPL-2.1-or-later
"""Views of processes' memory against the guest's own /proc, both ways. Each test yields problems."""

import itertools
import shutil

from tool import text_bytes


def owners(known):
    """(before, after) of every process whose memory the guest could show."""
    return [(before, after) for before, after in known.processes() if before["maps"]]


def by_pid(rows):
    return {pid: list(group) for pid, group in itertools.groupby(rows, lambda row: row["pid"])}


def wrong_processes(known, found):
    """Those that have memory, and no others; one that changed its memory is another one."""
    for before, _ in owners(known):
        if before["pid"] not in found:
            yield f"process {before['pid']} is missing"
    possible = {process["pid"] for truth in known.truths for process in truth["processes"]
                if process["maps"]}
    for pid in sorted(set(found) - possible):
        if not known.visitors:
            yield f"process {pid} has no memory"


def args(tool, known, image):
    rows = tool.rows("args", image)
    found = {row["pid"]: row for row in rows}
    yield from wrong_processes(known, found)
    for before, after in owners(known):
        row = found.get(before["pid"])
        told = b"".join(text + b"\0" for text in texts(row, "args")) if row else None
        allowed = {process["cmdline_hex"] for process in (before, after)}
        # A title that was written over the arguments ends where it ends.
        if row and told.hex() not in allowed and told[:-1].hex() not in allowed:
            yield f"process {before['pid']}: args are {row['args']}, not {allowed}"
    return f"{len(rows)} processes"


def texts(row, key):
    escaped = key in row.get("escaped", ())
    return [text_bytes({key: text, "escaped": [key] if escaped else []}, key)
            for text in row[key] or []]


def env(tool, known, image):
    found = by_pid(tool.rows("env", image))
    for before, after in owners(known):
        told = b"".join(variable(row) + b"\0" for row in found.get(before["pid"], []))
        allowed = {process["environ_hex"] for process in (before, after)}
        if told.hex() not in allowed:
            yield f"process {before['pid']}: env is {told}, not {allowed}"
    return f"{sum(map(len, found.values()))} variables"


def variable(row):
    name = b"" if row["name"] is None else text_bytes(row, "name") + b"="
    return name + text_bytes(row, "value")


def maps(tool, known, image, may_lack_names=False):
    """may_lack_names: of a kernel whose types are inferred, if it is said so, as for the names of memfds."""
    found = by_pid(tool.rows("maps", image))
    yield from wrong_processes(known, found)
    for before, after in owners(known):
        rows = found.get(before["pid"], [])
        told = [mapping(row) for row in rows]
        allowed = [[wanted(area) for area in process["maps"]] for process in (before, after)]
        if may_lack_names:
            allowed = [without_names(areas, rows) for areas in allowed]
        if told not in allowed:
            yield f"process {before['pid']}: " + difference(told, allowed[0])
        elif before["pages"] == after["pages"]:
            yield from wrong_residence(before, found[before["pid"]])
    return f"{sum(map(len, found.values()))} mappings"


def without_names(areas, rows):
    """What is to be told where the rows have names that cannot be had."""
    lacking = {int(row["start"], 16) for row in rows if row.get("absent", {}).get("path") == "unsupported"}
    return [(*area[:-1], None) if area[0] in lacking else area for area in areas]


def mapping(row):
    return (int(row["start"], 16), int(row["end"], 16), row["permissions"], int(row["offset"], 16),
            row["device"], row["inode"], shown(text_bytes(row, "path")))


def shown(path):
    """As /proc/PID/maps has it (seq_file_path())."""
    return None if path is None else \
        path.replace(b"\n", rb"\012").decode("utf-8", "backslashreplace")


def wanted(area):
    return (int(area["start"], 16), int(area["end"], 16), area["permissions"], area["offset"],
            area["device"], area["inode"], area["path"])


def difference(told, allowed):
    for ours, theirs in itertools.zip_longest(told, allowed):
        if ours != theirs:
            return f"{ours}, but the guest has {theirs}"
    return "nothing"


def wrong_residence(process, rows):
    pages = sorted(int(page, 16) for page in process["pages"])
    for row in rows:
        inside = sum(int(row["start"], 16) <= page < int(row["end"], 16) for page in pages)
        if row["resident"] != inside * 4096:
            yield f"process {process['pid']}: {row['resident']} bytes of {row['start']} are " \
                  f"resident, not {inside * 4096}"


def maps_dump(tool, known, image, folder):
    """The files of maps --dump: every byte of the marker that memory has, and a list of the others."""
    pid = known.before["roles"]["marker"]
    shutil.rmtree(folder, ignore_errors=True)
    result = tool.run("maps", image, "--pid", pid, "--dump", folder, "--format", "json")
    if result.status:
        yield result.describe()
        return None
    missing = [tuple(int(part, 16) for part in line.split(",")[1:3])
               for line in (folder / "missing.csv").read_text().splitlines()[1:]]
    files = {tuple(int(part, 16) for part in path.name.split(".")[1].split("-")): path
             for path in folder.iterdir() if path.name != "missing.csv"}
    told = {(int(row["start"], 16), int(row["end"], 16)) for row in result.rows()}
    if told != files.keys():
        yield f"files for {sorted(told ^ files.keys())}"
    count = 0
    with known.ram() as ram:
        for area in (area for area in known.before["areas"] if area["pid"] == pid):
            for page, physical in area["pages"].items():
                page = int(page, 16)
                start, path = next(((start, path) for (start, end), path in files.items()
                                    if start <= page < end), (0, None))
                if path is None:
                    yield f"there is no file with {page:#x}"
                elif physical is None:
                    if not any(first <= page < last for first, last in missing):
                        yield f"{page:#x} is not among what is missing"
                else:
                    count += 1
                    with open(path, "rb") as file:
                        file.seek(page - start)
                        if file.read(4096) != ram.read(int(physical, 16), 4096):
                            yield f"{page:#x} is another page"
    shutil.rmtree(folder)
    return f"{count} pages in {len(files)} files"
