# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernels for the lab: which there are, how they come here, where they lie afterwards.

Every kernel is a Debian package, fetched by apt. Suites that this machine does not use get an apt
of their own below the cache, derived at run time from this machine's own sources: the same
archive and the same keys, only another suite. Nothing of the machine's own apt is changed.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import built

LAB = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("KIOKU_LAB_CACHE", LAB / "cache"))

# Lab name: (suites, the metapackage that names the newest kernel of its kind).
NAMES = {
    "bookworm": (["bookworm", "bookworm-security"], "linux-image-amd64"),
    "bookworm-cloud": (["bookworm", "bookworm-security"], "linux-image-cloud-amd64"),
    "backports": (["bookworm-backports"], "linux-image-amd64"),
    "bullseye": (["bullseye", "bullseye-security"], "linux-image-amd64"),
    "bullseye-cloud": (["bullseye", "bullseye-security"], "linux-image-cloud-amd64"),
    "trixie": (["trixie", "trixie-security"], "linux-image-amd64"),
    "trixie-cloud": (["trixie", "trixie-security"], "linux-image-cloud-amd64"),
    "trixie-rt": (["trixie", "trixie-security"], "linux-image-rt-amd64"),
    "sid": (["sid"], "linux-image-amd64"),
    "sid-cloud": (["sid"], "linux-image-cloud-amd64"),
}
ORDINARY = ["bookworm", "backports"]

# Modules for hardware that no guest of ours has: three quarters of a package's size.
UNWANTED = re.compile(
    r"kernel/(sound|net/(wireless|mac80211|bluetooth)|drivers/(gpu|media|infiniband|iio|staging|"
    r"scsi|usb|input|hwmon|isdn|bluetooth|mtd|net/(wireless|ethernet/(?!intel/e1000))))/")


class FetchError(Exception):
    """A kernel could not be had; the message says why."""


@dataclass
class Kernel:
    """A kernel, unpacked: folder/vmlinuz, config, System.map, modules/ (of /lib/modules)."""
    name: str
    release: str
    package: str
    folder: Path

    @property
    def vmlinuz(self):
        return self.folder / "vmlinuz"

    @property
    def modules(self):
        return self.folder / "modules"


def say(text):
    # One write: lines of guests that start side by side do not mix.
    sys.stderr.write(f"lab: {text}\n")
    sys.stderr.flush()


def known():
    """All lab names."""
    return [*NAMES, *built.names()]


def get(name):
    """The kernel with a lab name, or of a linux-image-*.deb; fetched or built if it is not here yet."""
    if name in built.names():
        if not built.is_ready(name):
            with alone("building"):
                if not built.is_ready(name):
                    built.build(name)
        folder = built.folder_of(name)
    elif name in NAMES:
        folder = CACHE / "kernels" / name
    elif name.endswith(".deb"):
        # Two packages may share a file name; the size tells a replaced one apart.
        deb = Path(name)
        folder = CACHE / "kernels" / f"{deb.stem}-{deb.stat().st_size}"
    else:
        raise FetchError(f"no kernel is called {name!r}; there are: {', '.join(known())}, or "
                         "a .deb")
    if not (folder / "kernel.json").exists():
        with alone():
            if not (folder / "kernel.json").exists():
                unpack(folder.name, download(name) if name in NAMES else [deb], folder)
    stored = json.loads((folder / "kernel.json").read_text())
    return Kernel(folder=folder, **stored)


@contextlib.contextmanager
def alone(what="lock"):
    """Two programs that want kernels at the same time take turns; those that build one, apart from
    the others, who would wait for long."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / what, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- apt

def debian_archives():
    """This machine's Debian archive and security archive: {"debian": (uri, options), ...}."""
    found = {}
    for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        if not path.is_file():
            continue
        entries = deb822_entries(path) if path.suffix == ".sources" else one_line_entries(path)
        for uri, components, signed_by in entries:
            kind = uri.rstrip("/").rsplit("/", 1)[-1]
            if kind in ("debian", "debian-security") and "main" in components:
                found.setdefault(kind, (uri, f"[signed-by={signed_by}] " if signed_by else ""))
    if "debian" not in found:
        raise FetchError("this machine's apt sources name no Debian archive")
    return found


def deb822_entries(path):
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.M)
    for stanza in re.split(r"\n\s*\n", text):
        field = {key.lower(): value.split()
                 for key, value in re.findall(r"^(\S+):((?:.*)(?:\n[ \t].*)*)", stanza, re.M)}
        if "deb" in field.get("types", []) and field.get("enabled") != ["no"]:
            key = field.get("signed-by", [""])
            for uri in field.get("uris", []):
                # An inline key (many lines) cannot be carried over to the one-line form.
                yield uri, field.get("components", []), key[0] if len(key) == 1 else ""


def one_line_entries(path):
    for options, uri, rest in re.findall(r"^deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+\S+\s+(.*)$",
                                         path.read_text(), re.M):
        key = re.search(r"signed-by=(\S+)", options)
        yield uri, rest.split(), key[1] if key else ""


