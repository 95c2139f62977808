#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Uploads to an S3 server on loopback, which checks signatures, through a proxy that checks digests
and makes faults. usage: test_store.py UPLOAD"""

import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "store"))
import store_server  # noqa: E402

UPLOAD = None
PART = 100_000
SERVER = MISSING = None
IMAGE, MANIFEST = "vm 1+ä.lime", "vm 1+ä.lime.manifest.json"


def setUpModule():
    global SERVER, MISSING
    folder = tempfile.mkdtemp()
    unittest.addModuleCleanup(shutil.rmtree, folder)
    try:
        SERVER = store_server.Server(folder)
        unittest.addModuleCleanup(SERVER.close)
    except store_server.Missing as missing:
        MISSING = str(missing)


class Case(unittest.TestCase):
    """A folder with an image of 4.5 parts and small files, and a prefix of its own in the bucket."""

    certificate = None

    def setUp(self):
        if MISSING:
            self.skipTest(MISSING)
        self.base = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.base)
        self.folder = self.base / "host_20260102-030405"
        self.folder.mkdir()
        chance = random.Random(1)
        self.files = {IMAGE: chance.randbytes(4 * PART + PART // 2), "z.sha256": b"0" * 64,
                      "empty": b"", "one-part": chance.randbytes(PART),
                      MANIFEST: b'{"a": "manifest"}'}
        for name, data in self.files.items():
            (self.folder / name).write_bytes(data)
        self.proxy = store_server.Proxy(SERVER.port, self.certificate)
        self.addCleanup(self.proxy.close)
        self.prefix = "case " + self.id()
        self.url = f"{self.proxy.url}/bucket/{self.prefix.replace(' ', '%20')}"

    def tearDown(self):
        """Every fault was met; 99 stands for always."""
        self.assertFalse([f for f in self.proxy.faults if 0 < f.times < 50])

    def command(self, url=None, credentials="-", ca="-", part=PART, stall=30, region=None):
        return [UPLOAD, url or self.url, self.folder, region or store_server.REGION,
                credentials, ca, str(part), "10", str(stall)]

    @staticmethod
    def environment(**changes):
        secrets = {"AWS_ACCESS_KEY_ID": store_server.ACCESS_KEY,
                   "AWS_SECRET_ACCESS_KEY": store_server.SECRET_KEY}
        return {"PATH": os.environ["PATH"], **secrets, **changes}

    def upload(self, status=0, environment=None, **options):
        done = subprocess.run(self.command(**options), env=environment or self.environment(),
                              capture_output=True, text=True, timeout=120, check=False)
        self.assertNotIn("anitizer", done.stderr)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def refused(self, *says, **options):
        done = self.upload(status=1, **options)
        for text in says:
            self.assertIn(text, done.stderr)
        return done

    def stored(self):
        """Files by name, as the server has them."""
        start = f"{self.prefix}/{self.folder.name}/"
        return {key[len(start):]: data for key, data in SERVER.objects().items()
                if key.startswith(start)}

    def check_stored(self):
        self.assertEqual(self.stored(), self.files)
        for path in SERVER.folder.glob(f"bucket/{self.prefix}/*/*metadata.json"):
            name = path.name[:-len("._S3rver_metadata.json")]
            self.assertEqual(json.loads(path.read_text())["x-amz-meta-sha256"],
                             hashlib.sha256(self.files[name]).hexdigest())

    def check_tidy(self, count=1):
        """Uploads in parts that were begun and not completed were given up by us."""
        self.assertEqual(len(self.proxy.sent("DELETE", "uploadId=")), count)


class Upload(Case):
    def test_byte_by_byte(self):
        done = self.upload()
        self.assertEqual(done.stdout, f"{self.url}/{self.folder.name}/\n")
        self.check_stored()
        self.assertEqual([size for _, _, size in self.proxy.sent("PUT", "partNumber=")],
                         [PART] * 4 + [PART // 2])
        self.assertEqual(len(self.proxy.sent("POST", "uploads=")), 1)
        self.assertIn("manifest.json", self.proxy.requests[-1][1])

    def test_not_sent_again(self):
        self.upload()
        (self.folder / "z.sha256").write_bytes(b"1" * 64)  # of the same size
        self.files["z.sha256"] = b"1" * 64
        self.proxy.requests.clear()
        self.upload()
        self.check_stored()
        self.assertEqual([r[0] for r in self.proxy.requests].count("HEAD"), len(self.files))
        self.assertEqual([r[1].split("/")[-1] for r in self.proxy.requests if r[0] != "HEAD"],
                         ["z.sha256"])

    def test_only_regular_files(self):
        (self.folder / "link").symlink_to("/etc/passwd")
        (self.folder / "folder").mkdir()
        os.mkfifo(self.folder / "fifo")
        self.upload()
        self.check_stored()

    def test_session_token_and_file(self):
        path = self.base / "credentials"
        path.write_text(f"[default]\naws_access_key_id = {store_server.ACCESS_KEY}\n"
                        f"aws_secret_access_key = {store_server.SECRET_KEY}\n"
                        f"aws_session_token = {store_server.TOKEN}\n", encoding="ascii")
        self.upload(credentials=path, environment={"PATH": os.environ["PATH"]})
        self.check_stored()
        wrong = self.environment(AWS_SESSION_TOKEN="another")
        self.files["new"] = b"new"
        (self.folder / "new").write_bytes(b"new")
        self.refused("InvalidToken", environment=wrong)

    def test_many_parts(self):
        """There would be more than 10,000: they become larger."""
        size = 10_500
        self.files[IMAGE] = random.Random(2).randbytes(size)
        (self.folder / IMAGE).write_bytes(self.files[IMAGE])
        self.upload(part=1)
        self.check_stored()
        self.assertFalse(self.proxy.sent("POST", "lime?uploads="))

    def test_credentials_that_may_only_write(self):
        self.proxy.fail("HEAD", "", "denied", 99)
        self.upload()
        self.upload()
        self.check_stored()

    def test_connections_that_are_not_kept(self):
        for method in ("HEAD", "PUT", "POST"):
            self.proxy.fail(method, "", "goodbye", 99)
        self.upload()
        self.check_stored()

    def test_proxies_of_the_environment_are_not_for_loopback(self):
        self.upload(environment=self.environment(http_proxy="http://127.0.0.1:1"))
        self.check_stored()


class Refused(Case):
    def nothing_sent(self):
        self.assertEqual(self.stored(), {})

    def test_wrong_secret(self):
        done = self.refused("refused: ", "SignatureDoesNotMatch",
                            environment=self.environment(AWS_SECRET_ACCESS_KEY="another"))
        self.assertNotIn("another", done.stderr)
        self.nothing_sent()

    def test_wrong_region(self):
        self.refused("AuthorizationHeaderMalformed", region="us-east-1")
        self.nothing_sent()

    def test_no_such_bucket(self):
        self.refused("NoSuchBucket", url=f"{self.proxy.url}/another")

    def test_no_credentials(self):
        self.refused("invalid argument: AWS_ACCESS_KEY_ID", environment={"PATH": ""})
        self.assertEqual(self.proxy.requests, [])

    def test_part_denied(self):
        self.proxy.fail("PUT", "partNumber=3", "denied")
        self.refused("AccessDenied")
        self.check_tidy()
        self.assertNotIn(IMAGE, self.stored())
        self.assertNotIn(MANIFEST, self.stored())
        self.upload()
        self.check_stored()

    def test_redirect_is_not_followed(self):
        other = store_server.Proxy(SERVER.port)
        self.addCleanup(other.close)
        self.proxy.elsewhere = f"{other.url}/bucket/x"
        self.proxy.fail("PUT", "", "redirect", 99)
        self.refused("refused: ", "TemporaryRedirect")
        self.assertEqual(other.requests, [])
        self.nothing_sent()


class Faults(Case):
    """What passes is tried again, what does not is given up."""

    def test_cut_in_a_part(self):
        self.proxy.fail("PUT", "partNumber=2", "cut")
        self.upload()
        self.check_stored()

    def test_cut_everywhere_once(self):
        for method, part in (("HEAD", "empty"), ("HEAD", "lime"), ("PUT", "one-part"),
                             ("POST", "uploads="), ("PUT", "partNumber=1&"),
                             ("PUT", "partNumber=5"), ("POST", "uploadId="), ("PUT", "manifest")):
            self.proxy.fail(method, part, "cut")
        self.upload()
        self.check_stored()

    def test_passing_answers(self):
        for action in ("busy", "unavailable", "timeout"):
            self.proxy.fail("PUT", "one-part", action)
            self.proxy.fail("PUT", "partNumber=4", action)
            self.proxy.fail("POST", "uploads=", action)
        self.upload()
        self.check_stored()
        self.assertEqual(len(self.proxy.sent("PUT", "partNumber=4")), 4)

    def test_error_in_a_200(self):
        self.proxy.fail("POST", "uploadId=", "error-in-200")
        self.upload()
        self.check_stored()
        self.assertEqual(len(self.proxy.sent("POST", "uploadId=")), 2)

    def test_error_in_every_200(self):
        self.proxy.fail("POST", "uploadId=", "error-in-200", 99)
        self.refused("InternalError")
        self.check_tidy()
        self.assertNotIn(IMAGE, self.stored())
        self.assertNotIn(MANIFEST, self.stored())

    def test_nonsense_in_every_200(self):
        self.proxy.fail("POST", "uploads=", "nonsense", 99)
        self.refused("not S3's")
        self.assertNotIn(MANIFEST, self.stored())

    def test_nonsense_for_a_file(self):
        self.proxy.fail("PUT", "one-part", "nonsense", 99)
        self.refused("no ETag")
        self.assertNotIn(MANIFEST, self.stored())

    def test_flood(self):
        self.proxy.fail("POST", "uploads=", "flood", 99)
        self.refused("more than makes sense")

    def test_completed_and_answer_lost(self):
        """What is asked again is refused, but the object is there."""
        self.proxy.fail("POST", "uploadId=", "lost-answer")
        self.upload()
        self.check_stored()

    def test_other_bytes_arrive_once(self):
        self.proxy.fail("PUT", "one-part", "spoilt")
        self.proxy.fail("PUT", "partNumber=2", "spoilt")
        self.upload()
        self.check_stored()

    def test_other_bytes_arrive_always(self):
        self.proxy.fail("PUT", "one-part", "spoilt", 99)
        self.refused("corrupt: ", "one-part: ", "MD5")
        self.assertNotIn("one-part", self.stored())
        self.assertNotIn(MANIFEST, self.stored())

    def test_stall(self):
        self.proxy.fail("PUT", "partNumber=3", "stall")
        self.upload(stall=2)
        self.check_stored()

    def test_nobody_there(self):
        self.proxy.close()
        self.refused("system error: ")

    def test_stop_in_a_part(self):
        self.proxy.fail("PUT", "partNumber=3", "stall")
        with subprocess.Popen(self.command(), env=self.environment(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as process:
            self.assertTrue(self.proxy.stalled.wait(60))
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        self.assertIn("stopped: ", errors)
        self.assertEqual(process.returncode, 1)
        self.check_tidy()
        self.assertFalse(self.proxy.sent("PUT", "partNumber=4"))
        self.assertNotIn(MANIFEST, self.stored())


class Https(Case):
    """With a certificate that the test makes."""

    address = "127.0.0.1"

    def setUp(self):
        if MISSING:
            self.skipTest(MISSING)
        keys = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, keys)
        self.certificate, self.ca = keys / "store.pem", keys / "store.pem.crt"
        try:
            store_server.make_certificate(self.certificate, self.address)
        except store_server.Missing as missing:
            self.skipTest(str(missing))
        super().setUp()

    def test_byte_by_byte(self):
        self.upload(ca=self.ca)
        self.check_stored()

    def test_cut_in_a_part(self):
        self.proxy.fail("PUT", "partNumber=2", "cut")
        self.upload(ca=self.ca)
        self.check_stored()

    def test_unknown_certificate(self):
        self.refused("refused: ", "certificate")
        self.assertEqual(self.proxy.requests, [])

    def test_another_certificate(self):
        other = self.base / "other.pem"
        store_server.make_certificate(other)
        self.refused("refused: ", "certificate", ca=f"{other}.crt")
        self.assertEqual(self.proxy.requests, [])


class HttpsOfAnother(Https):
    """A certificate that is trusted and for another address."""

    address = "192.0.2.1"
    test_cut_in_a_part = test_unknown_certificate = test_another_certificate = None

    def test_byte_by_byte(self):
        self.refused("refused: ", "certificate", ca=self.ca)
        self.assertEqual(self.proxy.requests, [])


if __name__ == "__main__":
    UPLOAD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
