# SPDX-License-Identifier: LGPL-2.1-or-later
"""A lab guest: a real kernel under QEMU whose memory is a file, and which tells its own truth."""

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import initramfs
import kernels
import truth
from qmp import QMP, QMPError

GIB = 1 << 30
FIRMWARE = Path("/usr/share/OVMF")
TRUTH_DISK = 256 << 20  # sparse; an archive takes 10 to 20 MiB


class GuestError(Exception):
    """The guest did not do what it should; its console.log and QEMU's qemu.log say more."""


def ram_map(memory, machine="q35"):
    """Where physical memory (MiB) lies in the RAM file: QEMU's hw/i386/pc_q35.c and pc_piix.c."""
    size = memory << 20
    if machine.startswith("q35"):
        low = 2 * GIB if size >= 0xB0000000 else 0xB0000000
    else:
        low = 3 * GIB if size >= 0xE0000000 else 0xE0000000
    pieces = [{"physical": 0, "size": min(size, low), "offset": 0}]
    if size > low:
        pieces.append({"physical": 4 * GIB, "size": size - low, "offset": low})
    return pieces


class Guest:
    """One guest at a time, in a folder: ram, truth.disk, console.log, qemu.log.

        with Guest(folder) as guest:
            guest.boot(kernels.get("bookworm"), memory=512)
            before = guest.collect()
            guest.freeze()
            shutil.copy(guest.ram, ...)
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.ram = self.folder / "ram"
        self.console = self.folder / "console.log"
        self._qemu = self._qmp = self._agent = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- life

    def boot(self, kernel, memory=1024, cpus=2, cpu="max", machine="q35", append="", firmware=None,
             vmcoreinfo=True, timeout=180, modules=(), files=None, arguments=()):
        """Start, and wait until the guest's activity is settled.

        memory in MiB; firmware: None or "ovmf"; arguments: further ones for QEMU; modules and
        files: see initramfs.build().
        """
        command = self._command(kernel, memory, cpus, cpu, machine, append, firmware, vmcoreinfo,
                                initramfs.build(kernel, modules, files))
        command += arguments
        for attempt in (1, 2):
            try:
                self._start(command, memory, firmware)
                return self._wait_ready(timeout)
            except (GuestError, QMPError) as error:
                # Multi-threaded TCG trips over a rare race while a kernel starts; once is chance.
                self.close()
                if attempt == 2:
                    raise GuestError(f"{error}; logs are in {self.folder}") from error
                kernels.say(f"{error}; trying once more")

    def reset(self, timeout=180):
        """Press the reset button and wait again. Memory keeps what the first boot left there."""
        self._received = b""
        self._seen = self.console.stat().st_size
        self._qmp.command("system_reset")
        self._wait_ready(timeout)

    def close(self):
        if self._qemu:
            self._qemu.kill()
            self._qemu.wait()
            self._agent.close()
        self._qemu = self._qmp = self._agent = None

    # --- the guest's own word

    def collect(self, timeout=180):
        """The truth as the guest sees it now, as truth.parse() returns it; also in truth.tar."""
        size = int(self._ask("collect", r"collected (\d+)", timeout)[1])
        archive = self.folder / "truth.tar"
        with open(self.folder / "truth.disk", "rb") as disk, open(archive, "wb") as out:
            out.write(disk.read(size))
        time.sleep(0.2)  # the agent falls asleep again
        return truth.parse(archive)

    def ping(self, timeout=60):
        self._ask("ping", "pong", timeout)

    def run(self, command, timeout=180):
        """Run a shell command in the guest; its output goes to the console. The exit status.

        A file that it leaves in /lab is in the next truth.tar.
        """
        return int(self._ask(f"run {command}", r"ran (\d+)", timeout)[1])

    def panic(self, timeout=60):
        """Let the guest panic, and wait until its kernel has said so on the console."""
        self._seen = self.console.stat().st_size
        self._ask("panic", "panicking", timeout)
        deadline = time.monotonic() + timeout
        while b"end Kernel panic" not in self._console_text():
            if time.monotonic() > deadline:
                raise GuestError(f"no panic within {timeout} s")
            time.sleep(0.2)

    # --- the machine

    def freeze(self):
        self._qmp.command("stop")

    def resume(self):
        self._qmp.command("cont")

    def dump(self, path, format="elf", paging=False):
        """QEMU's own dump: format elf or kdump-zlib; with paging, elf only, by virtual address."""
        self._qmp.command("dump-guest-memory", paging=paging, format=format,
                          protocol=f"file:{Path(path).resolve()}")
        os.chmod(path, 0o644)  # QEMU makes it readable for its own user only

    def pmemsave(self, path, start, size):
        self._qmp.command("pmemsave", val=start, size=size, filename=str(Path(path).resolve()))

    def registers(self):
        """A dictionary for each CPU: cr0, cr3, cr4, rip, rsp, efer ... as integers; no vectors."""
        text = self._qmp.command("human-monitor-command", **{"command-line": "info registers -a"})
        register = re.compile(r"\b((?!FPR|[XYZ]MM)[A-Z][A-Z0-9]+) *=([0-9a-f]{8,16})\b")
        return [{name.lower(): int(value, 16) for name, value in register.findall(cpu)}
                for cpu in re.split(r"CPU#\d+", text)[1:]]

    def copy_ram(self, path):
        """A sparse copy of memory; freeze first."""
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", self.ram, path], check=True)

    # --- inside

    def _command(self, kernel, memory, cpus, cpu, machine, append, firmware, vmcoreinfo, initrd):
        command = [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-nic", "none", "-accel", "tcg,thread=multi",
            "-smp", str(cpus), "-cpu", cpu, "-m", f"{memory}M",
            "-machine", f"{machine},memory-backend=ram",
            "-object", f"memory-backend-file,id=ram,size={memory}M,mem-path={self.ram},share=on",
            "-kernel", str(kernel.vmlinuz), "-initrd", str(initrd),
            "-append", f"console=ttyS0 panic=0 {append}".strip(),
            "-serial", f"file:{self.console}", "-serial", "chardev:agent",
            "-drive", f"if=none,id=truth,format=raw,file={self.folder / 'truth.disk'}",
            "-device", "virtio-blk-pci,drive=truth"]
        if vmcoreinfo:
            command += ["-device", "vmcoreinfo"]
        if firmware == "ovmf":
            command += ["-drive", f"if=pflash,format=raw,readonly=on,file={FIRMWARE}/OVMF_CODE.fd",
                        "-drive", f"if=pflash,format=raw,file={self.folder}/OVMF_VARS.fd"]
        elif firmware:
            raise GuestError(f"no firmware is called {firmware!r}")
        return command

    def _start(self, command, memory, firmware):
        self.folder.mkdir(parents=True, exist_ok=True)
        for path, size in ((self.ram, memory << 20), (self.folder / "truth.disk", TRUTH_DISK)):
            path.unlink(missing_ok=True)
            path.touch()
            os.truncate(path, size)
        if firmware:
            shutil.copy(FIRMWARE / "OVMF_VARS.fd", self.folder)
        self._received, self._seen = b"", 0
        # QEMU inherits its ends of two socket pairs: no paths, and nobody else can connect.
        qmp, qmp_end = socket.socketpair()
        self._agent, agent_end = socket.socketpair()
        command = [*command,
                   "-chardev", f"socket,id=agent,fd={agent_end.fileno()}",
                   "-chardev", f"socket,id=qmp,fd={qmp_end.fileno()}",
                   "-mon", "chardev=qmp,mode=control"]
        with open(self.folder / "qemu.log", "wb") as log:
            self._qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          pass_fds=(agent_end.fileno(), qmp_end.fileno()))
        qmp_end.close()
        agent_end.close()
        self._qmp = QMP(qmp)

    def _wait_ready(self, timeout):
        self._expect("ready", timeout)

    def _ask(self, command, answer, timeout):
        try:
            self._agent.sendall(command.encode() + b"\n")
        except OSError as error:
            raise GuestError(f"{command}: QEMU has ended") from error
        return self._expect(answer, timeout)

    def _expect(self, answer, timeout):
        """Wait for a line of the agent that is the answer; a match object."""
        deadline = time.monotonic() + timeout
        self._agent.settimeout(1)
        while True:
            # What follows the last line feed is the start of a line that is still on its way.
            *lines, self._received = self._received.split(b"\n")
            for line in lines:
                if match := re.fullmatch(answer, line.decode(errors="replace").strip()):
                    return match
            if time.monotonic() > deadline:
                raise GuestError(f"no {answer!r} within {timeout} s")
            try:
                part = self._agent.recv(4096)
            except TimeoutError:
                if b"Kernel panic" in self._console_text():
                    raise GuestError("the guest panicked") from None
                continue
            except OSError:
                part = b""
            if not part:
                raise GuestError("QEMU has ended")
            self._received += part

    def _console_text(self):
        """What the console has shown since the last start or reset."""
        if not self.console.exists():
            return b""
        with open(self.console, "rb") as console:
            console.seek(self._seen)
            return console.read()
