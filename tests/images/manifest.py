# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manifests and journals as docs/manifest.md defines them, written without kioku."""

import hashlib
import json

SEGMENT = 1 << 20
STATES = ("read", "zero", "offline", "poisoned", "faulted", "timed_out", "excluded", "missing")


def tree_root(digests):
    """RFC 6962 section 2.1, by its definition."""
    if not digests:
        return hashlib.sha256(b"").digest()
    if len(digests) == 1:
        return hashlib.sha256(b"\0" + digests[0]).digest()
    split = 1 << (len(digests) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + tree_root(digests[:split]) + tree_root(digests[split:])).digest()


def segment_digests(data):
    return [hashlib.sha256(data[at:at + SEGMENT]).digest() for at in range(0, len(data), SEGMENT)]


def manifest(size, digests, **changes):
    """digests: of the segments, bytes each."""
    made = {
        "kioku_manifest": 1,
        "tool": {"name": "kioku", "version": "0.0.0"},
        "complete": True,
        "started": "2026-01-02T03:04:05Z",
        "ended": "2026-01-02T03:04:06Z",
        "host": None,
        "source": {"where": "test", "driver": "raw", "refusals": [], "iomem_changed": False},
        "image": {"name": "image", "format": "raw", "codec": None, "size": size, "md5": None,
                  "sha256": None},
        "converted_from": None,
        "memory": {"size": 0, "counts": {state: 0 for state in STATES}, "md5": None,
                   "sha256": None, "ranges": []},
        "segment_size": SEGMENT,
        "segments": [{"sha256": digest.hex(), "begin": 0, "end": 0.5} for digest in digests],
        "root": tree_root(digests).hex() if digests else None,
        "errors": [],
        "context": None,
        "swap": [],
        "footprint": {"peak_memory": 1, "cpu_seconds": 0.5},
    }
    made.update(changes)
    return made


def of_data(data, **changes):
    return manifest(len(data), segment_digests(data), **changes)


def journal(digests, image_format="raw"):
    """digests: segment to digest. The lines, with their ends."""
    head = manifest(0, [])
    for name in ("complete", "ended", "segments", "root", "errors", "context", "swap", "footprint"):
        del head[name]
    del head["source"]["iomem_changed"]
    head = {"kioku_journal": head.pop("kioku_manifest"), **head}
    head["image"] = {"name": "image", "format": image_format, "codec": None}
    head["memory"] = {"ranges": [{"start": "0x0", "end": "0xfff"}]}
    lines = [head] + [{"segment": i, "sha256": digest.hex(), "begin": 0, "end": 1}
                      for i, digest in digests.items()]
    return [json.dumps(line) + "\n" for line in lines]
