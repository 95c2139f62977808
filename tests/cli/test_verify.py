#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""kioku verify on images, manifests, journals and digest files that this script makes itself.
usage: test_verify.py KIOKU"""

import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unittest
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "images"))
import lime  # noqa: E402
import manifest as making  # noqa: E402

TOOL = None
MIB = 1 << 20


class Case(unittest.TestCase):
    """A folder with an image of 5.25 segments, and what is done to it."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.image = self.folder / "image"
        self.data = random.Random(1).randbytes(5 * MIB + MIB // 4)
        self.image.write_bytes(self.data)

    def path(self, name):
        return self.folder / name

    def put_manifest(self, made=None, name="image.manifest.json"):
        text = json.dumps(made or making.of_data(self.data))
        self.path(name).write_text(text, encoding="ascii")

    def put_journal(self, count, image_format="raw"):
        digests = dict(enumerate(making.segment_digests(self.data)[:count]))
        lines = making.journal(digests, image_format)
        self.path("image.manifest.partial").write_text("".join(lines), encoding="ascii")

    def flip(self, offset, bit=0):
        with self.image.open("r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1 << bit]))

    def verify(self, *options):
        done = subprocess.run([TOOL, "verify", self.image, *map(str, options)],
                              capture_output=True, timeout=120, text=True, check=False)
        self.assertNotIn("anitizer", done.stderr)
        return done

    def found(self, verdict, *options):
        """What --format json says, after comparing the verdict."""
        done = self.verify(*options, "--format", "json")
        found = json.loads(done.stdout)
        self.assertEqual(found["verdict"], verdict, done)
        self.assertEqual(done.returncode, {"intact": 0, "damaged": 1, "prefix": 3}[verdict])
        return found

    def refused(self, says, *options, status=1):
        done = self.verify(*options)
        self.assertEqual(done.returncode, status, done)
        self.assertIn(says, done.stderr)


class Manifest(Case):
    def test_intact(self):
        self.put_manifest()
        found = self.found("intact")
        self.assertEqual(found["damage"], [])
        self.assertEqual((found["checked"], found["segments"], found["damaged"], found["signed"]),
                         (len(self.data), 6, 0, False))
        self.assertIn("image: intact: 6 segments (5505024 bytes)", self.verify().stdout)

    def test_one_bit_anywhere(self):
        self.put_manifest()
        for offset in (0, 1, MIB - 1, MIB, 3 * MIB + 77, 5 * MIB, len(self.data) - 1):
            self.flip(offset, offset % 8)
            megabyte = offset // MIB
            self.assertEqual(self.found("damaged")["damage"], [
                {"offset": megabyte * MIB, "size": min(MIB, len(self.data) - megabyte * MIB),
                 "megabyte": megabyte, "what": "segment differs"}])
            self.assertIn(f"megabyte {megabyte} ", self.verify().stdout)
            self.flip(offset, offset % 8)
        self.found("intact")

    def test_neighbours_are_one_finding(self):
        self.put_manifest()
        for megabyte in (1, 2, 3, 5):
            self.flip(megabyte * MIB + 5)
        found = self.found("damaged")
        self.assertEqual([(run["megabyte"], run["size"]) for run in found["damage"]],
                         [(1, 3 * MIB), (5, MIB // 4)])
        self.assertEqual((found["segments"], found["damaged"]), (6, 4))
        done = self.verify()
        self.assertIn("megabytes 1-3", done.stdout)
        self.assertIn("image: damaged: 4 of 6 segments differ", done.stdout)

    def test_truncated(self):
        self.put_manifest()
        size = len(self.data)
        for cut in (size - 1, 5 * MIB + 1, 5 * MIB, 5 * MIB - 1, 3 * MIB, MIB + 1, MIB, MIB - 1, 1,
                    0):
            with self.subTest(cut):
                os.truncate(self.image, cut)
                found = self.found("prefix")
                self.assertEqual(found["segments"], cut // MIB)
                self.assertEqual(found["damage"][-1], {
                    "offset": cut, "size": size - cut, "megabyte": cut // MIB, "what": "cut off"})
                rest = found["damage"][:-1]
                self.assertEqual(len(rest), 1 if cut % MIB else 0)
                if rest:
                    self.assertEqual((rest[0]["offset"], rest[0]["size"]),
                                     (cut // MIB * MIB, cut % MIB))
                    self.assertIn("cannot be checked", rest[0]["what"])

    def test_truncated_and_damaged(self):
        self.put_manifest()
        os.truncate(self.image, 3 * MIB + 9)
        self.flip(2 * MIB)
        found = self.found("damaged")
        self.assertEqual([run["megabyte"] for run in found["damage"]], [2, 3, 3])

    def test_appended(self):
        self.put_manifest()
        with self.image.open("ab") as file:
            file.write(b"x")
        self.assertEqual(self.found("damaged")["damage"], [
            {"offset": len(self.data), "size": 1, "megabyte": 5,
             "what": "more than was written: added after the end"}])

    def test_stopped_capture(self):
        self.put_manifest(making.of_data(self.data, complete=False))
        self.assertEqual(self.found("prefix")["damage"], [])
        self.assertIn("stopped", self.verify().stderr)
        self.found("intact", "--range", "0+1")

    def test_range(self):
        self.put_manifest()
        self.flip(2 * MIB)
        for good in ("0-2097151", "0+2M", "3M+1", "0x300000-0x5400ff", "5505023+1"):
            self.found("intact", "--range", good.replace("3M", str(3 * MIB)).replace(
                "0x5400ff", hex(len(self.data) - 1)))
        self.assertEqual(self.found("intact", "--range", "1048575-1048576")["segments"], 2)
        for bad in ("2097152+1", "0-2097152", "3145727+9", "0+5505024"):
            self.assertEqual(self.found("damaged", "--range", bad)["damage"][0]["megabyte"], 2)
        self.refused("beyond", "--range", "0+5505025", status=2)
        self.refused("beyond", "--range", "0x10000000000-0x10000000001", status=2)
        os.truncate(self.image, 4 * MIB)
        self.found("prefix", "--range", "0x3fffff+2")
        self.found("intact", "--range", "0x3fffff+1")

    def test_edited(self):
        made = making.of_data(self.data)
        made["segments"][3]["sha256"] = "0" * 64
        self.put_manifest(made)
        found = self.found("damaged")
        self.assertIn("root does not fit", found["damage"][0]["what"])
        self.assertEqual(found["damage"][1]["megabyte"], 3)
        # Who fits the root as well is found out by a signature only.
        self.flip(0)
        self.put_manifest(making.of_data(self.image.read_bytes()))
        self.found("intact")

    def test_manifest_elsewhere(self):
        self.put_manifest(name="other.json")
        self.refused("nothing to check")
        self.assertTrue(self.found("intact", "--manifest", self.path("other.json"))["proof_path"]
                        .endswith("other.json"))
        self.refused("there is no", "--manifest", self.path("none.json"))

    def test_not_understood(self):
        for text in ("", "{", "[]", "null", "{}", "\0" * 100, '{"kioku_manifest": 2}',
                     json.dumps(making.of_data(self.data))[:-1]):
            self.path("image.manifest.json").write_text(text, encoding="ascii")
            self.refused("cannot be understood")
        self.put_manifest(making.of_data(self.data, segment_size=4096))
        self.refused("4096")
        self.put_manifest(making.of_data(self.data, kioku_manifest=2))
        self.refused("version 2")

    def test_without_segments(self):
        made = making.manifest(len(self.data), [])
        self.put_manifest(made)
        self.refused("made without digests")
        made["image"]["md5"] = hashlib.md5(self.data).hexdigest()
        self.put_manifest(made)
        self.found("intact")
        self.refused("no segments", "--range", "0+1", status=2)
        self.flip(77)
        self.found("damaged")

    def test_sidecars(self):
        context = {"name": "image.context.tar.gz", "origin": None, "size": 3,
                   "sha256": hashlib.sha256(b"abc").hexdigest()}
        swap = {"name": "image.swap0", "origin": "/dev/vda2", "size": 4,
                "sha256": hashlib.sha256(b"swap").hexdigest()}
        self.put_manifest(making.of_data(self.data, context=context, swap=[swap]))
        done = self.verify()
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stderr.count("is not there"), 2)
        self.path("image.context.tar.gz").write_bytes(b"abc")
        self.path("image.swap0").write_bytes(b"swap")
        self.assertEqual(self.verify().stderr, "")
        self.path("image.swap0").write_bytes(b"swat")
        self.assertIn("image.swap0 is not as it was", self.found("damaged")["damage"][0]["what"])
        self.found("intact", "--range", "0+1")
        swap["name"] = "../image.swap0"
        self.put_manifest(making.of_data(self.data, swap=[swap]))
        self.refused("plain file name")

    def test_odd_files(self):
        self.put_manifest()
        self.image.unlink()
        self.refused("No such file")
        os.mkfifo(self.image)
        self.refused("not a file", status=2)
        self.image.unlink()
        self.image.mkdir()
        self.refused("not a file", status=2)

    def test_unreadable(self):
        """Where nothing is mapped, a process's memory is a file that fails with EIO."""
        self.put_manifest()
        self.image = "/proc/self/mem"
        found = self.found("damaged", "--manifest", self.path("image.manifest.json"))
        self.assertEqual((found["damage"][0]["size"], found["damage"][0]["what"]),
                         (len(self.data), "cannot be read"))
        self.assertEqual((found["damaged"], found["checked"]), (6, 0))

    def test_threads(self):
        self.put_manifest()
        self.flip(4 * MIB)
        for count in (0, 1, 2, 64, 1000):
            found = self.found("damaged", "--threads", count)
            self.assertEqual([run["megabyte"] for run in found["damage"]], [4])


class Journal(Case):
    def test_killed_anywhere(self):
        for count in (0, 1, 3, 5):
            for size in (count * MIB, count * MIB + 1, len(self.data)):
                self.put_journal(count)
                self.image.write_bytes(self.data[:size])
                found = self.found("prefix")
                self.assertEqual((found["segments"], found["damage"]), (count, []))
                self.assertEqual(found["proof"], "journal")
        self.assertIn("valid prefix: 5 segments", self.verify().stdout)
        self.assertIn("the last 262144 bytes were not noted down yet", self.verify().stderr)

    def test_torn_line(self):
        self.put_journal(3)
        path = self.path("image.manifest.partial")
        text = path.read_text(encoding="ascii")
        path.write_text(text[:-20], encoding="ascii")
        self.assertEqual(self.found("prefix")["segments"], 2)
        path.write_text(text + "\0" * 100, encoding="ascii")
        self.assertEqual(self.found("prefix")["segments"], 3)
        path.write_text(text[:30], encoding="ascii")
        self.refused("cannot be understood")

    def test_damaged(self):
        self.put_journal(3)
        self.flip(MIB)
        self.assertEqual(self.found("damaged")["damage"][0]["megabyte"], 1)
        self.found("intact", "--range", "0+1M")
        self.refused("beyond", "--range", "0+4M", status=2)

    def test_cut_and_grown(self):
        self.put_journal(3)
        os.truncate(self.image, 2 * MIB)
        self.assertEqual(self.found("prefix")["damage"][-1]["what"], "cut off")
        self.image.write_bytes(self.data)
        os.truncate(self.image, 1 << 30)
        self.assertIn("more than can have been", self.found("damaged")["damage"][0]["what"])
        self.put_journal(3, "kdump") # its second part starts far behind
        self.found("prefix")

    def test_parts(self):
        digests = making.segment_digests(self.data)
        lines = making.journal({4: digests[4], 0: digests[0]}, "kdump")
        self.path("image.manifest.partial").write_text("".join(lines), encoding="ascii")
        self.flip(2 * MIB)
        self.assertEqual(self.found("prefix")["segments"], 2)
        self.found("prefix", "--range", "0+2M")
        self.found("intact", "--range", "0+1M")
        self.flip(4 * MIB)
        self.found("damaged")

    def test_manifest_wins(self):
        self.put_journal(1)
        self.put_manifest()
        self.assertEqual(self.found("intact")["proof"], "manifest")

    def test_key(self):
        self.put_journal(1)
        make_keys(self.folder)
        self.assertIn("no signed manifest",
                      self.found("damaged", "--key", self.path("public.pem"))["damage"][0]["what"])


def lime_record(start, data):
    return lime.HEADER.pack(lime.MAGIC, lime.VERSION, start, start + len(data) - 1) + data


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_keys(folder, *options):
    kind = options or ("-algorithm", "ed25519")
    openssl("genpkey", *kind, "-out", folder / "private.pem")
    openssl("pkey", "-in", folder / "private.pem", "-pubout", "-out", folder / "public.pem")


class Signature(Case):
    def setUp(self):
        super().setUp()
        if not shutil.which("openssl"):
            self.skipTest("there is no openssl")
        self.put_manifest()
        make_keys(self.folder)
        self.sign()

    def sign(self):
        openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.path("private.pem"),
                "-in", self.path("image.manifest.json"),
                "-out", self.path("image.manifest.json.sig"))

    def test_fits(self):
        found = self.found("intact", "--key", self.path("public.pem"))
        self.assertEqual((found["signed"], found["signature_checked"]), (True, True))
        self.assertIn("whose signature fits", self.verify("--key", self.path("public.pem")).stdout)
        found = self.found("intact")
        self.assertEqual((found["signed"], found["signature_checked"]), (True, False))
        self.assertIn("was not checked", self.verify().stdout)

    def test_edited(self):
        self.flip(0)
        self.put_manifest(making.of_data(self.image.read_bytes()))
        self.found("intact")
        self.assertIn("does not fit",
                      self.found("damaged", "--key", self.path("public.pem"))["damage"][0]["what"])

    def test_missing_or_cut(self):
        signature = self.path("image.manifest.json.sig")
        whole = signature.read_bytes()
        for wrong in (b"", whole[:-1], whole + b"\n", bytes(64), bytes(9000)):
            signature.write_bytes(wrong)
            self.found("damaged", "--key", self.path("public.pem"))
        signature.unlink()
        self.assertIn("not signed",
                      self.found("damaged", "--key", self.path("public.pem"))["damage"][0]["what"])

    def test_other_key(self):
        make_keys(self.folder)
        self.found("damaged", "--key", self.path("public.pem"))

    def test_wrong_keys(self):
        self.refused("no public key", "--key", self.path("private.pem"), status=2)
        self.refused("no public key", "--key", self.image, status=2)
        self.refused("No such file", "--key", self.path("none.pem"))
        make_keys(self.folder, "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        self.refused("Ed25519 is needed", "--key", self.path("public.pem"), status=2)
        make_keys(self.folder, "-algorithm", "ed448")
        self.refused("Ed25519 is needed", "--key", self.path("public.pem"), status=2)


class Digests(Case):
    def put(self, name, text):
        self.path(name).write_text(text, encoding="utf-8")

    def test_forms(self):
        good = hashlib.sha256(self.data).hexdigest()
        wrong = "0" * 64
        for text in (f"{good}  image\n", f"{good} *image\n", f"{good}  elsewhere/image\n", good,
                     f"{good}\n", good.upper(), f"{good}  renamed.raw\n", f"{good}  image\r\n",
                     f"SHA256 (image) = {good}\n", f"\\{good}  image\n",
                     f"{wrong}  other\n{good}  image\n{wrong}  myimage\n"):
            self.put("image.sha256", text)
            found = self.found("intact")
            self.assertEqual((found["proof"], found["checked"]), ("digest", len(self.data)), text)
        for text in (f"{wrong}  image\n", wrong, f"{good}  other\n{wrong}  image\n"):
            self.put("image.sha256", text)
            self.assertIn("sha256 is not the one in", self.found("damaged")["damage"][0]["what"])
        for text in ("", "x", good[:-1], good + "0", f"{good}  a\n{wrong}  b\n", "\0" * 1000,
                     hashlib.md5(self.data).hexdigest()):
            self.put("image.sha256", text)
            self.refused("holds no sha256 digest")

    def test_algorithms(self):
        for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256"):
            path = "image." + name.replace("_", "-")
            self.put(path, hashlib.new(name, self.data).hexdigest())
            self.found("intact")
            self.flip(3 * MIB)
            self.found("damaged")
            self.flip(3 * MIB)
            self.path(path).unlink()

    def test_all_of_them(self):
        self.put("image.sha256", hashlib.sha256(self.data).hexdigest())
        self.put("image.md5", "0" * 32)
        self.assertEqual(len(self.found("damaged")["damage"]), 1)

    def test_what_it_cannot(self):
        self.refused("nothing to check")
        self.put("image.sha256", hashlib.sha256(self.data).hexdigest())
        self.refused("digest of the whole file", "--range", "0+1", status=2)
        if shutil.which("openssl"):
            make_keys(self.folder)
            self.found("damaged", "--key", self.path("public.pem"))

    def test_given(self):
        self.put("list.sha256", hashlib.sha256(self.data).hexdigest())
        self.found("intact", "--manifest", self.path("list.sha256"))

    def test_lime_compressed(self):
        """As LiME with compress=1: windows of 2 KiB; the digest is of what went in."""
        for size in (0, 1, 3 * MIB):
            content = b"EMiL" + bytes(size) + self.data[:size]
            packer = zlib.compressobj(wbits=11, memLevel=5)
            packed = packer.compress(content) + packer.flush()
            self.put("image.sha1", hashlib.sha1(content).hexdigest())
            self.image.write_bytes(packed)
            self.found("intact")
            for wrong in (packed[:-1], packed + b"x", packed[:-1] + bytes([packed[-1] ^ 1])):
                self.image.write_bytes(wrong)
                self.found("damaged")
            # With a name it is of the file as it is.
            self.image.write_bytes(packed)
            self.put("image.sha1", hashlib.sha1(content).hexdigest() + "  image\n")
            self.found("damaged")
            self.put("image.sha1", hashlib.sha1(packed).hexdigest())
            self.found("intact")


class Captures(Case):
    """What kioku itself writes."""

    def setUp(self):
        super().setUp()
        self.source = self.path("source.lime")
        self.source.write_bytes(lime_record(0x100000, bytes(3 * MIB) + self.data))

    def convert(self, *options):
        return subprocess.run([TOOL, "convert", self.source, self.image, *map(str, options)],
                              capture_output=True, timeout=120, check=False)

    def again(self, *options):
        for path in self.folder.glob("image*"):
            path.unlink()
        done = self.convert(*options)
        self.assertEqual(done.returncode, 0, done)

    def test_formats(self):
        for options in ("lime", "padded", "raw", "elf", "avml", "kdump", "lime --compress zstd",
                        "raw --compress lz4", "elf --compress gzip"):
            with self.subTest(options):
                self.again("--as", *options.split())
                found = self.found("intact")
                size = self.image.stat().st_size
                self.assertEqual((found["proof"], found["checked"]), ("manifest", size))
                offset = random.Random(options).randrange(size)
                self.flip(offset)
                self.assertEqual(self.found("damaged")["damage"][0]["megabyte"], offset // MIB)
                self.path("image.manifest.json").unlink()
                self.assertEqual(len(self.found("damaged")["damage"]), 2) # .md5 and .sha256
                self.flip(offset)
                self.found("intact")

    def test_schema(self):
        try:
            import jsonschema
        except ImportError:
            self.skipTest("python3-jsonschema is not installed")
        root = pathlib.Path(__file__).resolve().parents[2]
        schema = json.loads((root / "docs/manifest.schema.json").read_text(encoding="utf-8"))
        checker = jsonschema.Draft202012Validator(schema)
        checker.check_schema(schema)
        for options in ("lime", "kdump", "raw --digest none", "lime --digest md5"):
            self.again("--as", *options.split())
            made = json.loads(self.path("image.manifest.json").read_text(encoding="utf-8"))
            checker.validate(made)
        checker.validate(making.of_data(self.data))
        self.assertFalse(checker.is_valid(making.of_data(self.data, segments=[{}])))
        self.assertFalse(checker.is_valid(making.of_data(self.data, started="yesterday")))

    def test_root_of_the_rfc(self):
        self.again("--as", "raw")
        made = json.loads(self.path("image.manifest.json").read_text(encoding="utf-8"))
        digests = making.segment_digests(self.image.read_bytes())
        self.assertEqual([segment["sha256"] for segment in made["segments"]],
                         [digest.hex() for digest in digests])
        self.assertEqual(made["root"], making.tree_root(digests).hex())

    def test_signed(self):
        if not shutil.which("openssl"):
            self.skipTest("there is no openssl")
        make_keys(self.folder)
        self.again("--as", "lime", "--sign", self.path("private.pem"))
        self.found("intact", "--key", self.path("public.pem"))
        openssl("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", self.path("public.pem"),
                "-in", self.path("image.manifest.json"),
                "-sigfile", self.path("image.manifest.json.sig"))

    def test_odd_signing_keys(self):
        if not shutil.which("openssl"):
            self.skipTest("there is no openssl")
        locked = self.path("locked.pem")
        openssl("genpkey", "-algorithm", "ed25519", "-aes-256-cbc", "-pass", "pass:word",
                "-out", locked)
        make_keys(self.folder, "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
        for key, says in ((locked, "has a passphrase"), (self.path("private.pem"), "Ed25519"),
                          (self.source, "no private key"), (self.path("none.pem"), "No such")):
            self.image.unlink(missing_ok=True)
            done = self.convert("--as", "lime", "--sign", key)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(says, done.stderr.decode())
            self.assertFalse(self.image.exists())

    def test_killed(self):
        """Whatever is there after SIGKILL is a prefix, and what was noted down is as it was."""
        self.source.write_bytes(lime_record(0x100000, bytes(3 * MIB) + 6 * self.data))
        for image_format in ("lime", "raw", "kdump", "lime --compress zstd"):
            for wait in (0.05, 0.15, 0.4, 0.8):
                for path in self.folder.glob("image*"):
                    path.unlink()
                with subprocess.Popen([TOOL, "convert", self.source, self.image, "--rate", "20M",
                                       "--as", *image_format.split()],
                                      stderr=subprocess.DEVNULL) as process:
                    try:
                        process.wait(wait)
                    except subprocess.TimeoutExpired:
                        process.kill()
                if not self.image.exists() or not list(self.folder.glob("image.manifest.*")):
                    continue # not begun yet
                with self.subTest(image_format, wait=wait):
                    found = self.found("prefix")
                    self.assertEqual((found["proof"], found["damage"]), ("journal", []))
                    if found["segments"] > 1:
                        self.flip(MIB // 2)
                        self.found("damaged")


class OneGibibyte(Case):
    def test_random_flips(self):
        """One bit of a sparse GiB: all of it once, then the segment and its neighbours."""
        size, chance = 1 << 30, random.Random(3)
        flips = int(os.environ.get("KIOKU_FLIPS", "50"))
        self.image.write_bytes(self.data)
        os.truncate(self.image, size)
        zeros = hashlib.sha256(bytes(MIB)).digest()
        digests = making.segment_digests(self.data[:5 * MIB])
        digests.append(hashlib.sha256(self.data[5 * MIB:] + bytes(MIB * 3 // 4)).digest())
        digests += [zeros] * (1024 - len(digests))
        self.put_manifest(making.manifest(size, digests))
        for number in range(flips):
            offset, bit = chance.randrange(size), chance.randrange(8)
            megabyte = offset // MIB
            self.flip(offset, bit)
            start = max(megabyte - 1, 0) * MIB
            options = ("--range", f"{start}-{min(start + 3 * MIB, size) - 1}") if number else ()
            found = self.found("damaged", *options)
            self.assertEqual([(run["megabyte"], run["size"]) for run in found["damage"]],
                             [(megabyte, MIB)])
            self.flip(offset, bit)
        self.found("intact")


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