def private_apt(suites):
    """The options that make apt see only the given suites, with all its state below our cache."""
    root = CACHE / "apt" / suites[0]
    for folder in ("lists/partial", "archives/partial", "etc"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "status").touch()
    archives = debian_archives()
    lines = []
    for suite in suites:
        kind = "debian-security" if suite.endswith("-security") else "debian"
        if kind in archives:
            uri, options = archives[kind]
            lines.append(f"deb {options}{uri} {suite} main\n")
    (root / "sources.list").write_text("".join(lines))
    # "-c" is read after the machine's own apt.conf.d, whose proxy settings we want and whose
    # hooks (which clean the machine's cache) we do not.
    (root / "apt.conf").write_text(f"""
        Dir::State "{root}"; Dir::State::status "{root}/status"; Dir::State::lists "{root}/lists";
        Dir::Cache "{root}"; Dir::Cache::archives "{root}/archives";
        Dir::Etc::sourcelist "{root}/sources.list"; Dir::Etc::sourceparts "{root}/etc";
        Dir::Etc::preferences "{root}/etc/none"; Dir::Etc::preferencesparts "{root}/etc";
        APT::Architecture "amd64"; APT::Sandbox::User "root"; Acquire::Languages "none";
        Acquire::Check-Valid-Until "false"; Acquire::Retries "3";
        #clear APT::Update::Post-Invoke; #clear APT::Update::Post-Invoke-Success;
        #clear DPkg::Post-Invoke; #clear DPkg::Pre-Install-Pkgs;
        """.replace("; #", ";\n#"))
    return root


