# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether an image of the target "counters" is of one instant: see targets/counters.h."""

import collections

MAGIC = 0x53524554554E4F43
PAGE, WORDS = 4096, 512
MASK = (1 << 64) - 1

Header = collections.namedtuple("Header", "magic threads pages rolled_pages seed done "
                                          "chains up down rolls")


def mix(value):
    value = value + 0x9E3779B97F4A7C15 & MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
    return value ^ value >> 31


class Checker:
    """Checks images of one target in the order in which they were made."""

    def __init__(self, header):
        self.address, self.done, self.last = header, 0, collections.Counter()

    def problems(self, image):
        """Sentences; none if the image is of one instant."""
        header = Header(*image.words(self.address, len(Header._fields)))
        if header.magic != MAGIC:
            yield "the header is not there"
            return
        yield from chain_problems(image, header)
        yield from cell_problems(image, header)
        yield from self.roll_problems(image, header)

    def roll_problems(self, image, header):
        if header.done < self.done:
            yield "fewer writes than in an image before"
        for write in range(self.done + 1, header.done + 1):
            self.last[mix(header.seed + write) % header.rolled_pages] = write
        self.done = max(self.done, header.done)
        following = header.done + 1
        written = mix(header.seed + following) % header.rolled_pages
        for page in range(header.rolled_pages):
            words = image.words(header.rolls + page * PAGE, WORDS)
            last = self.last[page]
            good = {(last, last)}
            if page == written:  # the write that is not counted yet may be there, in part
                good |= {(following, last), (following, following)}
            if (words[0], words[-1]) not in good:
                yield f"rolled page {page}: {words[0]} and {words[-1]}, not {last}"
            if page % 64 == 0 and words[1:-1] != fixed_words(page):
                yield f"rolled page {page}: words that are never written have changed"


def fixed_words(page):
    return tuple(page << 32 ^ word * 0x10001 for word in range(1, WORDS - 1))


def chain_problems(image, header):
    for thread in range(header.threads):
        base = header.chains + thread * header.pages * PAGE
        chain = [image.words(base + page * PAGE, 1)[0] for page in range(header.pages)]
        if chain != sorted(chain, reverse=True) or chain[0] - chain[-1] > 1:
            yield f"chain {thread}: from {chain[0]} to {chain[-1]}, {len(set(chain))} numbers"


def cell_problems(image, header):
    up = [image.words(header.up + thread * PAGE, 1)[0] for thread in range(header.threads)]
    down = [image.words(header.down + thread * PAGE, 1)[0] for thread in range(header.threads)]
    for cells in (up, down[::-1]):
        if cells != sorted(cells, reverse=True):
            yield f"a cell is ahead of the one before: {cells}"
