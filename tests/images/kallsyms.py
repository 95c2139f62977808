#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Windows on a kernel's constants with kallsyms tables in them, in every layout that kernels have
had (scripts/kallsyms.c, v3.10 to v7.0).

    kallsyms.py LAYOUT WINDOW LIST [COUNT]

writes the window, which lies at VIRTUAL and has noise and look-alikes around the tables, and the
symbols as /proc/kallsyms would list them.
"""

import random
import struct
import sys
from dataclasses import dataclass

TEXT = 0xffffffff81000000
VIRTUAL = 0xffffffff82000000
GROUP = 256


@dataclass
class Layout:
    addresses: str = "percpu"   # "absolute", "relative", "percpu", "place"
    first: bool = True          # addresses come before num_syms (up to v6.3)
    word: int = 4               # bytes of num_syms and of a marker
    align: int = 8
    uleb128: bool = True        # lengths of names
    seqs: int = 0               # bytes of an entry of seqs_of_names, 0: there is none
    seqs_between: bool = False  # it lies between markers and token table
    data: bool = True           # CONFIG_KALLSYMS_ALL


LAYOUTS = {
    "3.10": Layout("absolute", word=8, uleb128=False),
    "4.6": Layout("percpu", word=8, uleb128=False),
    "4.6-up": Layout("relative", word=8, uleb128=False),
    "4.20": Layout("percpu", uleb128=False),
    "6.1": Layout("percpu"),
    "6.1-debian": Layout("percpu", seqs=3, seqs_between=True),
    "6.2": Layout("percpu", seqs=4, seqs_between=True),
    "6.3-absolute": Layout("absolute", seqs=3, seqs_between=True),
    "6.4": Layout("percpu", first=False, seqs=3),
    "6.4-absolute": Layout("absolute", first=False, seqs=3),
    "6.15": Layout("relative", first=False, seqs=3),
    "7.0": Layout("place", first=False, seqs=3, align=4),
    "7.0-text": Layout("place", first=False, seqs=3, align=4, data=False),
    "6.1-text": Layout("percpu", data=False),
}


def make_symbols(layout, count, generator):
    """[(address, type, name)], in the order of the table."""
    words = ("task page inode mount file vfs mm vma slab cpu irq timer net sock tcp udp xfs ext4 "
             "init exit alloc free get put lock unlock read write open close").split()
    symbols = []
    if layout.data and layout.addresses in ("percpu", "absolute"):
        symbols += [(0x1000 * i, "A", f"percpu_{words[i % 30]}_{i}") for i in range(40)]
    address = TEXT
    symbols += [(address, "T", "_text"), (address, "T", "_stext")]
    while len(symbols) < count - 4:
        address += generator.choice((0, 16, 16, 32, 48, 64, 256, 4096))
        name = "_".join(generator.choices(words, k=generator.randint(1, 4)))
        name += generator.choice(("", "", ".cold", ".isra.0", f"_{generator.randrange(10000)}"))
        if layout.uleb128 and generator.random() < 0.003:
            name = "_RNv" + "".join(generator.choices("BCDFGHJKLMNPQRSTVXZ0123456789", k=300))
        symbols.append((address, generator.choice("TTttW"), name))
    if layout.data:
        symbols += [(VIRTUAL + 0x100, "D", "linux_banner"), (VIRTUAL + 0x200, "r", "__param_str$x"),
                    (VIRTUAL + 0x300, "b", "digits_0123456789"), (VIRTUAL + 0x800000, "B", "_end")]
    else:
        symbols.append((address, "T", "_einittext_0123456789"))
    return symbols


def make_tokens(names):
    """256 tokens: characters in use keep their codes; the others stand for what is frequent."""
    tokens = [b""] * 256
    used = set(b"".join(names))
    for code in used:
        tokens[code] = bytes([code])
    counts = {}
    for name in names:
        for size in (2, 3, 4, 5, 6, 8):
            for i in range(0, len(name) - size + 1):
                part = name[i:i + size]
                counts[part] = counts.get(part, 0) + size - 1
    frequent = sorted(counts, key=lambda part: (-counts[part], part))
    free = [code for code in range(256) if code not in used]
    for code, part in zip(free, frequent):
        tokens[code] = part
    return tokens


def compress(name, codes):
    out = bytearray()
    while name:
        size = next(size for size in range(min(8, len(name)), 0, -1) if name[:size] in codes)
        out.append(codes[name[:size]])
        name = name[size:]
    return bytes(out)


def encode_length(size, layout):
    if layout.uleb128 and size > 0x7f:
        return bytes([size & 0x7f | 0x80, size >> 7])
    return bytes([size])


class Image:
    def __init__(self, start):
        self.data = bytearray(start)

    def align(self, size):
        self.data += bytes(-len(self.data) % size)

    def put(self, table, align):
        self.align(align)
        at = len(self.data)
        self.data += table
        return at


def put_addresses(image, layout, symbols):
    addresses = [address for address, _, _ in symbols]
    if layout.addresses == "absolute":
        image.put(struct.pack(f"<{len(addresses)}Q", *addresses), 8)
        return
    image.align(layout.align)
    if layout.addresses == "place":
        here = VIRTUAL + len(image.data)
        values = [address - here - 4 * i for i, address in enumerate(addresses)]
    elif layout.addresses == "percpu":
        values = [address if address < 1 << 63 else TEXT - 1 - address for address in addresses]
    else:
        values = [address - TEXT for address in addresses]
    image.put(struct.pack(f"<{len(values)}i", *values), layout.align)
    if layout.addresses != "place":
        image.put(struct.pack("<Q", TEXT), layout.align)


def put_seqs(image, layout, count, generator):
    order = list(range(count))
    generator.shuffle(order)
    image.put(b"".join(number.to_bytes(layout.seqs, "big" if layout.seqs == 3 else "little")
                       for number in order), layout.align)


def build(layout, count=3500, seed=1):
    """(window, symbols)"""
    generator = random.Random(seed)
    symbols = make_symbols(layout, count, generator)
    names = [(kind + name).encode() for _, kind, name in symbols]
    tokens = make_tokens(names)
    codes = {token: code for code, token in enumerate(tokens) if token}
    packed = [compress(name, codes) for name in names]
    number = "<Q" if layout.word == 8 else "<I"

    image = Image(generator.randbytes(8192 + 8 * generator.randrange(64)))
    if layout.data:
        image.data[0x100:0x110] = b"Linux version 0\n"
    if layout.first:
        put_addresses(image, layout, symbols)
    image.put(struct.pack(number, len(symbols)), layout.align)
    stream = [encode_length(len(name), layout) + name for name in packed]
    markers = [sum(map(len, stream[:i])) for i in range(0, len(stream), GROUP)]
    image.put(b"".join(stream), layout.align)
    image.put(b"".join(struct.pack(number, marker) for marker in markers), layout.align)
    if layout.seqs and layout.seqs_between:
        put_seqs(image, layout, len(symbols), generator)
    table = b"".join(token + b"\0" for token in tokens)
    index = [sum(len(token) + 1 for token in tokens[:i]) for i in range(256)]
    image.put(table, layout.align)
    image.put(struct.pack("<256H", *index), layout.align)
    if not layout.first:
        put_addresses(image, layout, symbols)
    if layout.seqs and not layout.seqs_between:
        put_seqs(image, layout, len(symbols), generator)

    # Look-alikes behind: the digits alone, and a token table with its index but no names.
    digits = b"".join(b"%d\0" % digit for digit in range(10))
    for decoy in (digits, table + bytes(-len(table) % 8) + struct.pack("<256H", *index), digits):
        image.put(generator.randbytes(2000), 8)
        image.put(decoy, 8)
    image.put(generator.randbytes(4000), 8)
    return bytes(image.data), symbols


def main():
    name, window, listing = sys.argv[1:4]
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 3500
    data, symbols = build(LAYOUTS[name], count)
    with open(window, "wb") as file:
        file.write(data)
    with open(listing, "w") as file:
        for address, kind, symbol in symbols:
            file.write(f"{address:016x} {kind} {symbol}\n")


if __name__ == "__main__":
    main()
