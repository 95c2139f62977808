/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manifests and journals, there and back, and what is refused. */
#include "base/cleanup.h"
#include "format/manifest_format.h"
#include "tap.h"

#define HEX    "0123456789abcdef"
#define MD5    HEX HEX
#define SHA256 HEX HEX HEX HEX

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static void *one(const void *data, size_t size)
{
	return memcpy(malloc(size), data, size);
}

/* Two ranges, 2.5 segments, everything set. */
static struct manifest example(void)
{
	struct manifest_range ranges[] = {
		{ 0x1000, 0x9ec00, copy("r12z147") },
		{ 0x100000, 0x3000, copy("p1t1o1") },
	};
	struct manifest_segment segments[3] = { { .begin = 0, .end = 0.25 },
						{ .begin = 0.25, .end = 1.000001 },
						{ .begin = 1, .end = 99.5 } };
	struct manifest_error error = { 0x100000, 4096, copy("Bad address") };
	struct manifest_refusal refusal = { copy("kcore"), copy("no \"file\"") };
	struct manifest_file context = { copy("a.context.tar.gz"), NULL, 77, copy(SHA256) };
	struct manifest_file swap = { copy("a.swap0"), copy("/dev/sda2"), 4096, copy(SHA256) };
	struct manifest out = {
		.tool_version = copy("0.1.0"),
		.complete = true,
		.started = copy("2026-01-02T03:04:05Z"),
		.ended = copy("2026-01-02T03:05:05Z"),
		.host_name = copy("victim"),
		.release = copy("6.1.0"),
		.version = copy("#1 SMP"),
		.machine = copy("x86_64"),
		.boot_id = copy("b2f0"),
		.cmdline = copy("quiet \\x41 \xff\xc3\xa9\xed\xa0\x80 \"\t\x7f\\"),
		.process = copy("{\"pid\": 7, \"threads\": [{\"tid\": 7, \"name\": \"\\\\x41\"}]}"),
		.where = copy("live"),
		.driver = copy("devcrash"),
		.refusals = one(&refusal, sizeof(refusal)),
		.refusal_count = 1,
		.image_name = copy("a.lime"),
		.image_format = copy("lime"),
		.image_codec = copy(""),
		.image_md5 = copy(MD5),
		.image_sha256 = copy(SHA256),
		.image_size = 2 * MANIFEST_SEGMENT_SIZE + MANIFEST_SEGMENT_SIZE / 2,
		.memory_md5 = copy(MD5),
		.memory_sha256 = copy(SHA256),
		.ranges = one(ranges, sizeof(ranges)),
		.range_count = 2,
		.segments = one(segments, sizeof(segments)),
		.segment_count = 3,
		.root = copy(SHA256),
		.errors = one(&error, sizeof(error)),
		.error_count = 1,
		.context = one(&context, sizeof(context)),
		.swaps = one(&swap, sizeof(swap)),
		.swap_count = 1,
		.peak_memory = 9 << 20,
		.cpu_seconds = 1.5,
	};

	for (size_t i = 0; i < 3; i++)
		memset(out.segments[i].sha256, (int)(0xa0 + i), MANIFEST_HASH_SIZE);
	return out;
}

static char *encode(const struct manifest *manifest)
{
	char *text;
	size_t size;

	CHECK(manifest_encode(manifest, &text, &size, NULL) == KIOKU_OK);
	CHECK_EQUAL(strlen(text), size);
	return text;
}

static struct bytes bytes_of(const char *text)
{
	return (struct bytes){ (const uint8_t *)text, strlen(text) };
}

static void is_the_same_there_and_back(void)
{
	struct manifest manifest = example(), again;
	struct kioku_error error = { 0 };
	AUTO_FREE char *text = encode(&manifest);

	if (manifest_decode(bytes_of(text), &again, &error) != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "%s", error.message);
	CHECK(strcmp(again.cmdline, manifest.cmdline) == 0);
	CHECK(strcmp(again.process, manifest.process) == 0);
	CHECK(again.complete && !again.iomem_changed && !again.converted_from);
	CHECK_EQUAL(again.segment_count, 3);
	CHECK(again.segments[2].is_known && again.segments[2].sha256[31] == 0xa2);
	CHECK(again.segments[1].end > 1.0000009 && again.segments[1].end < 1.0000011);
	CHECK_EQUAL(again.ranges[0].size, 0x9ec00);
	CHECK(!again.context->origin && strcmp(again.swaps[0].origin, "/dev/sda2") == 0);
	CHECK(strcmp(again.image_codec, "") == 0);
	AUTO_FREE char *text_again = encode(&again);
	CHECK(strcmp(text, text_again) == 0);
	manifest_release(&again);
	manifest_release(&manifest);
}

