/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Write tracking by soft-dirty bits. */
#include <fcntl.h>
#include <pthread.h>

#include "snapshot/process_handles.h"
#include "snapshot/soft_dirty_bits.h"
#include "tap.h"
#include "tracking_case.h"

const enum guardian_method tracking_method = GUARDIAN_SOFT_DIRTY;

static void copies_what_is_written(void)
{
	check_copies(20, PAGES);
}

static void copies_much(void)
{
	check_copies(4, MANY_PAGES);
}

static void follows_mappings(void)
{
	check_mappings(30, PAGES);
}

static void follows_places(void)
{
	check_places(50);
}

static void survives_the_guardian(void)
{
	check_guardian_killed(60, PAGES, 60000);
}

static bool is_used_by(pid_t pid)
{
	const struct mapping_list none = { 0 };
	struct process_handles handles;
	struct process process;

	CHECK_EQUAL(process_open(pid, &process, NULL), KIOKU_OK);
	CHECK_EQUAL(process_handles_read(&process, &none, &handles, NULL), KIOKU_OK);
	process_close(&process);
	return handles.has_page_bits;
}

static bool is_cleared(pid_t pid)
{
	AUTO_MAPS struct process_maps maps = { 0 };
	struct process process;

	CHECK_EQUAL(process_open(pid, &process, NULL), KIOKU_OK);
	CHECK_EQUAL(process_mappings(&process, true, &maps, NULL), KIOKU_OK);
	process_close(&process);
	return soft_dirty_is_cleared(&maps.list);
}

/* Who goes by them is told from who does not. */
static void knows_who_uses_it(void)
{
	struct image image;

	pid_t pid = tracked_start(write_steps, PAGES);
	CHECK(!is_cleared(pid));
	image_must_take(&image, pid);
	image_release(&image);
	CHECK(is_cleared(pid));
	tracked_end(pid);
	CHECK(!is_used_by(getpid()));
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	CHECK(pagemap >= 0 && is_used_by(getpid()));
	close(pagemap);
}

static atomic_bool has_ended;

static void *clear_again_and_again(void *argument)
{
	pid_t pid = *(pid_t *)argument;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/clear_refs", pid);
	int clear = open(path, O_WRONLY);
	while (!has_ended && pwrite(clear, "4", 1, 0) == 1)
		usleep(100);
	close(clear);
	return NULL;
}

/* Writes that another's clearing has hidden would be missed. */
static void notices_others(void)
{
	struct kioku_error error = { 0 };
	struct image image;
	pthread_t other;

	has_ended = false;
	pid_t pid = tracked_start(write_steps, PAGES);
	pthread_create(&other, NULL, clear_again_and_again, &pid);
	CHECK_EQUAL(image_take(&image, pid, &error), KIOKU_ERROR_REFUSED);
	CHECK(strstr(error.message, "another"));
	image_release(&image);
	has_ended = true;
	pthread_join(other, NULL);
	image_must_take(&image, pid);
	check_steps(&image);
	image_release(&image);
	tracked_end(pid);
}

TAP_MAIN(TEST(copies_what_is_written), TEST(copies_much), TEST(follows_mappings),
	 TEST(follows_places), TEST(survives_the_guardian), TEST(check_files_and_children),
	 TEST(knows_who_uses_it), TEST(notices_others))
