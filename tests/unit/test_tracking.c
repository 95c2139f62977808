/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Write tracking by userfaultfd. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tap.h"
#include "tracking_case.h"

const enum guardian_method tracking_method = GUARDIAN_TRACK;

static void copies_what_is_written(void)
{
	check_copies(20, PAGES);
}

static void copies_what_is_watched(void)
{
	check_copies(8, MANY_PAGES);
}

static void follows_mappings(void)
{
	check_mappings(100, PAGES);
}

static void follows_watched_mappings(void)
{
	check_mappings(20, MANY_PAGES);
}

static void follows_places(void)
{
	check_places(50);
}

static void survives_the_guardian(void)
{
	check_guardian_killed(60, PAGES, 60000);
}

static void survives_the_guardian_watched(void)
{
	check_guardian_killed(20, MANY_PAGES, 200000);
}

/* As a tracer leaves pages that is killed between giving them up and taking them over. */
static void leave_marks(void)
{
	const uint64_t async = UINT64_C(1) << 15 | UINT64_C(1) << 13;
	struct uffdio_api api = { .api = UFFD_API,
				  .features = async | UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	int descriptor = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | 1);
	uint64_t *pages = region_map(NULL);
	struct uffdio_range range = { (uintptr_t)pages, REGION * PAGE };
	struct uffdio_register tracked = { .range = range, .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_register given_up = { .range = range, .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_writeprotect marked = { .range = range, .mode = UFFDIO_WRITEPROTECT_MODE_WP };

	region_fill(pages, 7);
	board->has_failed = ioctl(descriptor, UFFDIO_API, &api) != 0 ||
			    ioctl(descriptor, UFFDIO_REGISTER, &tracked) != 0 ||
			    ioctl(descriptor, UFFDIO_WRITEPROTECT, &marked) != 0 ||
			    ioctl(descriptor, UFFDIO_REGISTER, &given_up) != 0 ||
			    ioctl(descriptor, UFFDIO_UNREGISTER, &range) != 0;
	close(descriptor);
	board->is_ready = true;
	for (;;)
		pause();
}

static void refuses_what_was_left(void)
{
	struct kioku_error error = { 0 };
	struct image image;

	pid_t pid = tracked_start(leave_marks, PAGES);
	CHECK(!board->has_failed);
	CHECK_EQUAL(image_take(&image, pid, &error), KIOKU_ERROR_REFUSED);
	CHECK(strstr(error.message, "left marked"));
	image_release(&image);
	tracked_end(pid);
}

static void put_guard(void)
{
	uint64_t *pages = region_map(NULL);

	region_fill(pages, 7);
	board->pages = pages;
	board->has_failed = madvise(pages + 5 * WORDS, PAGE, 102 /* MADV_GUARD_INSTALL, 6.13 */);
	board->is_ready = true;
	for (;;)
		pause();
}

static void leaves_guards(void)
{
	struct image image;
	uint64_t page[WORDS];

	pid_t pid = tracked_start(put_guard, PAGES);
	if (board->has_failed)
		SKIP("no guard pages: it takes Linux 6.13");
	image_must_take(&image, pid);
	for (size_t i = 0; i < REGION; i++) {
		enum spool_state state = image_page(&image, board->pages + i * WORDS, page);
		CHECK(state == (i == 5 ? SPOOL_GUARD : SPOOL_CONTENT));
		CHECK_EQUAL(page[0], i == 5 ? 0 : 7);
	}
	image_release(&image);
	uint64_t at = (uintptr_t)(board->pages + 5 * WORDS);
	CHECK(!target_read(pid, at, page, PAGE));
	CHECK(target_read(pid, at + PAGE, page, PAGE));
	tracked_end(pid);
}

TAP_MAIN(TEST(copies_what_is_written), TEST(copies_what_is_watched), TEST(follows_mappings),
	 TEST(follows_watched_mappings), TEST(follows_places), TEST(survives_the_guardian),
	 TEST(survives_the_guardian_watched), TEST(refuses_what_was_left), TEST(leaves_guards),
	 TEST(check_files_and_children))
