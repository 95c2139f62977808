/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is captured is what was there: every format and codec, to files and streams. */
#include "test_capture.h"

#include <openssl/evp.h>

static void check_verdict(const char *image, enum kioku_verdict verdict, enum kioku_proof proof)
{
	struct kioku_verify_result result = verify_image(image);

	if (result.verdict != verdict || result.proof != proof)
		tap_fail(__FILE__, __LINE__, "%s: verdict %d by proof %d", image, result.verdict,
			 result.proof);
}

static void hex_digest(const char *name, const void *data, size_t size, char *out)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned length = 0;

	CHECK(EVP_Digest(data, size, hash, &length, EVP_get_digestbyname(name), NULL) == 1);
	for (unsigned i = 0; i < length; i++)
		sprintf(out + 2 * i, "%02x", hash[i]);
}

static void check_sidecar(const char *image, const char *kind, const char *hex)
{
	char path[128], line[256];

	snprintf(path, sizeof(path), "%s.%s", image, kind);
	snprintf(line, sizeof(line), "%s  %s\n", hex, image);
	struct bytes text = read_file(path);
	CHECK(strcmp((const char *)text.data, line) == 0);
	free((void *)text.data);
}

static void check_digests(const struct kioku_capture_result *result, const char *image)
{
	struct bytes file = read_file(image);
	char hex[2 * EVP_MAX_MD_SIZE + 1];

	CHECK_EQUAL(result->image_size, file.size);
	hex_digest("MD5", file.data, file.size, hex);
	CHECK_SAYS(result->image_md5, hex);
	check_sidecar(image, "md5", hex);
	hex_digest("SHA256", file.data, file.size, hex);
	CHECK_SAYS(result->image_sha256, hex);
	check_sidecar(image, "sha256", hex);
	free((void *)file.data);
}

/* Ranges one after another. */
static void check_raw(const char *image)
{
	struct bytes file = read_file(image);
	const uint8_t *next = file.data;

	CHECK_EQUAL(file.size, test_memory_size());
	for (size_t i = 0; i < TEST_RANGE_COUNT; i++)
		for (uint64_t j = 0; j < test_ranges[i].size; j++)
			CHECK(*next++ == memory_byte(test_ranges[i].start + j));
	free((void *)file.data);
}

/* The digest of memory is that of the raw format, which is nothing but memory. */
static void round_trips(void)
{
	static const char *const images[] = {
		"a.raw",     "a.lime",     "a.mem",      "a.padded",    "a.elf",
		"a.avml",    "a.kdump",    "a.lime.zst", "a.mem.zst",   "a.raw.gz",
		"a.lime.gz", "a.lime.lz4", "a.elf.zst",  "a.kdump.lz4", "a.avml.gz",
	};
	struct test_capture test;
	char memory_md5[33] = "", memory_sha256[65] = "";

	enter_folder();
	write_memory("source");
	for (size_t i = 0; i < sizeof(images) / sizeof(*images); i++) {
		capture_init(&test);
		if (capture_path(&test, "source", images[i]) != KIOKU_OK)
			tap_fail(__FILE__, __LINE__, "%s: %s", images[i], test.error.message);
		CHECK(test.result.complete && test.result.lost_size == 0);
		CHECK_EQUAL(test.result.memory_size, test_memory_size());
		CHECK_EQUAL(test.heard.gaps, 0);
		check_digests(&test.result, images[i]);
		check_verdict(images[i], KIOKU_INTACT, KIOKU_PROOF_MANIFEST);
		if (i == 0)
			check_raw(images[i]);
		else if (!strstr(images[i], ".raw"))
			check_image(images[i]);
		if (i == 0) {
			memcpy(memory_md5, test.result.image_md5, sizeof(memory_md5));
			memcpy(memory_sha256, test.result.image_sha256, sizeof(memory_sha256));
		}
		CHECK_SAYS(test.result.memory_md5, memory_md5);
		CHECK_SAYS(test.result.memory_sha256, memory_sha256);
		CHECK(!exists("a.lime.manifest.partial"));
	}
	leave_folder();
}

