#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""kioku report: the file it writes, and what a real browser makes of the page. Runs kioku-fake, whose
scenarios have hostile names. usage: test_report.py KIOKU-FAKE [TEST...]"""

import html.parser
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import browser

TOOL = None
HOSTILE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def run(*arguments, **options):
    return subprocess.run([TOOL, "report", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=400, **options)


class Elements(html.parser.HTMLParser):
    """What a parser that is not the browser's finds."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attributes]


class File(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.path = self.folder / "report.html"

    def test_it_is_whole_and_for_its_owner(self):
        done = run("image", "-o", str(self.path))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertTrue(self.path.read_text("utf-8").endswith("</html>\n"))
        self.assertEqual([*self.folder.iterdir()], [self.path])

    def test_an_older_one_is_replaced(self):
        self.path.write_text("old")
        self.assertEqual(run("image", "-o", str(self.path)).returncode, 0)
        self.assertIn("<h2", self.path.read_text("utf-8"))

    def test_a_failure_leaves_the_older_one(self):
        self.path.write_text("old")
        self.assertEqual(run("nokernel", "-o", str(self.path)).returncode, 1)
        self.assertEqual(run("image", "-o", str(self.folder / "no/report.html")).returncode, 1)
        self.assertEqual(self.path.read_text(), "old")
        self.assertEqual([*self.folder.iterdir()], [self.path])

    def test_the_image_is_refused(self):
        self.path.write_text("memory")
        self.assertEqual(run(str(self.path), "-o", str(self.path)).returncode, 2)
        self.assertEqual(self.path.read_text(), "memory")

    def test_stdout(self):
        done = run("image", "-o", "-")
        self.assertEqual(done.returncode, 0)
        self.assertTrue(done.stdout.startswith(b"<!DOCTYPE html>"))

    def test_usage(self):
        self.assertEqual(run("image").returncode, 2)

    def test_a_full_disk_is_a_failure(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([TOOL, "report", "image", "-o", "-"], stdout=full,
                                  stderr=subprocess.PIPE, timeout=400)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cannot write", done.stderr)

    def test_gaps_are_told(self):
        done = run("gaps", "-o", "-")
        self.assertEqual(done.returncode, 3)
        text = done.stdout.decode()
        self.assertIn("task at 0x0: &quot;evil\\x1b0&quot; is lost", text)
        # Those too that stderr only counts.
        self.assertIn("task at 0x1d000", text)
        self.assertRegex(text, r'<a href="#diagnostics" class="alarm">60</a>')

    def test_a_view_that_breaks_is_told(self):
        done = run("breaks", "-o", "-")
        self.assertEqual(done.returncode, 3)
        self.assertIn("Not all is here: the list has no end", done.stdout.decode())

    def test_a_view_that_cannot_run_is_told(self):
        done = run("notypes", "-o", "-")
        self.assertEqual(done.returncode, 3)
        self.assertIn("Not all is here: task_struct.pid is unknown", done.stdout.decode())

    def test_what_rows_rest_on_is_told(self):
        plain = run("image", "-o", "-").stdout.decode()
        self.assertNotIn("basis", re.sub(r"<script>.*?</script>", "", plain, flags=re.S))
        for basis in ("inferred", "forced"):
            text = run(basis, "-o", "-").stdout.decode()
            self.assertIn(f"Rows whose basis is <em>{basis}</em>", text)
            tables = dict(re.findall(r'<table id="table-(\w+)".*?(<thead>.*?)</table>', text, re.S))
            for name in ("pstree", "timeline"):
                self.assertRegex(tables[name], r'<th[^>]*>basis</th></tr></thead>')
                rows = tables[name].count("<tr") - 1
                self.assertEqual(tables[name].count(f">{basis}</td></tr>"), rows - 1, name)

    def test_what_the_manifest_says(self):
        self.assertIn("There is no manifest", run("image", "-o", "-").stdout.decode())
        text = run("proven", "-o", "-").stdout.decode()
        self.assertIn("e3b0c442", text)
        self.assertIn("&lt;img src=x onerror=alert(1)&gt;\\x1b[2J", text)

    def test_nothing_hostile_gets_through(self):
        text = run("hostile", "-o", "-").stdout.decode()
        self.assertIsNone(HOSTILE.search(text.replace("\t", "")))
        found = Elements(text)
        # The page's own: two blocks of data and the script; no element that loads anything.
        self.assertEqual(found.tags.count("script"), 3)
        self.assertFalse({"img", "link", "iframe", "object", "base"} & set(found.tags))
        for tag, name, value in found.attributes:
            self.assertFalse(name.startswith("on") or name in ("src", "style"), (tag, name))
            self.assertTrue(name != "href" or value.startswith("#"), value)
        for data in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.S):
            json.loads(data)


class Page(unittest.TestCase):
    """In a browser."""

    @classmethod
    def setUpClass(cls):
        path = browser.find()
        if not path:
            raise unittest.SkipTest("no Chromium is installed")
        cls.browser = browser.Browser(path)
        cls.addClassCleanup(cls.browser.close)
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.urls = {}
        for scenario in ("proven", "hostile", "many"):
            path = f"{folder.name}/{scenario}.html"
            if run(scenario, "-o", path).returncode not in (0, 3):
                raise RuntimeError(f"no page of {scenario}")
            cls.urls[scenario] = f"file://{path}"

    def open(self, scenario, **options):
        self.browser.open(self.urls[scenario], **options)

    def run_script(self, text):
        return self.browser.run(text)

    def column(self, number, limit=20):
        return self.run_script("[...document.querySelectorAll('#table-pstree tbody tr')]"
                               f".slice(0, {limit}).map(row => row.cells[{number}].textContent)")

    def search(self, text):
        self.run_script("(() => { const input = document.getElementById('search');"
                        f"input.value = {json.dumps(text)};"
                        "document.getElementById('search-form').requestSubmit(); })()")

    def press(self, heading):
        self.run_script("[...document.querySelectorAll('#table-pstree thead button')]"
                        f".find(button => button.textContent === '{heading}').click()")

    def check_quiet(self):
        self.assertEqual(self.browser.complaints(), [])

    def test_it_is_quiet_and_asks_nobody(self):
        for scenario in self.urls:
            self.open(scenario)
            self.assertEqual(self.run_script("'ready' in document.documentElement.dataset"), True)
            self.check_quiet()

    def test_the_policy_stops_others(self):
        self.open("proven")
        self.run_script("(() => { const made = document.createElement('script');"
                        "made.textContent = 'window.ran = 1'; document.body.append(made);"
                        "document.body.insertAdjacentHTML('beforeend',"
                        "'<img src=https://example.com/x.png onerror=\"window.ran = 2\">') })()")
        self.run_script("new Promise(done => setTimeout(done, 300))")
        self.assertIsNone(self.run_script("window.ran"))

    def test_search(self):
        self.open("proven")
        self.search("EVIL")
        # What was found, below what it is of.
        self.assertEqual(self.column(0), ["init", "evil\\x1b[31m\\x0a\\x09\\x7f"])
        self.assertRegex(self.run_script("document.getElementById('found').textContent"),
                         r"^\d+ rows match$")
        self.search("nothing has this")
        self.assertEqual(self.column(0), [])
        self.search("")
        self.assertEqual(len(self.column(0)), 8)
        self.check_quiet()

    def test_sort(self):
        self.open("proven")
        self.press("pid")
        self.assertEqual(self.column(1), ["1", "10", "11", "12", "13", "20", "21", "30"])
        self.press("pid")
        self.assertEqual(self.column(1), ["30", "21", "20", "13", "12", "11", "10", "1"])
        self.assertEqual(self.run_script("document.querySelector('#table-pstree [aria-sort]')"
                                         ".getAttribute('aria-sort')"), "descending")
        self.press("pid")
        self.assertEqual(self.column(1), ["1", "10", "11", "12", "13", "20", "21", "30"])
        # What is absent stands at the end, either way.
        for _ in range(2):
            self.press("start_time")
            self.assertEqual(set(self.column(2)[-2:]), {"\u2013", "unreadable"})

    def test_fold(self):
        self.open("proven")
        self.run_script("document.querySelector('#table-pstree .fold').click()")
        self.assertEqual(self.column(1), ["1", "30"])
        self.assertEqual(self.run_script("document.activeElement.getAttribute('aria-expanded')"),
                         "false")
        self.run_script("document.activeElement.click()")
        self.assertEqual(len(self.column(1)), 8)

    def test_hostile_names_are_text(self):
        self.open("hostile")
        self.search("alert")
        names = self.column(0, 2000)
        for name in ("<script>alert(1)</script>", "</script><script>alert(2)</script>",
                     "\"'><img src=x onerror=alert(3)>"):
            self.assertIn(name, names)
        self.assertEqual(self.run_script("document.querySelectorAll('img').length"), 0)
        self.check_quiet()

    def test_layout(self):
        for scenario in self.urls:
            for width in (360, 768, 1280):
                with self.subTest(scenario=scenario, width=width):
                    self.open(scenario, width=width, height=740)
                    self.assertLessEqual(
                        self.run_script("document.documentElement.scrollWidth"), width)
                    wide = ("[...document.querySelectorAll('body *')].filter(found => "
                            f"found.getBoundingClientRect().right > {width + 1} && "
                            "!found.closest('.scroll')).map(found => found.outerHTML.slice(0, 99))")
                    self.assertEqual(self.run_script(wide), [])
                    self.assertLess(self.run_script("Math.max(...[...document.querySelectorAll("
                                                    "'tbody tr')].map(row => row.offsetHeight))"),
                                    700)

    def test_paper(self):
        self.open("hostile")
        paper = self.browser.print()
        self.assertTrue(paper.startswith(b"%PDF-"))
        self.assertGreater(len(re.findall(rb"/Type\s*/Page\b", paper)), 10)
        self.check_quiet()

    def test_many_rows(self):
        """200,000 of them: a browser neither hangs nor shows them all at once."""
        self.open("many")
        self.assertLess(self.run_script("document.querySelectorAll('tr').length"), 3000)
        self.assertIn("the first 200 of 200,000", self.run_script(
            "document.querySelector('#pstree .status').textContent"))
        spent = self.run_script("(() => { const start = performance.now();"
                                "document.querySelectorAll('#table-pstree thead button')[2].click();"
                                "return performance.now() - start })()")
        self.assertLess(spent, 20000)
        self.search("evil")
        # They are sorted, so that it is no tree.
        self.assertEqual(self.column(0, 2), 2 * ["evil\\x1b[31m\\x0a\\x09\\x7f"])
        self.check_quiet()

    def test_without_script(self):
        self.open("many", script=False)
        # The protocol still runs what it is asked to.
        self.browser.call("Emulation.setScriptExecutionDisabled", value=False)
        self.assertEqual(len(self.column(0, 5000)), 2000)
        self.assertIn("only the first 2000 of 200000 rows", self.run_script(
            "document.querySelector('#pstree noscript').textContent"))


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
