# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is in a core: as gdb and other debuggers read it, and as gdb's own of the same target is."""

import array
import json
import os
import re
import shutil
import signal
import struct
import subprocess

import case
import core_file
from case import ToolCase
from core_file import PAGE, Missing
from targets import LIMIT, children, status, threads, wait_until
from test_unharmed import all_stopped

GENERAL = "rax rbx rdx rsi rdi rbp r8 r9 r10 r11 r12 r13 r14 r15".split()  # of harm_registers.c
RED_ZONE = 128  # below a stack pointer, that the ABI lets a function use
DEAD_STACK = 64 << 10
SYS_RESTART = 219
RSEQ_SIZE = 32


def run(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          timeout=LIMIT, check=False)


class Core(ToolCase):
    def gdb(self, program, core, *commands):
        if shutil.which("gdb") is None:
            self.skipTest("gdb is not installed")
        words = [word for command in commands for word in ("-ex", command)]
        done = run("gdb", "-nx", "-batch", *words, self.program(program), core)
        self.assertNotRegex(done.stderr, "(?i)warning: (?!.*(debuginfod|Can't open file))")
        return done.stdout

    def with_each_method(self, check, *words):
        """check(target, what was said, the core) for each; targets are looked at afterwards."""
        for method in self.methods:
            with self.subTest(method=method):
                target = self.start(*words)
                done = self.snapshot(target, "--method", method, "--format", "json")
                check(target, done, self.open_core(done.core))
                self.check_unharmed(target)

    def test_notes(self):
        def check(target, done, core):
            there = core.threads()
            self.assertEqual(sorted(thread.tid for thread in there), sorted(threads(target.pid)))
            self.assertEqual(there[0].tid, target.pid)
            for thread in there:
                self.assertIn(core_file.NT_X86_XSTATE, thread.notes)
                self.assertEqual(struct.unpack_from("<i", thread.notes[core_file.NT_SIGINFO])[0],
                                 signal.SIGTRAP)
            for kind in (core_file.NT_PRPSINFO, core_file.NT_AUXV, core_file.NT_FILE):
                self.assertIsNotNone(core.note(kind), hex(kind))
            with open(f"/proc/{target.pid}/auxv", "rb") as file:
                self.assertEqual(core.note(core_file.NT_AUXV), file.read())
        self.with_each_method(check, "harm", "registers", "blocking")

    def test_registers(self):
        """Threads that hold known values in all of them; but for moments in between."""
        def check(target, done, core):
            found = 0
            for thread in core.threads():
                first = thread.registers["rax"] & 0xFF
                index = first // 0x10 - 1
                wanted = [0x0101010101010101 * (first + i) for i in range(len(GENERAL))]
                if first % 0x10 == 0 and 0 <= index < 4 and thread.registers["rax"] == wanted[0]:
                    found += 1
                    self.assertEqual([thread.registers[name] for name in GENERAL], wanted)
                    self.assertEqual(thread.registers["gs_base"], 0x123456789000 + index)
            self.assertGreaterEqual(found, 2)
        self.with_each_method(check, "harm", "registers")

    def test_vectors(self):
        def check(target, done, core):
            text = self.gdb("harm", done.core, "info threads", "print $_siginfo.si_signo",
                            "thread apply all -q print/x $rax", "thread apply all -q print/x $ymm3.v4_int64")
            holding = re.findall(r"\{0x([1-4])000000000300, 0x(?:\1)000000000301, "
                                 r"0x(?:\1)000000000302, 0x(?:\1)000000000303\}", text)
            self.assertGreaterEqual(len(set(holding)), 2, text)
            self.assertIn(f"= {signal.SIGTRAP:d}\n", text)
            self.assertEqual(len(re.findall(r"^[* ] +\d+ +Thread", text, re.MULTILINE)),
                             len(core.threads()))
        self.with_each_method(check, "harm", "registers")

    def test_backtraces(self):
        def check(target, done, core):
            text = self.gdb("harm", done.core, "thread apply all -q backtrace",
                            "print harm_futex.name", "print part_count")
            for frame in ("main (", "futex_run", "run_call", "call_epoll_wait", "registers_"):
                self.assertIn(frame, text)
            self.assertIn('"futex"', text)
            self.assertIn("= 3", text)
            frames = len(re.findall(r"^#\d+ ", text, re.MULTILINE))
            theirs = self.gdb("harm", self.gcore(target.pid), "thread apply all -q backtrace")
            # Threads are elsewhere by now, by a frame or two.
            self.assertGreater(frames, 0.8 * len(re.findall(r"^#\d+ ", theirs, re.MULTILINE)))
            self.assertEqual(len(core.threads()), len(threads(target.pid)))
            target.end = lambda: ({}, [])  # gcore has interrupted calls: not to be held against us
        self.with_each_method(check, "harm", "futex", "blocking", "registers")

    def test_globals_and_heap(self):
        def check(target, done, core):
            text = self.gdb("regions", done.core, "print region_count", "print heap_text",
                            "info sharedlibrary")
            self.assertIn("kept on the heap", text)
            self.assertRegex(text, rf"= {len(target.regions)}\n")
            self.assertIn("libc.so.6", text)
        self.with_each_method(check, "regions")

    def test_regions(self):
        """Memory of every kind is all there, also what a clone does not get."""
        def check(target, done, core):
            self.assertEqual(done.status, 0, done.text)
            self.assertEqual(json.loads(done.out)["inconsistent"], 0)
            for name, address, size in target.regions:
                wanted = array.array("Q", range(address, address + size, 8)).tobytes()
                self.assertTrue(core.read(address, size) == wanted, f"{name} is not the same")
                if name == "after-guard":
                    self.assertIsNone(core.segment(address - PAGE), "a guard page is stored")
            # 8 GB were reserved, and a few pages of them written.
            resident = int(status(target.pid, "VmRSS").split()[0]) << 10
            self.assertLess(os.stat(done.core).st_blocks * 512, 1.05 * resident + (1 << 20))
        self.with_each_method(check, "regions")

    def test_page_tables_do_not_grow(self):
        """Tables for the 8 GB that are reserved would be 16 MB; a few are made by the target itself, for
        what it is first to touch after it said that it is ready."""
        target = self.start("regions")
        before = int(status(target.pid, "VmPTE").split()[0])
        for method in self.methods:
            self.snapshot(target, "--method", method)
        self.assertLess(int(status(target.pid, "VmPTE").split()[0]) - before, 64)
        self.check_unharmed(target)

    def test_equal_to_gcore(self):
        """Memory of a target that is stopped, byte by byte. What lies below a stack's pointer and its
        red zone is nobody's: an injection may use it."""
        for words in (("regions", "--plain", 1), ("harm", "futex"), ("counters", "--pages", 16)):
            for method in (*self.methods, "stop"):
                with self.subTest(method=method, words=words):
                    target = self.start(*words)
                    os.kill(target.pid, signal.SIGSTOP)
                    wait_until(lambda pid=target.pid: all_stopped(pid), "stopped")
                    theirs = self.open_core(self.gcore(target.pid))
                    done = self.snapshot(target, "--method", method)
                    self.compare(self.open_core(done.core), theirs)
                    target.kill()

    def compare(self, ours, theirs):
        pointers = [thread.registers["rsp"] - RED_ZONE for thread in theirs.threads()]
        compared = 0
        for address, page in theirs.pages():
            if ours.segment(address) is None:  # [vvar] and [vsyscall], which are the kernel's own
                continue
            compared += 1
            mine = ours.read(address, len(page))
            if mine != page and not any(pointer - DEAD_STACK <= address < pointer
                                        for pointer in pointers):
                changed = [place for place in range(len(page)) if mine[place] != page[place]]
                # In struct rseq the kernel notes on which CPU a thread was last.
                if changed[-1] - changed[0] >= RSEQ_SIZE:
                    self.fail(f"{address + changed[0]:#x}: {len(changed)} bytes are others, "
                              f"stored: {ours.stores(address)}")
        self.assertGreater(compared, 50)
        registers = {thread.tid: restarted(thread.registers) for thread in theirs.threads()}
        self.assertEqual({thread.tid: restarted(thread.registers) for thread in ours.threads()},
                         registers)

    def test_other_debuggers(self):
        target = self.start("harm", "futex")
        core = self.snapshot(target).core
        tried = 0
        if shutil.which("eu-stack"):
            tried += 1
            done = run("eu-stack", "--core", core, "--executable", self.program("harm"))
            self.assertIn("futex_run", done.stdout)
            self.assertEqual(len(re.findall("^TID", done.stdout, re.MULTILINE)),
                             len(threads(target.pid)))
        if shutil.which("lldb"):
            tried += 1
            done = run("lldb", "--batch", "-o", "thread backtrace all", "-c", core,
                       self.program("harm"))
            self.assertIn("futex_run", done.stdout)
        self.check_unharmed(target)
        if not tried:
            self.skipTest("neither eu-stack nor lldb is installed")


