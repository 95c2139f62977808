#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""kioku layout on a small tree that answers make as a kernel's does. That layouts are those of real kernels, tests/guest
looks at (built_kernels.py).
usage: test_layout.py KIOKU"""

import gzip
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TOOL = None

# What olddefconfig and prepare0 do is in programs of the tree, so that a test can replace them.
MAKEFILE = """
olddefconfig prepare0:
	@sh ./$@.sh $(O) "$(CC)"

kioku_%.o:
	@$(CC) -DMODULE -g -gdwarf-4 -fno-eliminate-unused-debug-types -w -Iinclude -I$(CURDIR) -c -o $(M)/$@ $(M)/kioku_$*.c
"""
CONFIG = """#
# Automatically generated file; DO NOT EDIT.
# Linux/x86_64 6.1.77 Kernel Configuration
#
CONFIG_CC_VERSION_TEXT="gcc (Somebody's) 1.2.3"
CONFIG_LOCALVERSION="-made"
CONFIG_SMP=y
# CONFIG_NUMA is not set
"""
HEADERS = {
    "linux/mm.h": "#pragma once\nstruct mm_struct { long first; void *pgd; };\n",
    "linux/swap.h": "#pragma once\nstruct swap_info_struct { long flags; };\n",
    "linux/sched.h": "struct task_struct { long state; int pid; char comm[16]; struct mm_struct *mm; };\n",
}
PRINTK = "struct printk_ringbuffer { long one; long two; } buffer;\n"


def soon(condition):
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def is_running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Layout(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kioku-test-layout-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.tree, self.temporary = self.folder / "tree", self.folder / "temporary"
        self.temporary.mkdir()
        self.write("tree/Makefile", MAKEFILE)
        self.write("tree/Kconfig", "")
        self.write("tree/olddefconfig.sh", "true\n")
        self.write("tree/prepare0.sh", "true\n")
        self.write("tree/kernel/printk/printk.c", PRINTK)
        for name, text in HEADERS.items():
            self.write(f"tree/include/{name}", text)
        self.config = self.write("config", CONFIG)
        self.output = self.folder / "made.types"

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def command(self, *options, source=None, config=None):
        return [TOOL, "layout", "--source", source or self.tree, "--config", config or self.config, "-o",
                self.output, *options]

    def run_tool(self, *options, status=0, **where):
        done = subprocess.run(self.command(*options, **where), capture_output=True, text=True, timeout=100,
                              env={**os.environ, "TMPDIR": str(self.temporary), "MAKEFLAGS": "-n"})
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(list(self.temporary.iterdir()), [])
        return done.stderr

    def refused(self, reason, *options, **where):
        said = self.run_tool(*options, status=1, **where)
        self.assertIn(reason, said)
        self.assertFalse(self.output.exists())

    def listing(self):
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in self.tree.rglob("*")}

    def test_made(self):
        """The tree is only read, MAKEFLAGS of the caller count for nothing, and nothing is left behind."""
        before = self.listing()
        said = self.run_tool()
        self.assertEqual(self.listing(), before)
        self.assertTrue(self.output.read_bytes().startswith(b"kiokuP"))
        self.assertIn("CONFIG_CC_VERSION_TEXT", self.run_tool_with_other_compiler())
        self.assertIn("types that other kernels have are not in this source", said)
        self.assertNotIn("printk_ringbuffer", said)

    def run_tool_with_other_compiler(self):
        """As make does it, the compiler that is there takes the place of the one that was."""
        self.write("tree/olddefconfig.sh", "sed -i 's/Somebody/Nobody/' $1/.config\n")
        return self.run_tool()

    def test_packed(self):
        packed = self.folder / "config.gz"
        packed.write_bytes(gzip.compress(CONFIG.encode()))
        self.run_tool(config=packed)

    def test_other_configuration(self):
        """What the source makes something else of is refused, and by force it is said."""
        self.write("tree/olddefconfig.sh", "sed -i 's/CONFIG_SMP=y/# CONFIG_SMP is not set/' $1/.config\n")
        self.refused("CONFIG_SMP")
        self.run_tool("--force")
        self.assertIn(b"CONFIG_SMP", self.output.read_bytes()[:1472])

    def test_unknown_options(self):
        """What the configuration does not say is as the source has it, and named."""
        self.write("tree/olddefconfig.sh", "echo CONFIG_AUDIT=y >> $1/.config\n")
        self.assertIn("CONFIG_AUDIT", self.run_tool())

    def test_no_configuration(self):
        self.refused("is no configuration", config=self.write("other", "Dear diary,\n"))
        self.refused("is no configuration", config=self.write("empty", ""))
        self.refused("several configurations", config=self.write("two", CONFIG + CONFIG))
        self.refused("laid out at random", config=self.write("random", CONFIG + "CONFIG_RANDSTRUCT=y\n"))
        self.refused("No such file", config=self.folder / "missing")

    def test_no_source(self):
        self.refused("is no source of a kernel", source=self.folder)
        self.refused("can work with no such path", source=self.folder_named("a b"))
        self.refused("can work with no such path", source=self.folder_named("a;b"))
        self.write("tree/.config", CONFIG)
        self.refused("was configured in")

    def folder_named(self, name):
        other = self.folder / name
        shutil.copytree(self.tree, other)
        return other

    def test_failing_make(self):
        self.write("tree/prepare0.sh", "echo first; echo 'x.h:1: error: no such thing' >&2; exit 2\n")
        self.refused("no such thing")

    def test_what_cannot_be_compiled(self):
        """It alone is missing, and is named."""
        self.write("tree/kernel/printk/printk.c", "struct {\n")
        self.write("tree/include/linux/cred.h", "struct cred { nonsense uid; };\n")
        self.write("tree/include/linux/pid.h", "struct pid { int level; };\n")
        said = self.run_tool(status=3)
        self.assertIn("kernel/printk/printk.c cannot be compiled", said)
        self.assertIn("linux/cred.h cannot be compiled", said)
        self.assertNotIn("linux/pid.h", said)

    def test_headers_of_the_kernel_alone(self):
        """What no module can include, and what uses more than it includes."""
        self.write("tree/mm/swap.h", "#ifdef MODULE\n#error not for modules\n#endif\n"
                                     "struct zpdesc { struct swap_info_struct area; };\n")
        said = self.run_tool()
        self.assertNotIn("cannot be compiled", said)
        self.assertNotIn("zpdesc", said)

    def test_no_tasks(self):
        self.write("tree/include/linux/sched.h", "struct nothing { int here; };\n")
        self.refused("no struct task_struct")

    def test_earlier_file(self):
        """It is replaced as a whole, or stays."""
        self.output.write_text("earlier")
        self.write("tree/prepare0.sh", "exit 1\n")
        self.run_tool(status=1)
        self.assertEqual(self.output.read_text(), "earlier")
        self.write("tree/prepare0.sh", "true\n")
        self.run_tool()
        self.assertTrue(self.output.read_bytes().startswith(b"kiokuP"))

    def test_interrupted(self):
        """Nothing is left: no file, no folder, no program."""
        started, pid = self.folder / "started", self.folder / "pid"
        self.write("tree/prepare0.sh", f"echo $$ > {pid}; touch {started}; exec sleep 1000\n")
        with subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "TMPDIR": str(self.temporary)}) as process:
            self.assertTrue(soon(started.exists))
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
            self.assertEqual(process.wait(60), 1, said)
        self.assertIn("stopped by SIGINT", said)
        self.assertEqual(list(self.temporary.iterdir()), [])
        self.assertFalse(self.output.exists())
        # Whoever takes in orphans sees that it has ended, and not we.
        self.assertTrue(soon(lambda: not is_running(int(pid.read_text()))))

    def test_usage(self):
        done = subprocess.run([TOOL, "layout", "--source", self.tree], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--config FILE is missing", done.stderr)


if __name__ == "__main__":
    TOOL = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