static void takes_the_least(void)
{
	struct manifest manifest = { 0 }, again;
	AUTO_FREE char *text = encode(&manifest);

	CHECK(manifest_decode(bytes_of(text), &again, NULL) == KIOKU_OK);
	CHECK(again.host_name == NULL && strcmp(again.root, "") == 0);
	manifest_release(&again);
}

/* text with the first from replaced. */
static char *edited(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	char *out;

	CHECK(at);
	CHECK(asprintf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) > 0);
	return out;
}

static void refuses_contradictions(void)
{
	static const struct {
		const char *from, *to, *says;
	} edits[] = {
		{ "\"kioku_manifest\": 1", "\"kioku_manifest\": 2", "version 2" },
		{ "1048576", "4096", "segments have 4096" },
		{ "{", "[", "an object is expected" },
		{ "\"complete\": true,", "", "complete is missing" },
		{ "\"complete\": true,", "\"complete\": true, \"complete\": true,", "there twice" },
		{ "\"complete\": true,", "\"complete\": 1,", "neither true nor false" },
		{ "\"root\"", "\"roof\"", "root is missing" },
		{ "r12z147", "r12z146", "fewer pages" },
		{ "r12z147", "r12z148", "more pages" },
		{ "r12z147", "r12z147r99999999999999999999", "not runs" },
		{ "r12z147", "r12q147", "not runs" },
		{ "r12z147", "r12r147", "counts are not those" },
		{ "r12z147", "r12z", "not runs" },
		{ "\"r12z147\"", "null", "not a string" },
		{ "\"r12z147\"", "\"r12z147\\u0000\"", "NUL" },
		{ "0x1000\"", "0x9fc00\"", "ends before it starts" },
		{ "0x100000\"", "0x9f000\"", "overlap" },
		{ "0x100000\"", "100000\"", "not an address" },
		{ "a0a0a0", "a0a0", "not a digest" },
		{ "a0a0a0", "A0a0a0", "not a digest" },
		{ "\"size\": 2621440", "\"size\": 2097152", "3 segments are not those" },
		{ "\"size\": 2621440", "\"size\": 3145729", "3 segments are not those" },
		{ "\"size\": 2621440", "\"size\": -1", "not a number" },
		{ "\"size\": 2621440", "\"size\": 1e3", "not a number" },
		{ "\"size\": 2621440", "\"size\": 99999999999999999999", "not a number" },
		{ "\"size\": 77", "\"size\": {}", "single value" },
		{ "\"begin\": 0.25", "\"begin\": NaN", "" },
		{ "\"begin\": 0.25", "\"begin\": -1", "time" },
		{ "a.swap0", "../passwd", "plain file name" },
		{ "a.swap0", "..", "plain file name" },
		{ "quiet", "quiet \\\\q", "backslash" },
		{ "quiet", "quiet \\\\x0", "backslash" },
		{ "quiet", "quiet \xff", "" },
		{ "\"complete\"", "\"other\": [[[[[[[[[[[[]]]]]]]]]]]], \"complete\"", "" },
		{ "\n}\n", "\n}\n}", "something follows" },
	};
	struct manifest manifest = example(), again;
	AUTO_FREE char *text = encode(&manifest);

	for (size_t i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
		struct kioku_error error = { 0 };
		AUTO_FREE char *wrong = edited(text, edits[i].from, edits[i].to);
		if (manifest_decode(bytes_of(wrong), &again, &error) == KIOKU_OK)
			tap_fail(__FILE__, __LINE__, "%s for %s", edits[i].to, edits[i].from);
		CHECK_SAYS(error.message, edits[i].says);
		manifest_release(&again);
	}
	manifest_release(&manifest);
}

