# SPDX-License-Identifier: LGPL-2.1-or-later
"""kioku isf: its symbol tables for volatility3 against a schema, against themselves, the guest's kallsyms, what
kioku type says, and in the hands of volatility3. Each test yields problems."""

import base64
import json
import lzma
import random
import re
import subprocess
from pathlib import Path

import mutate
import peers
from ram import working_copy
from tool import ToolError

SCHEMA = Path(__file__).resolve().parents[2] / "docs/isf.schema.json"
# A schema takes milliseconds for each element, of which there are a hundred thousand: so many of each kind are judged
# by it, and all by closed().
JUDGED = 300
DAMAGED, CHANGES = 6, 12  # copies, and changes in each, of what the table is made of
# Structs with bit fields, anonymous members, unions and arrays.
STRUCTS = ("task_struct", "mm_struct", "vm_area_struct", "file", "dentry", "inode", "sock", "module", "page",
           "cred", "sk_buff", "list_head")
# What volatility3 takes as an object: its type by the kernel's declaration, wherever there is such a symbol.
TYPES = {
    "init_task": {"kind": "struct", "name": "task_struct"},
    "modules": {"kind": "struct", "name": "list_head"},
    "module_kset": {"kind": "pointer", "subtype": {"kind": "struct", "name": "kset"}},
    "net_namespace_list": {"kind": "struct", "name": "list_head"},
    "prb": {"kind": "pointer", "subtype": {"kind": "struct", "name": "printk_ringbuffer"}},
    "tty_drivers": {"kind": "struct", "name": "list_head"},
    "prog_idr": {"kind": "struct", "name": "idr"},
    "keyboard_notifier_list": {"kind": "struct", "name": "atomic_notifier_head"},
    "iomem_resource": {"kind": "struct", "name": "resource"},
    "cap_last_cap": {"kind": "base", "name": "int"},
    "vmemmap_base": {"kind": "base", "name": "long unsigned int"},
    "runqueues": {"kind": "struct", "name": "rq"},
}
PLUGINS = ("pslist.PsList", "pstree.PsTree", "lsof.Lsof", "lsmod.Lsmod", "mountinfo.MountInfo",
           "sockstat.Sockstat")


def check(session, known):
    """Written once for all tests."""
    folder = session.folder / f"isf-{known.name}"
    path = folder / "symbols/linux/ours.json.xz"
    titles = ("isf, written", "isf, by its schema", "isf, references", "isf, symbols", "isf, members",
              "isf, damaged")
    if not session.wants(known, *titles, "isf, volatility3"):
        return
    path.parent.mkdir(parents=True)
    if not session.check(known, titles[0], written, session.tool, known, path) or not path.exists():
        return
    table = json.loads(lzma.open(path).read())
    session.check(known, titles[1], by_schema, table)
    session.check(known, titles[2], closed, table)
    session.check(known, titles[3], symbols, known, table)
    session.check(known, titles[4], members, session.tool, known, table)
    del table
    if session.wants(known, titles[5]):
        with working_copy(known.ram_path, folder / "damaged", known.facts["ram_map"]) as ram:
            session.check(known, titles[5], damaged, session.hostile, known, ram, folder / "damaged.json",
                          session.options.seed)
    if missing := no_volatility(known):
        session.skip(known, "isf, volatility3", missing)
    else:
        session.check(known, "isf, volatility3", volatility, known, folder)


def written(tool, known, path):
    """Compressed and not, the same but for the time; an existing file only once there is another."""
    plain = path.with_name("plain")
    plain.write_text("before")
    texts = []
    for output in (path, plain):
        result = tool.run("isf", known.ram_path, "-o", output)
        if result.status or result.stderr or result.stdout:
            yield result.describe()
            return
        text = (lzma.open(output) if output == path else open(output, "rb")).read()
        texts.append(text[text.index(b'"base_types"'):])
    if texts[0] != texts[1]:
        yield "compressed, it says something else"
    plain.unlink()
    return f"{len(texts[0]) >> 20} MiB, {path.stat().st_size >> 10} KiB compressed"


# --- the table itself