static void any_number_of_threads(void)
{
	struct test_capture test;
	char first[65] = "";

	enter_folder();
	write_memory("source");
	for (unsigned threads = 1; threads <= 8; threads++) {
		capture_init(&test);
		test.options.threads = threads;
		CHECK_EQUAL(capture_path(&test, "source", "a.elf.zst"), KIOKU_OK);
		if (threads == 1)
			memcpy(first, test.result.image_sha256, sizeof(first));
		CHECK_SAYS(test.result.image_sha256, first);
		check_image("a.elf.zst");
		CHECK_EQUAL(unlink("a.elf.zst"), 0);
		unlink("a.elf.zst.manifest.json");
		unlink("a.elf.zst.md5");
		unlink("a.elf.zst.sha256");
	}
	leave_folder();
}

/* Runs a command on a pipe that the capture writes to. */
static FILE *pipe_to(const char *command)
{
	FILE *pipe = popen(command, "we");

	CHECK(pipe);
	CHECK(dup2(fileno(pipe), STDOUT_FILENO) == STDOUT_FILENO);
	return pipe;
}

static void writes_streams(void)
{
	static const char *const formats[] = { "lime", "raw", "padded", "elf", "avml", "kdump" };
	struct test_capture test;
	int saved = dup(STDOUT_FILENO);
	char command[64];

	enter_folder();
	write_memory("source");
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		capture_init(&test);
		test.options.format = formats[i];
		test.options.manifest = "out.manifest.json";
		snprintf(command, sizeof(command), "cat > out");
		fflush(stdout);
		FILE *pipe = pipe_to(command);
		capture_path(&test, "source", "-");
		CHECK(dup2(saved, STDOUT_FILENO) == STDOUT_FILENO);
		CHECK_EQUAL(pclose(pipe), 0);
		CHECK_EQUAL(test.status, KIOKU_OK);
		CHECK_EQUAL(test.result.image_size, file_size("out"));
		check_verdict("out", KIOKU_INTACT, KIOKU_PROOF_MANIFEST);
		if (i != 1)
			check_image("out");
		CHECK(!exists("out.manifest.partial") && !exists("out.md5"));
		CHECK_EQUAL(unlink("out"), 0);
		CHECK_EQUAL(unlink("out.manifest.json"), 0);
	}
	close(saved);
	leave_folder();
}

static void counts_what_is_missing(void)
{
	struct test_capture test;
	struct manifest manifest;
	uint64_t cut = 0x123456;

	enter_folder();
	write_memory("source");
	CHECK_EQUAL(truncate("source", (off_t)(file_size("source") - cut)), 0);
	capture_init(&test);
	CHECK_EQUAL(capture_path(&test, "source", "a.lime"), KIOKU_OK);
	CHECK(test.result.complete);
	CHECK_EQUAL(test.result.lost_size, cut);
	CHECK_EQUAL(test.result.memory_size, test_memory_size());
	CHECK_EQUAL(test.heard.gaps, 1);
	CHECK_SAYS(test.heard.last, "1193046 bytes of memory at physical address 0x100dcbab");
	read_manifest("a.lime.manifest.json", &manifest);
	CHECK_EQUAL(manifest.range_count, TEST_RANGE_COUNT + 1);
	CHECK(strcmp(manifest.ranges[TEST_RANGE_COUNT].states, "m293") == 0);
	CHECK_EQUAL(manifest.error_count, 1);
	CHECK_EQUAL(manifest.errors[0].size, cut);
	manifest_release(&manifest);
	leave_folder();
}

static void remembers_what_was_converted(void)
{
	struct test_capture test;
	struct manifest manifest;
	char first[65];

	enter_folder();
	write_memory("source");
	capture_init(&test);
	CHECK_EQUAL(capture_path(&test, "source", "a.lime"), KIOKU_OK);
	memcpy(first, test.result.image_sha256, sizeof(first));
	CHECK_EQUAL(capture_path(&test, "lime:a.lime", "b\\n.elf"), KIOKU_OK);
	read_manifest("b\\n.elf.manifest.json", &manifest);
	CHECK_SAYS(manifest.converted_from, first);
	manifest_release(&manifest);
	CHECK_EQUAL(unlink("a.lime.manifest.json"), 0);
	CHECK_EQUAL(capture_path(&test, "a.lime", "c.elf"), KIOKU_OK);
	read_manifest("c.elf.manifest.json", &manifest);
	CHECK_SAYS(manifest.converted_from, first);
	manifest_release(&manifest);
	CHECK_EQUAL(system("sha256sum --quiet -c *.sha256 && md5sum --quiet -c *.md5"), 0);
	leave_folder();
}

static bool stop_at_once(void *user, const struct kioku_capture_progress *progress)
{
	unsigned *calls = user;

	CHECK(progress->done <= progress->total);
	return ++*calls > 1000000;
}

