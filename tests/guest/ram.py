# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest's memory as a file, by physical address: read, search, copy, patch and put back."""

import contextlib
import mmap
import os
import subprocess

PAGE = 4096


class Ram:
    """pieces: guest.json's ram_map, [{physical: "0x...", size, offset}]."""

    def __init__(self, path, pieces, writable=False):
        self.path = path
        self.pieces = pieces
        self.file = os.open(path, os.O_RDWR if writable else os.O_RDONLY)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        os.close(self.file)

    def offset(self, physical):
        """Where in the file; None where the machine has no memory."""
        for piece in self.pieces:
            within = physical - int(piece["physical"], 16)
            if 0 <= within < piece["size"]:
                return piece["offset"] + within
        return None

    def physical(self, offset):
        for piece in self.pieces:
            within = offset - piece["offset"]
            if 0 <= within < piece["size"]:
                return int(piece["physical"], 16) + within
        return None

    def read(self, physical, size):
        offset = self.offset(physical)
        return b"" if offset is None else os.pread(self.file, size, offset)

    def write(self, physical, data):
        os.pwrite(self.file, data, self.offset(physical))

    def find(self, needle):
        """The physical address of every place where these bytes are."""
        for start, end in self.data():
            with mmap.mmap(self.file, end - start, mmap.MAP_SHARED, mmap.PROT_READ,
                           offset=start) as view:
                at = view.find(needle)
                while at >= 0:
                    yield self.physical(start + at)
                    at = view.find(needle, at + 1)

    def data(self):
        """Where the file has bytes: (start, end) of every stretch between holes."""
        end = 0
        while True:
            try:
                start = os.lseek(self.file, end, os.SEEK_DATA)
            except OSError:
                return
            end = os.lseek(self.file, start, os.SEEK_HOLE)
            yield start, end

    def holes(self, least):
        """(physical, size) of every stretch of at least so many bytes that nothing was written
        to: memory that the guest does not use, below its last use of any."""
        before = 0
        for start, end in self.data():
            if start - before >= least and self.physical(before) is not None:
                yield self.physical(before), start - before
            before = end

    @contextlib.contextmanager
    def patched(self, changes):
        """Write [(physical, bytes)] for as long as the context lasts."""
        before = [(physical, self.read(physical, len(data))) for physical, data in changes]
        for physical, data in changes:
            self.write(physical, data)
        try:
            yield
        finally:
            for physical, data in reversed(before):
                self.write(physical, data)


def copy_sparse(source, target):
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, target], check=True)


@contextlib.contextmanager
def working_copy(source, target, pieces):
    """A copy to write to, which is gone afterwards."""
    copy_sparse(source, target)
    try:
        with Ram(target, pieces, writable=True) as ram:
            yield ram
    finally:
        os.unlink(target)