def restarted(registers):
    """As they are when the call that was interrupted is about to be made again: the kernel does that
    when the process goes on, and method track has done so for a thread that it made a call in."""
    result = (registers["rax"] ^ 1 << 63) - (1 << 63)
    if not -516 <= result <= -512 or registers["orig_rax"] >> 63:
        return {**registers, "orig_rax": 0}
    call = SYS_RESTART if result == -516 else registers["orig_rax"]
    return {**registers, "rax": call, "rip": registers["rip"] - 2, "orig_rax": 0}


class Files(ToolCase):
    """What is written beside the core, and said."""

    def test_sidecars(self):
        target = self.start("harm", "futex")
        done = self.snapshot(target)
        for name in ("md5", "sha256"):
            checked = subprocess.run([f"{name}sum", "--quiet", "-c", f"{done.core.name}.{name}"],
                                     cwd=self.folder, check=False)
            self.assertEqual(checked.returncode, 0)
        verified = run(case.settings.kioku, "verify", done.core)
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
        self.check_unharmed(target)

    def test_manifest(self):
        for method in self.methods:
            target = self.start("harm", "futex")
            done = self.snapshot(target, "--method", method, "--format", "json")
            said = json.loads(done.out)
            with open(f"{done.core}.manifest.json", encoding="utf-8") as file:
                manifest = json.load(file)
            about = manifest["process"]
            self.assertTrue(manifest["complete"])
            self.assertEqual((about["pid"], about["name"], about["method"]),
                             (target.pid, "harm", method))
            self.assertEqual(about["command_line"], [str(self.program("harm")), "futex"])
            self.assertEqual(about["stops"][0]["nanoseconds"], said["stops"][0]["nanoseconds"])
            self.assertEqual({thread["tid"] for thread in about["threads"]},
                             set(threads(target.pid)))
            self.assertLessEqual({"open_files", "environment", "executable"}, set(about))
            self.check_unharmed(target)

    def test_json(self):
        for method in self.methods:
            target = self.start("harm", "futex")
            done = self.snapshot(target, "--method", method, "--format", "json")
            (line,) = done.out.splitlines()
            said = json.loads(line)
            self.assertEqual((said["pid"], said["method"]), (target.pid, method))
            self.assertTrue(said["stops"])
            for stop in said["stops"]:
                self.assertGreater(stop["nanoseconds"], 0)
                self.assertTrue(stop["what"])
            self.check_unharmed(target)

    def test_several(self):
        targets = [self.start("harm", "futex") for _ in range(3)]
        folder = self.new_path("several")
        folder.mkdir()
        done = self.run_tool(*(target.pid for target in targets), "-o", f"{folder}/",
                             "--format", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        said = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual({one["pid"] for one in said}, {target.pid for target in targets})
        for one in said:
            self.assertRegex(one["path"], rf"/harm-{one['pid']}_[-0-9]+\.core$")
            self.open_core(self.folder / one["path"])
        for target in targets:
            self.check_unharmed(target)

    def test_tree(self):
        target = self.start("odd", "traced")  # a parent, and a child that must be refused
        parent = target.process.pid
        wait_until(lambda: children(parent), "a child")
        folder = self.new_path("tree")
        folder.mkdir()
        done = self.run_tool(parent, "--tree", "-o", f"{folder}/")
        self.assertIn(done.returncode, (1, 3), done.stderr)
        self.assertIn(str(target.pid), done.stderr)
        self.assertEqual(target.end()[1], [])

    def test_areas(self):
        target = self.start("regions")
        name, address, size = target.regions[0]
        self.assertEqual(name, "private")
        done = self.snapshot(target, "--area", f"{address:#x}-{address + size - 1:#x}")
        self.assertEqual([(segment.address, segment.memory_size) for segment
                          in self.open_core(done.core).segments], [(address, size)])
        stack = self.snapshot(target, "--area", "stack")
        core = self.open_core(stack.core)
        pointer = core.threads()[0].registers["rsp"]
        self.assertTrue(core.read(pointer, 8))
        with self.assertRaises(Missing):
            core.read(address, PAGE)
        self.check_unharmed(target)

    def test_exclude(self):
        target = self.start("regions")
        name, address, size = target.regions[0]
        whole = self.snapshot(target).core
        core = self.snapshot(target, "--exclude", "file-backed").core
        self.assertTrue(self.open_core(core).stores(address), name)
        self.assertLess(core.stat().st_size, whole.stat().st_size - size)
        self.check_unharmed(target)

    def test_by_name(self):
        target = self.start("regions")
        path = self.new_path()
        done = self.run_tool("--process", "regions", "-o", path, "--format", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["pid"], target.pid)
        self.check_unharmed(target)

    def test_dry_run(self):
        """Says what each method would cost, and does nothing."""
        target = self.start("harm", "futex")
        done = self.run_tool(target.pid, "--dry-run", "--format", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        said = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual({one["method"] for one in said}, {*self.methods, "stop"})
        for one in said:
            self.assertTrue(one["possible"], one)
            self.assertGreater(one["stop_nanoseconds"], 0)
        self.assertEqual(os.listdir(self.folder), [])
        self.check_unharmed(target)