def by_schema(table):
    try:
        import jsonschema
    except ImportError:
        return "python3-jsonschema is not installed"
    checker = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    part = dict(table)
    for kind in ("user_types", "enums", "symbols"):
        names = sorted(table[kind])
        chosen = {*names[::len(names) // JUDGED + 1], "linux_banner", *TYPES, *STRUCTS}
        part[kind] = {name: table[kind][name] for name in names if name in chosen}
    for error in list(checker.iter_errors(part))[:10]:
        yield f"{error.json_path}: {error.message[:200]}"


def references(descriptor):
    """Every (kind, name) in a type, and what is wrong with its form."""
    while descriptor["kind"] in ("pointer", "array", "bitfield"):
        descriptor = descriptor["type" if descriptor["kind"] == "bitfield" else "subtype"]
    if descriptor["kind"] != "function":
        yield descriptor["kind"], descriptor["name"]


def size_of(table, descriptor):
    """In bytes; None of what has no size."""
    kind = descriptor["kind"]
    if kind == "array":
        size = size_of(table, descriptor["subtype"])
        return None if size is None else size * descriptor["count"]
    if kind in ("struct", "union"):
        return table["user_types"][descriptor["name"]]["size"]
    if kind == "enum":
        return table["enums"][descriptor["name"]]["size"]
    if kind == "bitfield":
        return size_of(table, descriptor["type"])
    return {"pointer": 8}.get(kind) or table["base_types"].get(descriptor.get("name"), {}).get("size")


def closed(table, places_only=False):
    """What is referred to is there, and every member lies in its struct."""
    places = {"base": table["base_types"], "enum": table["enums"], "struct": table["user_types"],
              "union": table["user_types"]}
    count = 0
    users = [(name, {"type": symbol["type"]}) for name, symbol in table["symbols"].items() if "type" in symbol]
    users += [(f"{name}.{member}", field) for name, whole in table["user_types"].items()
              for member, field in whole["fields"].items()]
    for user, field in users:
        for kind, name in references(field["type"]):
            count += 1
            found = places[kind].get(name)
            if found is None or kind in ("struct", "union") and found["kind"] != kind:
                yield f"{user} is of {kind} {name}, which there is not"
    if places_only:
        return
    for name, enumeration in table["enums"].items():
        base = table["base_types"].get(enumeration["base"])
        if not base or base["size"] != enumeration["size"]:
            yield f"enum {name} of {enumeration['size']} bytes is a {enumeration['base']}"
    for name, whole in table["user_types"].items():
        for member, field in whole["fields"].items():
            descriptor = field["type"]
            size = size_of(table, descriptor) or 0
            if descriptor["kind"] == "bitfield":
                if descriptor["bit_position"] + descriptor["bit_length"] > 8 * size:
                    yield f"{name}.{member}: its bits are not in its {size} bytes"
                size = (descriptor["bit_position"] + descriptor["bit_length"] + 7) // 8
            if field["offset"] + size > whole["size"]:
                yield f"{name}.{member} ends at {field['offset'] + size} of {whole['size']}"
    return f"{count} references"


def symbols(known, table):
    """All names, at the addresses that the kernel was linked for; of several of one name, one of them."""
    shift = int(known.vmcoreinfo["KERNELOFFSET"], 16)
    places = {}
    for address, kind, name in known.kallsyms:
        places.setdefault(name, []).append((address, kind))
    if set(places) != set(table["symbols"]):
        odd = sorted(set(places) ^ set(table["symbols"]))
        yield f"{len(odd)} names are in one place only: {odd[:5]}"
        return
    for name, found in places.items():
        first = [address for address, kind in found if kind.isupper()] or [address for address, _ in found]
        # Absolute ones, per-CPU offsets up to v6.14, are not moved.
        allowed = {address - shift if address >= 1 << 63 else address for address in first}
        if table["symbols"][name]["address"] not in allowed:
            yield f"{name} is at {table['symbols'][name]['address']:#x}, not {[hex(a) for a in allowed]}"
    for name, expected in TYPES.items():
        if name in places and table["symbols"][name].get("type") != expected:
            yield f"{name} is {table['symbols'][name].get('type')}"
    banner = base64.b64decode(table["symbols"]["linux_banner"]["constant_data"])
    if banner != known.before["version"].encode() + b"\n\0":
        yield f"linux_banner is {banner}"
    with known.ram() as ram:
        if ram.read(known.image_physical(known.address("linux_banner")), len(banner)) != banner:
            yield "linux_banner is not what memory has there"
    return f"{len(places)} symbols"


def flat(table, name, offset=0):
    """{member: (its first bit, its bits)} of a struct, with those of anonymous members."""
    found = {}
    for member, field in table["user_types"][name]["fields"].items():
        start = offset + field["offset"]
        if field.get("anonymous"):
            found.update(flat(table, field["type"]["name"], start))
        elif field["type"]["kind"] == "bitfield":
            found[member] = 8 * start + field["type"]["bit_position"], field["type"]["bit_length"]
        else:
            found[member] = 8 * start, 0
    return found


def members(tool, known, table):
    """As kioku type has them, whose layouts pahole judges."""
    count = 0
    for name in STRUCTS:
        result = tool.run("type", known.ram_path, f"struct {name}", "--format", "json")
        if result.status:
            raise ToolError(result.describe())
        document = result.document()
        ours = flat(table, name)
        if table["user_types"][name]["size"] != document["size"]:
            yield f"struct {name} has {table['user_types'][name]['size']} bytes, not {document['size']}"
        for member in document["members"]:
            if not member["name"]:
                continue
            count += 1
            bits = member.get("bit_size", 0)
            expected = member["bit_offset"] if bits else 8 * member["offset"], bits
            if ours.get(member["name"]) != expected:
                yield f"{name}.{member['name']} is at {ours.get(member['name'])}, not {expected}"
    return f"{count} members"


def damaged(hostile, known, ram, output, seed):
    """Whatever is written of damaged types and names is still a table that refers to what it has."""
    regions = [list(mutate.type_data(known))[-1], *mutate.symbol_tables(known)]  # not the header, again and again
    written_ones = 0
    for index in range(DAMAGED):
        generator = random.Random(f"isf {seed}/{index}")
        changes = [change for _ in range(CHANGES)
                   for change in mutate.mutation(generator, ram, generator.choice(regions))]
        output.unlink(missing_ok=True)
        with ram.patched(changes):
            result = hostile.run("isf", ram.path, "-o", output)
        if (result.status in (0, 3)) != output.exists() or (result.status == 3) != ("gap:" in result.stderr):
            yield f"copy {index}: {result.describe()}"
        if output.exists():
            written_ones += 1
            table = json.loads(output.read_bytes())
            # A damaged size says nothing of the others.
            yield from (f"copy {index}: {problem}" for problem in closed(table, places_only=True))
    return f"{written_ones} of {DAMAGED} written"


# --- volatility3

def no_volatility(known):
    if not peers.volatility():
        return "there is no volatility3 in $KIOKU_PEERS"
    if known.facts["levels"] != 4:
        return "volatility3 reads four levels of page tables, and this guest has five"
    return None


def plugin(known, name, symbols_folder, cache):
    """The lines that a plugin prints, sorted, without its heading: names of tasks stand in them as they are."""
    cache.mkdir(exist_ok=True)
    done = subprocess.run(
        [peers.PYTHON, peers.volatility() / "vol.py", "-q", "-r", "csv", "-s", symbols_folder, "--cache-path", cache,
         "-f", known.ram_path, f"linux.{name}"], capture_output=True, timeout=3600)
    lines = [line for line in done.stdout.split(b"\n") if line.strip()][1:]
    trouble = done.stderr.decode(errors="replace").strip()[-300:] if done.returncode else ""
    return sorted(lines), trouble


def volatility(known, folder):
    """Processes as the guest tells them; where there are dwarf2json's symbols of this kernel, the same rows of all
    of PLUGINS."""
    others = peers.no_plugins(known.facts["kernel"])
    compared = 0
    for name in PLUGINS if not others else PLUGINS[:1]:
        rows, trouble = plugin(known, name, folder / "symbols", folder / "ours")
        if trouble:
            yield f"{name}: {trouble}"
            continue
        if name == PLUGINS[0]:
            found = (re.match(rb"\d+,0x[0-9a-f]+,(\d+),", row) for row in rows)
            processes = {int(match[1]) for match in found if match}
            told = {task["pid"] for truth in known.truths for task in truth["tasks"]}
            wrong = ({pid for pid in told if known.steady(pid)} - processes) | (processes - told)
            if wrong:
                yield f"{name}: the processes {sorted(wrong)} differ from the guest's"
        compared += len(rows)
        if others:
            continue
        theirs, trouble = plugin(known, name, peers.symbols(), folder / "theirs")
        if trouble or rows != theirs:
            yield f"{name}: {len(rows)} rows, by dwarf2json's symbols {len(theirs)} {trouble}"
    return f"{compared} rows" + (f", not compared: {others}" if others else "")
