# SPDX-License-Identifier: LGPL-2.1-or-later
"""A lab guest: a real kernel under QEMU whose memory is a file, and which tells its own truth."""

import contextlib
import json
import os
import re
import shutil
import signal
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
WORDS_TIMEOUT = 20  # seconds for what a command has said to arrive
TRUTH_DISK = 256 << 20  # sparse; an archive takes 10 to 20 MiB

THREADED = "tcg,thread=multi"

# What boot(output=...) adds: an ext4 disk, and ports whose other ends are files here. ext4 asks for
# crc32c by an alias, which only depmod's tables know.
OUTPUT_MODULES = ("virtio_console", "crc32c_generic", "ext4")


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


def hot_plug(memory, most=4096, slots=2):
    """The arguments for QEMU with which Guest.plug() works; memory as in boot(), all in MiB."""
    return ["-m", f"size={memory}M,slots={slots},maxmem={most}M"]


class Guest:
    """One guest at a time, in a folder: ram, truth.disk, output.disk, console.log, qemu.log.

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
        self.pieces = []  # of ram.img, as ram_map() has them; what is plugged in later comes last
        self._output = 0
        self._qemu = self._qmp = self._agent = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- life

    def boot(self, kernel, memory=1024, cpus=2, cpu="max", machine="q35", append="", firmware=None,
             vmcoreinfo=True, timeout=180, modules=(), files=None, arguments=(), output=0,
             virtual_time=False):
        """Start, and wait until the guest's activity is settled.

        memory in MiB; firmware: None or "ovmf"; arguments: further ones for QEMU; modules and
        files: see initramfs.build(); output: MiB of a disk at /output, 0 for none. A guest with
        one also has what said(), stream() and take() need; virtual_time: its clock counts
        instructions, one a nanosecond, and knows nothing of how busy this machine is. For one CPU:
        QEMU lets another one run only when the first has nothing to do.
        """
        if virtual_time and cpus != 1:
            raise ValueError("virtual time is for one CPU")
        if output:
            modules = [*OUTPUT_MODULES, *modules]
        command = self._command(kernel, memory, cpus, cpu, machine, append, firmware, vmcoreinfo,
                                initramfs.build(kernel, modules, files))
        if output:
            command += self._output_devices()
        if virtual_time:
            command[command.index(THREADED)] = "tcg,thread=single"
            command += ["-icount", "shift=0,sleep=off"]
        command += arguments
        self._output = output
        self._low_pieces = ram_map(memory, machine)
        self._booted = {
            "kernel": kernel.name, "package": kernel.package, "release": kernel.release,
            "cmdline": self._command_line(append), "memory_mib": memory, "cpus": cpus, "cpu": cpu,
            "machine": machine, "uefi": firmware == "ovmf"}
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

    def keep_truth(self, folder, name="truth"):
        """Collect into folder: NAME.json, NAME-kallsyms.txt, and NAME.tar, the guest's files as
        they were. What is in NAME.json."""
        known = self.collect()
        (folder / f"{name}-kallsyms.txt").write_bytes(known.pop("kallsyms"))
        (folder / f"{name}.json").write_text(json.dumps(known, indent=1) + "\n")
        shutil.move(self.folder / "truth.tar", folder / f"{name}.tar")
        return known

    def facts(self, **more):
        """What is in guest.json, of the machine as it is now; freeze first."""
        registers = self.registers()
        return {
            **self._booted,
            "levels": 5 if registers[0]["cr4"] & 1 << 12 else 4,  # CR4.LA57
            "ram_map": [{"physical": hex(piece["physical"]), "size": piece["size"],
                         "offset": piece["offset"]} for piece in self.pieces],
            "registers": [{name: hex(value) for name, value in cpu.items()} for cpu in registers],
            **more,
        }

    def ping(self, timeout=60):
        self._ask("ping", "pong", timeout)

    def run(self, command, timeout=180):
        """Run a shell command in the guest; its output goes to the console. The exit status.

        A file that it leaves in /lab is in the next truth.tar.
        """
        return int(self._ask(f"run {command}", r"ran (\d+)", timeout)[1])

    def said(self, command, timeout=180):
        """Run a shell command in the guest; (exit status, what it said on stdout and stderr)."""
        words = self.folder / "words"
        start = words.stat().st_size
        # The status comes by another port, and may be here before the words are. This one can be
        # opened once only, so that all of them come from one place.
        end = f"end-{start}"
        status = self.run(f"(({command}); s=$?; printf {end}; exit $s) > /dev/words 2>&1", timeout)
        limit = time.monotonic() + WORDS_TIMEOUT
        while not (text := words.read_bytes()[start:]).endswith(end.encode()):
            if time.monotonic() > limit:
                raise GuestError(f"{command}: not all that it says arrives: {text[-300:]}")
            time.sleep(0.01)
        return status, text.removesuffix(end.encode()).decode(errors="backslashreplace")

    def stream(self, command, path, timeout=600):
        """Run a shell command whose standard output, a pipe, ends in a file here; (exit status,
        what it said on stderr)."""
        stream = self.folder / "stream"
        start = stream.stat().st_size
        # A pipe has the status of its last command, so the first one's takes a way of its own.
        status, text = self.said(
            f"exec 3>&1; exit $({{ {{ {command}; echo $? >&4; }} 2>&3 | "
            f"dd of=/dev/stream bs=64k status=none; }} 4>&1)", timeout)
        subprocess.run(["tail", "-c", f"+{start + 1}", stream], stdout=open(path, "wb"), check=True)
        os.truncate(stream, start)
        return status, text

    def take(self, folder, timeout=180):
        """Copy what lies in /output to a folder here; nothing may be open there."""
        if self.run("umount /output", timeout):
            raise GuestError("/output is in use")
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        disk = self.folder / "output.disk"
        done = subprocess.run(["debugfs", "-R", f"rdump / {folder}", disk], capture_output=True,
                              text=True)
        if len(done.stderr.splitlines()) != 1:  # its own name and version; the status is always 0
            raise GuestError(f"{disk}: {done.stderr}")
        shutil.rmtree(folder / "lost+found", ignore_errors=True)
        if self.run("mount-output", timeout):
            raise GuestError("/output cannot be mounted again")

    def panic(self, timeout=60):
        """Let the guest panic, and wait until its kernel has said so on the console."""
        self._seen = self.console.stat().st_size
        self._ask("panic", "panicking", timeout)
        self._wait_panicked(timeout)

    def crash(self, command, timeout=60):
        """Run a shell command that lets the guest panic; the lines, without their times, that its
        kernel has then written to the console."""
        self._seen = self.console.stat().st_size
        self._agent.sendall(f"run {command}\n".encode())
        self._wait_panicked(timeout)
        text = self._console_text().decode(errors="backslashreplace")
        return [re.sub(r"^\[ *\d+\.\d+\](\[ *[TC]\d+\])? ?", "", line.rstrip("\r"))
                for line in text.split("\n") if line.startswith("[")]

    def _wait_panicked(self, timeout):
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

    def stall(self, seconds):
        """Stand still while the clocks go on, as a machine does whose memory does not answer."""
        self._qemu.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._qemu.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def slow_output(self, rate):
        """Meanwhile the disk at /output takes so many bytes a second, however fast this machine is."""
        self._limit_output(rate)
        try:
            yield
        finally:
            self._limit_output(0)

    def _limit_output(self, rate):
        self._qmp.command("block_set_io_throttle", device="output", bps=0, bps_rd=0, bps_wr=rate,
                          iops=0, iops_rd=0, iops_wr=0)

    def dump(self, path, format="elf", paging=False):
        """QEMU's own dump: format elf or kdump-zlib; with paging, elf only, by virtual address."""
        self._qmp.command("dump-guest-memory", paging=paging, format=format,
                          protocol=f"file:{Path(path).resolve()}")
        os.chmod(path, 0o644)  # QEMU makes it readable for its own user only

    def pmemsave(self, path, start, size):
        self._qmp.command("pmemsave", val=start, size=size, filename=str(Path(path).resolve()))

    def monitor(self, command):
        """What QEMU's monitor for people says to a command."""
        return self._qmp.command("human-monitor-command", **{"command-line": command})

    @property
    def is_running(self):
        return self._qmp.command("query-status")["running"]

    def registers(self):
        """A dictionary for each CPU: cr0, cr3, cr4, rip, rsp, efer ... as integers; no vectors."""
        text = self.monitor("info registers -a")
        register = re.compile(r"\b((?!FPR|[XYZ]MM)[A-Z][A-Z0-9]+) *=([0-9a-f]{8,16})\b")
        return [{name.lower(): int(value, 16) for name, value in register.findall(cpu)}
                for cpu in re.split(r"CPU#\d+", text)[1:]]

    def copy_ram(self, path):
        """A sparse copy of memory, what was plugged in too, by self.pieces; freeze first."""
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", self.ram, path], check=True)
        for piece in self.pieces:
            if "file" in piece:
                subprocess.run(["dd", f"if={piece['file']}", f"of={path}", "bs=1M", "status=none",
                                "conv=notrunc,sparse", f"seek={piece['offset'] >> 20}"], check=True)
                os.truncate(path, piece["offset"] + piece["size"])

    def plug(self, size):
        """Plug in a memory module of so many MiB; its piece. Only a guest with hot_plug()'s
        arguments has slots. Bringing it online is the guest's business."""
        name = f"dimm{sum('file' in piece for piece in self.pieces)}"
        file = self.folder / name
        file.unlink(missing_ok=True)
        self._qmp.command("object-add", id=f"{name}-ram", share=True, size=size << 20,
                          **{"qom-type": "memory-backend-file", "mem-path": str(file)})
        self._qmp.command("device_add", driver="pc-dimm", id=name, memdev=f"{name}-ram")
        devices = self._qmp.command("query-memory-devices")
        physical = next(device["data"]["addr"] for device in devices
                        if device["data"].get("id") == name)
        last = self.pieces[-1]
        piece = {"physical": physical, "size": size << 20, "offset": last["offset"] + last["size"],
                 "file": file}
        self.pieces.append(piece)
        return piece

    def plug_private(self, size):
        """The same, of memory that is in no file and not in self.pieces."""
        self._qmp.command("object-add", id="private-ram", size=size << 20,
                          **{"qom-type": "memory-backend-ram"})
        self._qmp.command("device_add", driver="pc-dimm", id="private", memdev="private-ram")

    @property
    def memory(self):
        """MiB, with what was plugged in."""
        return sum(piece["size"] for piece in self.pieces) >> 20

    def balloon(self, memory):
        """Have the guest's balloon leave it so many MiB; it needs "-device virtio-balloon-pci"."""
        self._qmp.command("balloon", value=memory << 20)
        for _ in range(100):
            if self._qmp.command("query-balloon")["actual"] == memory << 20:
                return
            time.sleep(0.1)
        raise GuestError(f"the balloon does not leave {memory} MiB")

    # --- inside

    @staticmethod
    def _command_line(append):
        return f"console=ttyS0 panic=0 {append}".strip()

    def _command(self, kernel, memory, cpus, cpu, machine, append, firmware, vmcoreinfo, initrd):
        command = [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-nic", "none", "-accel", THREADED,
            "-smp", str(cpus), "-cpu", cpu, "-m", f"{memory}M",
            "-machine", f"{machine},memory-backend=ram",
            "-object", f"memory-backend-file,id=ram,size={memory}M,mem-path={self.ram},share=on",
            "-kernel", str(kernel.vmlinuz), "-initrd", str(initrd),
            "-append", self._command_line(append),
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

    def _output_devices(self):
        """A disk, and two ports that are files here: no device is less in the way of a stream."""
        return [
            "-drive", f"if=none,id=output,format=raw,file={self.folder / 'output.disk'}",
            "-device", "virtio-blk-pci,drive=output",
            "-device", "virtio-serial-pci",
            "-chardev", f"file,id=stream,path={self.folder / 'stream'},append=on",
            "-device", "virtserialport,chardev=stream,nr=1",
            "-chardev", f"file,id=words,path={self.folder / 'words'},append=on",
            "-device", "virtserialport,chardev=words,nr=2"]

    def _make_output(self):
        disk = self.folder / "output.disk"
        disk.unlink(missing_ok=True)
        disk.touch()
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-O", "^has_journal",
                        "-E", "lazy_itable_init=0", disk, f"{self._output}M"], check=True)
        for name in ("stream", "words"):
            (self.folder / name).write_bytes(b"")

    def _start(self, command, memory, firmware):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pieces = list(self._low_pieces)
        if self._output:
            self._make_output()
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