/* Slowed down so that there is something left to stop. */
static void stops_cleanly(void)
{
	static const char *const images[] = { "a.lime",  "a.mem",  "a.lime.zst",
					      "a.kdump", "a.avml", "a.elf" };
	struct test_capture test;

	enter_folder();
	write_memory("source");
	for (size_t i = 0; i < sizeof(images) / sizeof(*images); i++) {
		unsigned calls = 0;
		capture_init(&test);
		test.options.rate = 8 << 20;
		test.options.progress = stop_at_once;
		test.options.progress_user = &calls;
		CHECK_EQUAL(capture_path(&test, "source", images[i]), KIOKU_OK);
		CHECK(!test.result.complete && test.result.memory_md5[0] == '\0');
		CHECK(calls >= 1 && test.result.seconds < 5);
		check_verdict(images[i], KIOKU_PREFIX, KIOKU_PROOF_MANIFEST);
		/* What is there is right. */
		AUTO_SOURCE struct kioku_source *source = open_path(images[i]);
		check_memory(source, test_ranges[0]);
	}
	leave_folder();
}

static void keeps_to_a_rate(void)
{
	struct test_capture test;

	enter_folder();
	write_memory("source");
	capture_init(&test);
	test.options.rate = 16 << 20;
	CHECK_EQUAL(capture_path(&test, "source", "a.lime"), KIOKU_OK);
	CHECK(test.result.seconds > 0.4 && test.result.seconds < 3);
	leave_folder();
}

static void refuses(void)
{
	struct test_capture test;

	enter_folder();
	write_memory("source");
	capture_init(&test);
	CHECK_EQUAL(capture_path(&test, "source", "a.lime"), KIOKU_OK);
	CHECK_EQUAL(capture_path(&test, "source", "a.lime"), KIOKU_ERROR_ARGUMENT);
	CHECK_SAYS(test.error.message, "exists already");
	unlink("a.lime");
	CHECK_EQUAL(capture_path(&test, "source", "a.lime"), KIOKU_ERROR_ARGUMENT);
	CHECK(!exists("a.lime"));
	CHECK_EQUAL(capture_path(&test, "source", "a.bin"), KIOKU_ERROR_ARGUMENT);
	CHECK_EQUAL(capture_path(&test, "source", "nowhere/a.raw"), KIOKU_ERROR_OS);
	test.options.format = "tape";
	CHECK_EQUAL(capture_path(&test, "source", "b.lime"), KIOKU_ERROR_ARGUMENT);
	test.options.format = NULL;
	test.options.codec = "rar";
	CHECK_EQUAL(capture_path(&test, "source", "b.lime"), KIOKU_ERROR_ARGUMENT);
	test.options.codec = "gzip";
	test.options.level = 10;
	CHECK_EQUAL(capture_path(&test, "source", "b.lime"), KIOKU_ERROR_ARGUMENT);
	test.options.codec = NULL;
	test.options.level = 0;
	test.options.page_codec = "lzma";
	CHECK_EQUAL(capture_path(&test, "source", "b.kdump"), KIOKU_ERROR_ARGUMENT);
	test.options.page_codec = NULL;
	test.options.signing_key = "no-such-key";
	CHECK(capture_path(&test, "source", "b.lime") != KIOKU_OK);
	CHECK(!exists("b.lime") && !exists("b.kdump") && !exists("b.lime.manifest.partial"));
	test.options.size = 1;
	CHECK_EQUAL(capture_path(&test, "source", "b.lime"), KIOKU_ERROR_ARGUMENT);
	leave_folder();
}

static void works_without_digests(void)
{
	struct test_capture test;

	enter_folder();
	write_memory("source");
	capture_init(&test);
	test.options.digests = 0;
	CHECK_EQUAL(capture_path(&test, "source", "a.lime"), KIOKU_OK);
	CHECK(test.result.complete && test.result.image_md5[0] == '\0');
	check_image("a.lime");
	CHECK(exists("a.lime.manifest.json") && !exists("a.lime.md5"));
	leave_folder();
}

TAP_MAIN(TEST(round_trips), TEST(any_number_of_threads), TEST(writes_streams),
	 TEST(counts_what_is_missing), TEST(remembers_what_was_converted), TEST(stops_cleanly),
	 TEST(keeps_to_a_rate), TEST(refuses), TEST(works_without_digests))
