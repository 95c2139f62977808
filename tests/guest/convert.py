# SPDX-License-Identifier: LGPL-2.1-or-later
"""A stopped machine's memory in every format and codec that kioku writes, read back: not one byte
differs. Each test yields problems."""

import hashlib
import itertools
import shutil
import subprocess

from acquire import stream

FORMS = ("lime", "padded", "raw", "elf", "avml", "kdump", "kdump:zstd", "kdump:snappy",
         "kdump:none")
CODECS = {"none": None, "zstd": ["zstd", "-dcq"], "lz4": ["lz4", "-dcq"], "gzip": ["gzip", "-dc"]}
CHUNK = 1 << 20


def pairs(full):
    """(form, codec): all, or each form as it is and under one codec."""
    if full:
        return list(itertools.product(FORMS, CODECS))
    codecs = itertools.cycle(["zstd", "lz4", "gzip"])
    return [pair for form in FORMS for pair in ((form, "none"), (form, next(codecs)))]


def converted(tool, source, memory, folder, form, codec):
    """source becomes an image of a form; memory: [(physical, file, offset, size)] of what it must
    have."""
    image = folder / f"converted-{form.replace(':', '-')}-{codec}"
    try:
        result = tool.run("convert", source, image, "--as", form, "--compress", codec)
        if result.status:
            yield result.describe()
        yield from same_bytes(tool, image, memory)
        verified = tool.run("verify", image)
        if verified.status:
            yield verified.describe()
        if CODECS[codec]:
            yield from unpacked(tool, source, image, folder, form, CODECS[codec])
        return f"{image.stat().st_size >> 10} KiB"
    finally:
        for path in folder.glob(image.name + "*"):
            path.unlink()


def same_bytes(tool, image, memory):
    for physical, path, offset, size in memory:
        with open(path, "rb") as file:
            file.seek(offset)
            for at, data in stream(tool, image, physical, size):
                if file.read(min(CHUNK, physical + size - at)) != data:
                    yield f"memory differs, at {at:#x} or up to {CHUNK} bytes above"
                    break


def unpacked(tool, source, image, folder, form, command):
    """The codec's own program restores what is written without the codec."""
    plain = folder / "plain"
    digests = []
    try:
        result = tool.run("convert", source, plain, "--as", form, "--compress", "none",
                          "--digest", "none")
        if result.status:
            yield result.describe()
        with open(plain, "rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    finally:
        for path in folder.glob("plain*"):
            path.unlink()
    with subprocess.Popen([*command, image], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        digests.append(hashlib.file_digest(done.stdout, "sha256").hexdigest())
        errors = done.stderr.read().decode(errors="replace")
    if done.returncode or errors:
        yield f"{command[0]}: exit status {done.returncode}: {errors[:300]}"
    # A kdump under a codec cannot seek and is flattened; plain files of it can, and are not.
    if digests[0] != digests[1] and not form.startswith("kdump"):
        yield f"{command[0]} does not restore the image"


def test_conversions(session, known):
    """The machine's RAM file, and QEMU's dump of it where there is one."""
    tool, folder = session.tool, session.folder / "converted"
    folder.mkdir(exist_ok=True)
    size = known.facts["ram_map"][0]["size"]
    whole = [(0, known.ram_path, 0, size)]
    for form, codec in pairs(session.options.full):
        title = f"converted, {form}" + ("" if codec == "none" else f", {codec}")
        if codec != "none" and not shutil.which(CODECS[codec][0]):
            session.skip(known, title, f"{codec} is not installed")
        else:
            session.check(known, title, converted, tool, known.ram_path, whole, folder, form, codec)