static void takes_what_later_versions_add(void)
{
	struct manifest manifest = example(), again;
	AUTO_FREE char *text = encode(&manifest);
	AUTO_FREE char *more =
		edited(text, "\"complete\"", "\"new\": [1, {\"a\": []}], \"complete\"");

	CHECK(manifest_decode(bytes_of(more), &again, NULL) == KIOKU_OK);
	manifest_release(&again);
	manifest_release(&manifest);
}

/* Its maker may have thousands of threads, and older kiokus had no such member. */
static void takes_any_process(void)
{
	struct manifest manifest = example(), again;
	AUTO_FREE char *text = encode(&manifest), *filler = malloc(4u << 20);
	size_t size = 0;

	while (size < 3u << 20)
		size += (size_t)sprintf(filler + size, "\"an argument\", ");
	sprintf(filler + size, "{}");
	AUTO_FREE char *process;
	CHECK(asprintf(&process, "{\"command_line\": [%s]}", filler) > 0);
	AUTO_FREE char *large = edited(text, manifest.process, process);
	CHECK(manifest_decode(bytes_of(large), &again, NULL) == KIOKU_OK);
	CHECK(strcmp(again.process, process) == 0);
	manifest_release(&again);

	AUTO_FREE char *none = edited(text, "\"process\": ", "\"earlier\": ");
	CHECK(manifest_decode(bytes_of(none), &again, NULL) == KIOKU_OK && !again.process);
	manifest_release(&again);
	AUTO_FREE char *odd = edited(text, manifest.process, "[]");
	CHECK(manifest_decode(bytes_of(odd), &again, NULL) == KIOKU_ERROR_CORRUPT);
	manifest_release(&again);
	manifest_release(&manifest);
}

static void makes_a_line_of_an_object(void)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
		{ "", "an object is expected" },
		{ "[1]", "an object is expected" },
		{ "{} {}", "something follows" },
		{ "{\"pid\": 1]", "a comma or a closing brace" },
		{ "{\"pid\": }", "" },
		{ "{pid: 1}", "name is expected" },
		{ "{\"name\": \"\xff\"}", "" },
	};
	char *line;

	CHECK(manifest_object_line(bytes_of(" {\n\t\"pid\": 1,\r\n\t\"stops\": []\n}\n"), &line,
				   NULL) == KIOKU_OK);
	CHECK(strcmp(line, "{ \t\"pid\": 1,  \t\"stops\": [] }") == 0);
	free(line);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct kioku_error error = { 0 };
		CHECK(manifest_object_line(bytes_of(wrong[i].text), &line, &error) ==
		      KIOKU_ERROR_CORRUPT);
		CHECK(!line);
		CHECK_SAYS(error.message, wrong[i].says);
	}
}

static void survives_every_truncation(void)
{
	struct manifest manifest = example(), again;
	AUTO_FREE char *text = encode(&manifest);
	size_t size = strlen(text);

	for (size_t length = 0; length < size - 1; length++) {
		AUTO_FREE uint8_t *part = one(text, length ? length : 1);
		CHECK(manifest_decode((struct bytes){ part, length }, &again, NULL) ==
		      KIOKU_ERROR_CORRUPT);
		manifest_release(&again);
	}
	manifest_release(&manifest);
}

/* RFC 6962 section 2.1, by the definition: a tree of n leaves splits at the power of two below n. */
static void roots_are_those_of_the_rfc(void)
{
	/* Of leaves 32 * 0x00, 32 * 0x01, ...; from an independent implementation in Python. */
	static const struct {
		size_t count;
		uint8_t start[8];
	} known[] = {
		{ 0, { 0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14 } },
		{ 1, { 0x7f, 0x9c, 0x9e, 0x31, 0xac, 0x82, 0x56, 0xca } },
		{ 2, { 0x28, 0xfb, 0x81, 0xe4, 0x96, 0x89, 0x7e, 0x0c } },
		{ 3, { 0xba, 0x8d, 0x94, 0xb7, 0xfb, 0xce, 0xca, 0xe7 } },
		{ 4, { 0xfd, 0xea, 0x52, 0x00, 0x8c, 0xda, 0xe7, 0x9f } },
		{ 5, { 0x85, 0xe2, 0x0c, 0xac, 0x1f, 0x02, 0xfd, 0xa7 } },
		{ 7, { 0x73, 0x18, 0x88, 0x1c, 0x41, 0xfc, 0xe3, 0xc1 } },
		{ 8, { 0xf9, 0x07, 0xf2, 0x3f, 0x76, 0xaa, 0x01, 0xb7 } },
		{ 13, { 0xce, 0xbc, 0xf8, 0xc0, 0xa7, 0x74, 0x18, 0xc0 } },
	};
	struct manifest_segment segments[13] = { 0 };
	uint8_t root[MANIFEST_HASH_SIZE];

	for (size_t i = 0; i < 13; i++)
		memset(segments[i].sha256, (int)i, MANIFEST_HASH_SIZE);
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		CHECK(manifest_root(segments, known[i].count, root));
		CHECK(memcmp(root, known[i].start, 8) == 0);
	}
}

