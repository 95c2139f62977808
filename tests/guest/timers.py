# SPDX-License-Identifier: LGPL-2.1-or-later
"""Timers and interrupts, against the guest's own /proc/timer_list, /proc/PID/timers, /sys/kernel/irq, /proc/irq and
/proc/softirqs, both ways. What comes and goes all the time is compared as far as it can be."""

import collections
import re

LONG = 10**11  # nanoseconds: what is as far away stays until the guest has been asked again
# Clocks by their numbers (include/uapi/linux/time.h), and bases of /proc/timer_list by theirs.
CLOCKS = {0: "realtime", 1: "monotonic", 7: "boottime", 11: "tai", -6: "process-cputime", -2: "thread-cputime"}
BASES = [(clock, base) for base in ("hard", "soft") for clock in ("monotonic", "realtime", "boottime", "tai")]
# Of a CPU that goes to sleep it is set to when another timer wakes it up, which may be minutes.
TICK = ("tick_sched_timer", "tick_nohz_handler")
# What lab/guest/timers.c sets, in seconds: intervals by the timer's number, setitimer()'s, times of CPU.
INTERVALS = {0: 31}
SPENT = {"process-cputime": 6000, "thread-cputime": 7000, "virtual": 5000, "profile": 5000}


def is_told(known):
    """Whether a guest's folder says what is compared here; older ones do not."""
    return "timers" in known.before["roles"]


def archived(known, path):
    """A file as the guest told it, before and, if it was asked again, after."""
    names = ["truth", *(["truth-after"] if known.after else [])]
    return [known.archived(path, name).decode() for name in names]


def functions_of(known):
    """{address: {(name, module or None)}}"""
    found = collections.defaultdict(set)
    for line in (known.folder / "truth-kallsyms.txt").read_text().splitlines():
        address, _, name, *module = line.split()
        found[int(address, 16)].add((name, module[0].strip("[]") if module else None))
    return found


def wrong_functions(known, rows):
    functions = functions_of(known)
    for row in rows:
        if row["handler"] and (row["function"], row["module"]) not in functions[int(row["handler"], 16)]:
            yield f"{row['handler']} is {functions[int(row['handler'], 16)]}, not {row['function']} [{row['module']}]"


# --- timers

def told_timers(text):
    """({(cpu, clock, base, function, expires)}, the clock "now", {jiffies})"""
    found, cpu, base, function = set(), None, None, None
    for line in text.splitlines():
        if match := re.match(r"cpu: (\d+)", line):
            cpu = int(match[1])
        elif match := re.match(r" clock (\d+):", line):
            base = BASES[int(match[1])]
        elif match := re.match(r" #\d+: <\w+>, (\S+)(?: \[\w+\])?, S:01", line):
            function = match[1]
        elif match := re.match(r" # expires at \d+-(\d+) nsecs", line):
            found.add((cpu, *base, function, int(match[1])))
    return found, int(re.search(r"now at (\d+)", text)[1]), \
        {int(jiffies) for jiffies in re.findall(r"^jiffies: (\d+)", text, re.M)}


def shown_timer(row):
    return row["cpu"], row["clock"], row["base"], row["function"], row["expires"]


def timers(tool, known, image):
    rows = tool.rows("timers", image, "--columns", "all")
    told = [told_timers(text) for text in archived(known, "proc/timer_list")]
    clocks = {shown_timer(row): row for row in rows if row["kind"] == "hrtimer"}
    anything = set().union(*(timers for timers, _, _ in told))
    steady = {timer for timer in set.intersection(*(timers for timers, _, _ in told))
              if timer[3] not in TICK}
    if not known.after:  # what is near may have been called before the panic
        steady = {timer for timer in steady if timer in clocks or is_far(timer, told[0][1])}
    yield from (f"{timer} is missing" for timer in sorted(steady - clocks.keys()))
    yield from (f"{timer} is not told" for timer, row in clocks.items()
                if timer not in anything and row["left"] > LONG and row["function"] not in TICK)
    if len(clocks) != sum(row["kind"] == "hrtimer" for row in rows):
        yield "a timer is there twice"
    yield from wrong_functions(known, rows)
    yield from wrong_wheels([row for row in rows if row["kind"] == "wheel"], told)
    yield from wrong_owners(known, rows)
    return f"{len(rows)} timers, {len(steady)} of clocks compared"


def is_far(timer, now):
    _, clock, _, _, expires = timer
    return clock not in ("monotonic", "boottime") or expires > now + LONG