def apt(root, *arguments, **options):
    command = [arguments[0], "-c", str(root / "apt.conf"), "-q", *arguments[1:]]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        raise FetchError(f"{shlex.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def patiently(work):
    """work(), again after a while if an archive does not answer: in a moment it may."""
    for seconds in (5, 15, 45):
        try:
            return work()
        except FetchError as error:
            say(f"once more in {seconds} s: {error}")
            time.sleep(seconds)
    return work()


def update(root):
    """By itself, apt-get only warns of lists that it could not have, and goes on without them."""
    patiently(lambda: apt(root, "apt-get", "update", "--error-on=any"))


def download(name):
    """Download the newest kernel of a lab name; returns its packages, the image first."""
    suites, metapackage = NAMES[name]
    root = private_apt(suites)
    say(f"{name}: reading the package lists of {', '.join(suites)}")
    update(root)
    image = newest_dependency(root, metapackage, "linux-image-")
    wanted = [image]
    # Newer kernels are split: the image package only depends on the parts that hold the files.
    for package in wanted:
        wanted += [other for other in dependencies(root, package)
                   if re.match(r"linux-(base|binary|modules)-\d", other) and other not in wanted]
    return download_packages(root, wanted)


def headers(name):
    """Folder with what a module for the kernel of a lab name is built with: "make -C FOLDER".

    Unpacked and not installed, so its Makefile's path of the common headers is put right.
    """
    kernel = get(name)
    folder = (CACHE / "headers" / name).resolve()
    ready = folder / f"usr/src/linux-headers-{kernel.release}"
    with alone():
        if not (folder / "complete").exists() or not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            version = kernel.package.split("_")[1]
            debs = download_headers(name, kernel.release, version)
            unpack_headers(debs, folder, kernel.release)
            for deb in debs:
                deb.unlink()
            (folder / "complete").touch()
    return ready


def packages(name, folder):
    """The packages of a kernel's headers, and of the kernel itself, in a folder."""
    kernel = get(name)
    with alone():
        root, version = private_apt(NAMES[name][0]), kernel.package.split("_")[1]
        debs = download_headers(name, kernel.release, version)
        image = f"linux-image-{kernel.release}"
        debs += download_packages(root, [image], {image: version})
        folder.mkdir(parents=True)
        for deb in debs:
            shutil.move(deb, folder)


def programs(names, folder):
    """Packages of bookworm unpacked below a folder, not installed; the folder with their programs."""
    target = folder / "bin"
    target.mkdir(parents=True)
    with alone():
        for deb in download_packages(private_apt(["bookworm"]), names):
            subprocess.run(["dpkg-deb", "-x", deb, folder / "all"], check=True)
            deb.unlink()
    for program in (path for place in ("usr/bin", "usr/sbin", "bin", "sbin")
                    for path in (folder / "all" / place).glob("*")):
        # Links, as of modinfo to kmod, are absolute, or to what is beside them.
        path = program.parent / os.readlink(program) if program.is_symlink() else program
        if folder not in path.parents:
            path = folder / "all" / path.relative_to("/")
        (target / program.name).unlink(missing_ok=True)
        (target / program.name).symlink_to(path)
    return target


def compiler(headers):
    """What a kernel was built with, as far as its headers say."""
    config = headers / ".config"
    match = re.search(r'^CONFIG_CC_VERSION_TEXT="(\S+)', config.read_text(), re.M) \
        if config.exists() else None
    return match and match[1]


def made_of_headers(target, name, build):
    """target, which build(headers, target) makes for the kernel of a lab name if it is not there."""
    if not target.exists():
        folder = headers(name)
        with alone():
            if not target.exists():
                build(folder, target)
    return target


def digest_of(sources):
    """Part of the name of what is made of these files."""
    hashed = hashlib.sha256()
    for source in sources:
        hashed.update(source.read_bytes())
    return hashed.hexdigest()[:12]


def make_module(what, headers, *arguments, may_warn=False):
    """Runs make for modules of a kernel. Debian's headers name the compiler of their own suite, which
    need not be installed here."""
    say(f"building {what} with {headers.name}")
    done = subprocess.run(["make", *arguments, "CC=gcc"], capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode or (not may_warn and
                           "warning:" in said.replace("warning: the compiler differs", "")):
        raise FetchError(f"{what}: {said.strip()[-2000:]}")


def unpack_headers(debs, folder, release):
    """What a module for a release is built with, out of the packages of its headers: a folder below
    folder, an absolute path."""
    for deb in debs:
        say(f"unpacking {deb.name}")
        subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
    ready = folder / f"usr/src/linux-headers-{release}"
    for file in (ready / "Makefile", *ready.glob(".kernelvariables")):
        text = file.read_text()
        file.write_text(re.sub(r"(?<![\w.])/usr/(src|lib)/linux-", rf"{folder}/usr/\1/linux-", text))
    return ready


def download_headers(name, release, version):
    """The packages of a kernel's headers, of just its version.

    The programs that build with them may be newer: an archive keeps the headers of a former kernel
    for a while, but of what is not called after a kernel only the newest.
    """
    root = private_apt(NAMES[name][0])
    update(root)
    wanted = [f"linux-headers-{release}"]
    for package in wanted:
        wanted += [other for other in dependencies(root, package) if other not in wanted
                   and re.match(r"linux-(headers-.*-common|kbuild-|compiler-)", other)]
    return download_packages(root, wanted, {package: version for package in wanted
                                            if package.startswith("linux-headers-")})


def download_packages(root, names, versions={}):
    """The .deb files of packages, by the lists that root already has unless they are missing: the
    newest, or of the given version."""
    if not any((root / "lists").glob("*Packages*")):
        update(root)
    say(f"downloading {', '.join(names)}")
    patiently(lambda: apt(root, "apt-get", "download",
                          *(f"{name}={versions[name]}" if name in versions else name for name in names),
                          cwd=root / "archives"))
    # "apt-get download" names the files PACKAGE_VERSION_ARCHITECTURE.deb.
    return [max((root / "archives").glob(f"{name}_*.deb"), key=lambda deb: deb.stat().st_mtime)
            for name in names]


def dependencies(root, package):
    shown = apt(root, "apt-cache", "show", "--no-all-versions", package)
    fields = re.findall(r"^(?:Pre-)?Depends: (.*)$", shown, re.M)
    return [re.split(r"[ (|:]", item.strip())[0] for field in fields for item in field.split(",")]


def newest_dependency(root, metapackage, prefix):
    for package in dependencies(root, metapackage):
        if package.startswith(prefix):
            return package
    raise FetchError(f"{metapackage} depends on no {prefix}* package")


# --- unpacking

def unpack(name, debs, folder):
    """Unpack what a guest needs; kernel.json comes last, so that its presence means complete."""
    release = None
    for deb in debs:
        say(f"{name}: unpacking {deb.name}")
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as pipe:
            with tarfile.open(fileobj=pipe.stdout, mode="r|") as tar:
                for member in tar:
                    path = re.sub(r"^\./(usr/)?", "", member.name)
                    if match := re.fullmatch(r"boot/(vmlinuz|config|System\.map)-.+", path):
                        target = folder / match[1]
                    elif match := re.fullmatch(r"lib/modules/([^/]+)/(.+)", path):
                        release = match[1]
                        # Split packages keep these beside the modules, not in boot/.
                        beside = match[2] in ("vmlinuz", "config", "System.map")
                        target = (folder if beside else folder / "modules") / match[2]
                    else:
                        continue
                    if member.isfile() and not UNWANTED.search(path):
                        target.parent.mkdir(parents=True, exist_ok=True)
                        target.write_bytes(tar.extractfile(member).read())
    if not (folder / "vmlinuz").exists():
        raise FetchError(f"{debs[0].name} has no kernel in it")
    kernel = Kernel(name, release, debs[0].name, folder)
    stored = {key: value for key, value in asdict(kernel).items() if key != "folder"}
    (folder / "kernel.json").write_text(json.dumps(stored, indent=1) + "\n")
    for deb in debs:
        if CACHE in deb.parents:
            deb.unlink()  # all that a guest needs is out of it
