# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernel stacks of threads, and what confines processes, against the guest's own /proc, both ways."""

from tool import text_bytes


def is_told(known):
    """Whether a guest's folder says what is compared here; older ones do not."""
    return "stack" in known.before["tasks"][0]


def function(frame):
    """Of "FUNCTION+0x1a/0x2b [MODULE]"."""
    return frame.split("+")[0]


def has_rested(known, tid):
    """Whether a thread was not on a CPU from one truth to the next."""
    seen = known.tasks[tid]
    if len(seen) > 1:
        switches = [(task["status"].get("voluntary_ctxt_switches"),
                     task["status"].get("nonvoluntary_ctxt_switches")) for task in seen]
        return switches[0] == switches[1]
    return not seen[0]["kernel_thread"] and not known.visitors


def wrong_stack(known, row):
    tid, found = row["tid"], row["stack"] or []
    told = [task["stack"] for task in known.tasks[tid]]
    if has_rested(known, tid) and found not in told:
        yield f"thread {tid} {text_bytes(row, 'comm')}: {found}, not {told[0]}"
    if row["wchan"] != (function(found[0]) if found else None):
        yield f"thread {tid}: sleeps in {row['wchan']}, but its stack is {found}"
    if any(frame.startswith("? ") for frame in found):
        yield f"thread {tid}: a guess: {found}"


def stacks(tool, known, image):
    """Who has not run meanwhile must be where it was, and sleep in the innermost function."""
    rows = tool.rows("threads", image, "--columns", "all")
    rows = [row for row in rows if row["tid"] in known.tasks]
    rested = 0
    for row in rows:
        yield from wrong_stack(known, row)
        rested += has_rested(known, row["tid"])
    if rested < len(rows) // 2 and known.after:
        yield f"only {rested} threads of {len(rows)} have rested"
    deepest = max(len(row["stack"] or []) for row in rows)
    return f"{rested} stacks, the deepest of {deepest} functions"