def wrong_wheels(rows, told):
    """No file lists them. But all must mean the same moment, and the one at which the guest was stopped."""
    if not any(row["function"] == "delayed_work_timer_fn" and row["work"] for row in rows):
        yield "there is no delayed work"
    first, second = sorted(rows, key=lambda row: row["expires"])[::len(rows) - 1]
    tick = (second["left"] - first["left"]) // (second["expires"] - first["expires"])
    if tick not in (1000000, 4000000, 10000000):
        yield f"a tick is {tick} ns"
    now = {row["expires"] - row["left"] // tick for row in rows}
    earliest, latest = min(told[0][2]), max(told[-1][2]) if len(told) > 1 else min(told[0][2]) + 10**5
    if len(now) != 1 or not earliest - 10 <= min(now) <= latest + 10:
        yield f"jiffies are {now}, not from {earliest} to {latest}"
    yield from (f"{row['timer']}: its flags are corrupt" for row in rows
                if row.get("absent", {}).get("flags") == "corrupt")


def told_created(text):
    """{id: (signal, clock)} of /proc/PID/timers."""
    numbers = re.findall(r"ID: (\d+)\nsignal: (\d+)/\w+\nnotify: (\w+)/\S+\nClockID: (-?\d+)", text)
    return {int(number): (None if kind == "none" else int(signal), CLOCKS[int(clock)])
            for number, signal, kind, clock in numbers}


def wrong_owners(known, rows):
    """Timers of processes, and those until which threads sleep."""
    pid = known.before["roles"]["timers"]
    created = {row["id"]: row for row in rows if row["id"] is not None}
    told = told_created(known.archived(f"proc/{pid}/timers").decode())
    shown = {number: (row["signal"], row["clock"]) for number, row in created.items()}
    if shown != told:
        yield f"process {pid} has timers {shown}, not {told}"
    for number, row in created.items():
        if (row["pid"], row["comm"]) != (pid, "timers"):
            yield f"timer {number} is that of {row['pid']} {row['comm']}"
        if row["interval"] != (INTERVALS[number] * 10**9 if number in INTERVALS else None):
            yield f"timer {number}: every {row['interval']} ns"
    spent = {row["clock"]: row["expires"] for row in rows if row["pid"] == pid and row["cpu"] is None}
    spent.pop("monotonic")
    for clock, seconds in SPENT.items():
        # From when it was set; each tick of a CPU that it had been running by then counts.
        if clock not in spent or not 0 <= spent.pop(clock) - seconds * 10**9 < 10**10:
            yield f"{clock}: not {seconds} s: {[row for row in rows if row['clock'] == clock]}"
    if spent:
        yield f"timers that it has not: {spent}"
    real = [row for row in rows if row["function"] == "it_real_fn"]
    if [(row["pid"], row["interval"]) for row in real] != [(pid, 11 * 10**9)]:
        yield f"setitimer: {real}"
    descriptors = [(row["pid"], row["comm"]) for row in rows if row["function"] == "timerfd_tmrproc"]
    if descriptors != [(pid, "timers")] * 2 or len({row["fd"] for row in rows if row["fd"] is not None}) != 2:
        yield f"descriptors of {descriptors}"
    asleep = {row["comm"] for row in rows if row["pid"] == known.before["roles"]["sleepers"]}
    if asleep != {"in-nanosleep", "in-signal"}:
        yield f"until a time sleep {asleep}"


# --- interrupts

FILES = {"chip_name": "chip", "hwirq": "hwirq", "type": "type", "name": "flow"}


def told_interrupts(known, name):
    """{number: {file: text}} of /sys/kernel/irq and /proc/irq."""
    found = collections.defaultdict(dict)
    for path, data in known.archive(name, r"(?:sys/kernel|proc)/irq/\d+/").items():
        *_, number, file = path.split("/")
        found[int(number)][file] = data.decode().rstrip("\n")
    return found


def between(counts, before, after):
    """Nobody was asked again after a panic."""
    return len(counts) == len(before) and all(
        low <= count and (after is None or count <= high)
        for count, low, high in zip(counts, before, after or before))


def numbers(texts):
    return [int(text) for text in texts]


def interrupts(tool, known, image):
    rows = tool.rows("irq", image, "--columns", "all")
    lines = collections.defaultdict(list)
    for row in rows:
        if row["kind"] == "irq":
            lines[row["number"]].append(row)
    before = told_interrupts(known, "truth")
    after = told_interrupts(known, "truth-after") if known.after else None
    if lines.keys() != before.keys():
        yield f"interrupts {sorted(lines)}, not {sorted(before)}"
    for number in sorted(lines.keys() & before.keys()):
        yield from (f"interrupt {number}: {problem}" for problem in wrong_interrupt(
            lines[number], before[number], after and after[number]))
    yield from wrong_functions(known, rows)
    yield from wrong_softirqs([row for row in rows if row["kind"] == "softirq"],
                              archived(known, "proc/softirqs"))
    if not any(row["kind"] == "nmi" and row["function"] == "nmi_cpu_backtrace_handler" for row in rows):
        yield "nobody handles NMIs"
    return f"{len(lines)} interrupts"


def wrong_interrupt(rows, before, after):
    row = rows[0]
    for file, column in FILES.items():
        value = None if row[column] is None else str(row[column])
        if value != (before.get(file) or None):
            yield f"{column} is {value}, not {before.get(file)}"
    names = ",".join(row["name"] or "" for row in rows)
    if names != before.get("actions", ""):
        yield f"{names} handle it, not {before.get('actions')}"
    counts = [numbers(facts["per_cpu_count"].split(",")) if facts else None for facts in (before, after)]
    if not between(numbers(row["counts"]), *counts) or row["count"] != sum(numbers(row["counts"])):
        yield f"it came {row['counts']} times, {row['count']} altogether, not {counts}"
    for file, column in (("smp_affinity_list", "affinity"), ("effective_affinity_list", "effective_affinity")):
        told = {facts.get(file) or None for facts in (before, after) if facts}
        if row[column] not in told and file in before:
            yield f"{column} is {row[column]}, not {told}"


def wrong_softirqs(rows, told):
    tables = [{name: numbers(counts) for name, counts in re.findall(r"^ *(\w+):(.*)$", text, re.M)
               for counts in [counts.split()]} for text in told]
    if [row["name"] for row in rows] != list(tables[0]):
        yield f"softirqs are {[row['name'] for row in rows]}, not {list(tables[0])}"
        return
    for row in rows:
        counts = [table[row["name"]] for table in tables]
        if not between(numbers(row["counts"]), counts[0], counts[1] if len(counts) > 1 else None):
            yield f"{row['name']} came {row['counts']} times, not {counts}"