static void root_is_checked_apart(void)
{
	struct manifest manifest = example();
	bool fits;

	CHECK(manifest_check_root(&manifest, &fits, NULL) == KIOKU_OK && !fits);
	uint8_t root[MANIFEST_HASH_SIZE];
	CHECK(manifest_root(manifest.segments, 3, root));
	for (size_t i = 0; i < sizeof(root); i++)
		sprintf(manifest.root + 2 * i, "%02x", root[i]);
	CHECK(manifest_check_root(&manifest, &fits, NULL) == KIOKU_OK && fits);
	manifest_release(&manifest);
}

static char *journal(const struct manifest *manifest, const uint64_t *indexes, size_t count)
{
	char *text = journal_head(manifest);

	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *before = text;
		AUTO_FREE char *line = journal_line(indexes[i], &manifest->segments[i]);
		CHECK(asprintf(&text, "%s%s", before, line) > 0);
	}
	return text;
}

static void journals_grow_by_lines(void)
{
	static const uint64_t indexes[] = { 0, 7, 1 };
	struct manifest manifest = example(), again;
	AUTO_FREE char *text = journal(&manifest, indexes, 3);
	size_t size = strlen(text), lines = 0;

	CHECK(journal_decode(bytes_of(text), &again, NULL) == KIOKU_OK);
	CHECK(strcmp(again.cmdline, manifest.cmdline) == 0);
	CHECK(!again.complete && again.range_count == 2 && !again.ranges[0].states);
	CHECK_EQUAL(again.segment_count, 8);
	CHECK(again.segments[7].is_known && again.segments[7].sha256[0] == 0xa1);
	CHECK(!again.segments[2].is_known);
	manifest_release(&again);

	/* Cut anywhere behind the first line it is a journal still. */
	for (size_t length = 0; length <= size; length++) {
		lines += length > 0 && text[length - 1] == '\n';
		enum kioku_status status =
			journal_decode((struct bytes){ (uint8_t *)text, length }, &again, NULL);
		CHECK_EQUAL(status, lines > 0 ? KIOKU_OK : KIOKU_ERROR_CORRUPT);
		CHECK_EQUAL(again.segment_count, lines < 2 ? 0 : lines == 2 ? 1 : 8);
		manifest_release(&again);
	}
	manifest_release(&manifest);
}

static void refuses_odd_journals(void)
{
	static const uint64_t twice[] = { 0, 0 }, huge[] = { UINT32_MAX };
	struct manifest manifest = example(), again;
	struct kioku_error error;
	AUTO_FREE char *doubled = journal(&manifest, twice, 2);
	AUTO_FREE char *far = journal(&manifest, huge, 1);

	CHECK(journal_decode(bytes_of(doubled), &again, &error) == KIOKU_ERROR_CORRUPT);
	CHECK_SAYS(error.message, "segment 0 is there twice");
	manifest_release(&again);
	CHECK(journal_decode(bytes_of(far), &again, &error) == KIOKU_ERROR_CORRUPT);
	CHECK_SAYS(error.message, "so many segments");
	manifest_release(&again);
	manifest_release(&manifest);
}

TAP_MAIN(TEST(is_the_same_there_and_back), TEST(takes_the_least), TEST(refuses_contradictions),
	 TEST(takes_what_later_versions_add), TEST(takes_any_process),
	 TEST(makes_a_line_of_an_object), TEST(survives_every_truncation),
	 TEST(roots_are_those_of_the_rfc), TEST(root_is_checked_apart),
	 TEST(journals_grow_by_lines), TEST(refuses_odd_journals))
