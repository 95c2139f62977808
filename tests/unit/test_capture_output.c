/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Outputs that fail, callers that stop and captures that are killed: a prefix is left, never a lie. */
#include <signal.h>
#include <sys/resource.h>

#include "capture/ring.h"
#include "test_capture.h"

static const char *const images[] = { "a.lime",  "a.mem",  "a.lime.zst", "a.raw.gz",   "a.lime.lz4",
				      "a.kdump", "a.avml", "a.elf.zst",  "a.kdump.zst" };

#define IMAGE_COUNT (sizeof(images) / sizeof(*images))

static void limit_files(rlim_t size)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
	limit.rlim_cur = size;
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* What verify says is never intact, and as far as it goes the image is right. */
static void check_prefix(const char *image)
{
	struct kioku_verify_result result = verify_image(image);

	if (result.verdict != KIOKU_PREFIX)
		tap_fail(__FILE__, __LINE__, "%s of 0x%llx bytes: verdict %d, %llu damaged, by %s",
			 image, (unsigned long long)file_size(image), result.verdict,
			 (unsigned long long)result.damaged, result.proof_path);
}

static void a_full_disk_leaves_a_prefix(void)
{
	static const uint64_t sizes[] = { 4096,          5000,    65536,         262143,
					  262144,        300001,  (1 << 20) - 1, 1 << 20,
					  (1 << 20) + 1, 2500000, 3 << 20,       5000001 };
	struct test_capture test;

	signal(SIGXFSZ, SIG_IGN);
	enter_folder();
	write_memory("source");
	for (size_t i = 0; i < IMAGE_COUNT * (sizeof(sizes) / sizeof(*sizes)); i++) {
		const char *image = images[i % IMAGE_COUNT];
		uint64_t size = sizes[i / IMAGE_COUNT];

		capture_init(&test);
		limit_files(size);
		capture_path(&test, "source", image);
		limit_files(RLIM_INFINITY);
		/* Compressed, it may fit. */
		if (test.status == KIOKU_OK) {
			CHECK(file_size(image) <= size);
			CHECK_EQUAL(verify_image(image).verdict, KIOKU_INTACT);
		} else {
			CHECK_EQUAL(test.error.os_errno, EFBIG);
			CHECK(!test.result.complete);
			CHECK_EQUAL(test.result.image_size, file_size(image));
			check_prefix(image);
		}
		remove_all_but("source");
	}
	leave_folder();
}

static void redirect(int descriptor)
{
	fflush(stdout);
	CHECK(dup2(descriptor, STDOUT_FILENO) == STDOUT_FILENO);
}

static void streams_that_fail(void)
{
	struct test_capture test;
	int saved = dup(STDOUT_FILENO), full = open("/dev/full", O_WRONLY | O_CLOEXEC), ends[2];

	signal(SIGPIPE, SIG_IGN);
	enter_folder();
	write_memory("source");
	capture_init(&test);
	redirect(full);
	capture_path(&test, "source", "-");
	redirect(saved);
	CHECK_EQUAL(test.error.os_errno, ENOSPC);
	CHECK_EQUAL(test.result.image_size, 0);
	for (unsigned codec = 0; codec < 2; codec++) {
		test.options.codec = codec ? "zstd" : NULL;
		CHECK(pipe2(ends, O_CLOEXEC) == 0);
		close(ends[0]);
		redirect(ends[1]);
		close(ends[1]);
		capture_path(&test, "source", "-");
		redirect(saved);
		CHECK_EQUAL(test.error.os_errno, EPIPE);
		CHECK(!test.result.complete && test.result.image_md5[0] == '\0');
	}
	close(saved);
	close(full);
	leave_folder();
}

/* Somebody reads a part, slowly, and goes away. */
static void a_reader_that_goes_away(void)
{
	struct test_capture test;
	int saved = dup(STDOUT_FILENO);

	signal(SIGPIPE, SIG_IGN);
	enter_folder();
	write_memory("source");
	for (unsigned i = 1; i < 8; i++) {
		char command[64];
		capture_init(&test);
		test.options.manifest = "out.manifest.json";
		snprintf(command, sizeof(command), "head -c %u > out", i * 1000000);
		FILE *pipe = popen(command, "we");
		CHECK(pipe);
		redirect(fileno(pipe));
		capture_path(&test, "source", "-");
		redirect(saved);
		pclose(pipe);
		CHECK_EQUAL(test.error.os_errno, EPIPE);
		check_prefix("out");
		unlink("out");
		unlink("out.manifest.json");
	}
	close(saved);
	leave_folder();
}

/* A block that was lent is not filled again because the output failed: its bytes are digested yet. */
static void what_was_lent_stays(void)
{
	struct ring ring;

	ring_init(&ring,
		  &(struct ring_shape){ .slots = 2, .consumers = 1, .follows = { RING_ALONE } });
	CHECK_EQUAL(ring_claim(&ring), 0);
	ring_publish(&ring);
	CHECK(ring_wait_freed(&ring, 0));
	ring_abort(&ring);
	CHECK(!ring_wait_freed(&ring, 1));
	ring_release(&ring);
}

struct stopper {
	unsigned left;
};

static bool stop_after(void *user, const struct kioku_capture_progress *progress)
{
	struct stopper *stopper = user;

	return stopper->left-- > 0;
}

static void stops_at_any_moment(void)
{
	struct test_capture test;

	enter_folder();
	write_memory("source");
	for (unsigned i = 0; i < 16; i++) {
		struct stopper stopper = { i / 8 };
		const char *image = images[i % IMAGE_COUNT];
		capture_init(&test);
		test.options.rate = (16u + i) << 20;
		test.options.progress = stop_after;
		test.options.progress_user = &stopper;
		CHECK_EQUAL(capture_path(&test, "source", image), KIOKU_OK);
		struct kioku_verify_result result = verify_image(image);
		CHECK_EQUAL(result.verdict, test.result.complete ? KIOKU_INTACT : KIOKU_PREFIX);
		remove_all_but("source");
	}
	leave_folder();
}

static void capture_and_die(const char *image, unsigned microseconds)
{
	fflush(stdout);
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct test_capture test;
		capture_init(&test);
		test.options.rate = 64 << 20;
		capture_path(&test, "source", image);
		_exit(0);
	}
	CHECK(child > 0);
	usleep(microseconds);
	kill(child, SIGKILL);
	CHECK(waitpid(child, &status, 0) == child);
}

static void killed_at_any_moment(void)
{
	char manifest[64], journal[64];
	unsigned killed = 0;

	enter_folder();
	write_memory("source");
	for (unsigned i = 0; i < 50; i++) {
		const char *image = images[i % IMAGE_COUNT];
		capture_and_die(image, 3000 + i * 4000);
		snprintf(manifest, sizeof(manifest), "%s.manifest.json", image);
		snprintf(journal, sizeof(journal), "%s.manifest.partial", image);
		if (exists(manifest)) {
			CHECK_EQUAL(verify_image(image).verdict, KIOKU_INTACT);
		} else if (file_size(journal) > 0) {
			struct kioku_verify_result result = verify_image(image);
			CHECK_EQUAL(result.proof, KIOKU_PROOF_JOURNAL);
			check_prefix(image);
			killed++;
		}
		remove_all_but("source");
	}
	CHECK(killed > 5);
	leave_folder();
}

TAP_MAIN(TEST(a_full_disk_leaves_a_prefix), TEST(streams_that_fail), TEST(a_reader_that_goes_away),
	 TEST(what_was_lent_stays), TEST(stops_at_any_moment), TEST(killed_at_any_moment))
