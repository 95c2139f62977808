/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that faults, hangs or is not to be touched: channels that this test makes up stand in for
 * those of src/source/channel.c.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "capture/fetcher.h"
#include "source/channel.h"
#include "test_capture.h"

#define MEMORY_SIZE (5u << 20)
#define PAGES       (MEMORY_SIZE / 4096)

/* What reading a page does; FAKE_STATE ones must not be read. */
enum fake { FAKE_GOOD, FAKE_FAULTS, FAKE_HANGS, FAKE_STATE };

static struct {
	enum fake pages[PAGES];
	enum page_state state; /* of FAKE_STATE pages */
	bool has_one_way;
	atomic_uint touched; /* reads of FAKE_STATE pages */
	atomic_uint channels, opened;
	pthread_mutex_t lock;
	pthread_cond_t released;
	bool is_released; /* hanging ones may come back */
} fake = { .lock = PTHREAD_MUTEX_INITIALIZER, .released = PTHREAD_COND_INITIALIZER };

struct source_channel {
	int unused;
};

enum kioku_status source_channel_open(struct kioku_source *source, struct source_channel **out,
				      struct kioku_error *error)
{
	*out = calloc(1, sizeof(**out));
	atomic_fetch_add(&fake.channels, 1);
	atomic_fetch_add(&fake.opened, 1);
	return *out ? KIOKU_OK : error_no_memory(error);
}

void source_channel_close(struct source_channel *channel)
{
	if (channel)
		atomic_fetch_sub(&fake.channels, 1);
	free(channel);
}

static void hang(void)
{
	pthread_mutex_lock(&fake.lock);
	while (!fake.is_released)
		pthread_cond_wait(&fake.released, &fake.lock);
	pthread_mutex_unlock(&fake.lock);
}

static void release_hanging(void)
{
	pthread_mutex_lock(&fake.lock);
	fake.is_released = true;
	pthread_cond_broadcast(&fake.released);
	pthread_mutex_unlock(&fake.lock);
}

enum kioku_status source_channel_read(struct source_channel *channel, uint64_t physical,
				      void *buffer, size_t size, struct kioku_error *error)
{
	uint8_t *out = buffer;

	for (uint64_t at = physical; at < physical + size; at++) {
		enum fake kind = fake.pages[at / 4096];
		if (kind == FAKE_STATE)
			atomic_fetch_add(&fake.touched, 1);
		if (kind == FAKE_HANGS)
			hang();
		if (kind == FAKE_FAULTS) {
			errno = EFAULT;
			return error_os(error, "read");
		}
		*out++ = memory_byte(at);
	}
	return KIOKU_OK;
}

bool source_channel_is_free(const struct source_channel *channel)
{
	return !fake.has_one_way;
}

bool source_channel_states(struct source_channel *channel, uint64_t physical, size_t count,
			   uint8_t *states)
{
	CHECK_EQUAL(physical % 4096, 0);
	for (size_t i = 0; i < count; i++)
		states[i] = (uint8_t)(fake.pages[physical / 4096 + i] == FAKE_STATE ? fake.state
										    : PAGE_READ);
	return true;
}

/* A machine of that much memory, less three bytes. */
static struct kioku_source *open_machine(void)
{
	int descriptor = memfd_create("machine", MFD_CLOEXEC);
	char where[64];

	CHECK(descriptor >= 0 && ftruncate(descriptor, MEMORY_SIZE - 3) == 0);
	snprintf(where, sizeof(where), "raw:/proc/self/fd/%d", descriptor);
	struct kioku_source *source = open_path(where);
	close(descriptor);
	return source;
}

/* What the image must be: lost pages are zeros. */
static void check_content(const char *image)
{
	struct bytes file = read_file(image);

	CHECK_EQUAL(file.size, MEMORY_SIZE - 3);
	for (uint64_t at = 0; at < file.size; at++) {
		uint8_t expected = fake.pages[at / 4096] == FAKE_GOOD ? memory_byte(at) : 0;
		if (file.data[at] != expected)
			tap_fail(__FILE__, __LINE__, "byte 0x%llx differs", (unsigned long long)at);
	}
	free((void *)file.data);
}

/* The state of each page, as the manifest has it. */
static void check_states(const char *path, enum page_state bad)
{
	struct manifest manifest;
	enum page_state state;
	uint64_t count, page = 0;

	read_manifest(path, &manifest);
	CHECK_EQUAL(manifest.range_count, 1);
	for (const char *next = manifest.ranges[0].states;
	     (next = page_states_next(next, &state, &count));)
		for (; count > 0; count--, page++)
			CHECK_EQUAL(state, fake.pages[page] != FAKE_GOOD ? bad
					   : page % 5 == 3               ? PAGE_ZERO
									 : PAGE_READ);
	CHECK_EQUAL(page, PAGES);
	manifest_release(&manifest);
}

static uint64_t bad_bytes(void)
{
	uint64_t size = 0;

	for (unsigned i = 0; i < PAGES; i++)
		if (fake.pages[i] != FAKE_GOOD)
			size += i == PAGES - 1 ? 4096 - 3 : 4096;
	return size;
}

static void capture_machine(struct test_capture *test, const char *image)
{
	AUTO_SOURCE struct kioku_source *source = open_machine();

	capture_from(test, source, image);
	if (test->status != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "%s", test->error.message);
}

static void a_bad_page_costs_that_page(void)
{
	static const unsigned bad[] = { 0, 7, 255, 256, 300, 301, 302, 1000, PAGES - 1 };
	struct test_capture test;

	enter_folder();
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		fake.pages[bad[i]] = FAKE_FAULTS;
	capture_init(&test);
	capture_machine(&test, "a.raw");
	CHECK(test.result.complete);
	CHECK_EQUAL(test.result.lost_size, bad_bytes());
	CHECK_EQUAL(test.heard.gaps, 6);
	CHECK_SAYS(test.heard.last, "lost: cannot be read: Bad address");
	check_content("a.raw");
	check_states("a.raw.manifest.json", PAGE_FAULTED);
	CHECK_EQUAL(verify_image("a.raw").verdict, KIOKU_INTACT);
	CHECK_EQUAL(atomic_load(&fake.channels), 0);
	leave_folder();
}

static void everything_faults(void)
{
	struct test_capture test;

	enter_folder();
	for (unsigned i = 0; i < PAGES; i++)
		fake.pages[i] = FAKE_FAULTS;
	capture_init(&test);
	test.options.read_timeout = 1000;
	capture_machine(&test, "a.raw");
	CHECK_EQUAL(test.result.lost_size, MEMORY_SIZE - 3);
	CHECK_EQUAL(test.heard.gaps, 1);
	check_content("a.raw");
	leave_folder();
}

static void leaves_alone_what_is_known(void)
{
	static const enum page_state states[] = { PAGE_OFFLINE, PAGE_POISONED, PAGE_EXCLUDED };
	struct test_capture test;

	enter_folder();
	for (unsigned i = 250; i < 260; i++)
		fake.pages[i] = FAKE_STATE;
	for (unsigned i = 0; i < 3; i++) {
		fake.state = states[i];
		capture_init(&test);
		capture_machine(&test, "a.raw");
		CHECK_EQUAL(test.result.lost_size, states[i] == PAGE_POISONED ? bad_bytes() : 0);
		CHECK_EQUAL(test.heard.gaps, states[i] == PAGE_POISONED ? 1 : 0);
		CHECK_EQUAL(atomic_load(&fake.touched), 0);
		check_content("a.raw");
		check_states("a.raw.manifest.json", states[i]);
		remove_all_but(NULL);
	}
	leave_folder();
}

/* Whoever was left behind comes back after all, and cleans up. */
static void wait_for_channels(void)
{
	for (unsigned i = 0; i < 500 && atomic_load(&fake.channels) > 0; i++)
		usleep(10000);
	CHECK_EQUAL(atomic_load(&fake.channels), 0);
	usleep(50000);
}

static void a_page_that_hangs_costs_that_page(void)
{
	struct test_capture test;

	enter_folder();
	fake.pages[0] = fake.pages[511] = fake.pages[512] = fake.pages[PAGES - 1] = FAKE_HANGS;
	capture_init(&test);
	test.options.read_timeout = 1500; /* more than a busy machine makes a good page wait */
	capture_machine(&test, "a.raw");
	CHECK(test.result.complete);
	CHECK_EQUAL(test.result.lost_size, bad_bytes());
	CHECK_EQUAL(test.heard.gaps, 3);
	CHECK_SAYS(test.heard.last, "takes too long");
	check_content("a.raw");
	check_states("a.raw.manifest.json", PAGE_TIMED_OUT);
	CHECK_EQUAL(verify_image("a.raw").verdict, KIOKU_INTACT);
	CHECK(atomic_load(&fake.channels) > 0);
	release_hanging();
	wait_for_channels();
	leave_folder();
}

static void gives_up_what_only_hangs(void)
{
	struct test_capture test;

	enter_folder();
	for (unsigned i = 256; i < PAGES; i++)
		fake.pages[i] = FAKE_HANGS;
	capture_init(&test);
	test.options.read_timeout = 30;
	AUTO_SOURCE struct kioku_source *source = open_machine();
	CHECK_EQUAL(capture_from(&test, source, "a.raw"), KIOKU_ERROR_LIMIT);
	CHECK(!test.result.complete);
	CHECK_SAYS(test.error.message, "reads hang");
	CHECK_EQUAL(file_size("a.raw"), 1u << 20);
	CHECK_EQUAL(verify_image("a.raw").verdict, KIOKU_PREFIX);
	CHECK_EQUAL(atomic_load(&fake.opened), FETCHER_LIMIT + FETCHER_WAYS);
	release_hanging();
	wait_for_channels();
	leave_folder();
}

/* A source that only one thread may read is waited for. */
static void waits_where_there_is_one_way(void)
{
	struct test_capture test;

	enter_folder();
	fake.has_one_way = true;
	capture_init(&test);
	test.options.read_timeout = 1;
	capture_machine(&test, "a.raw");
	CHECK_EQUAL(test.result.lost_size, 0);
	CHECK_EQUAL(atomic_load(&fake.opened), 1);
	check_content("a.raw");
	leave_folder();
}

TAP_MAIN(TEST(a_bad_page_costs_that_page), TEST(everything_faults),
	 TEST(leaves_alone_what_is_known), TEST(a_page_that_hangs_costs_that_page),
	 TEST(gives_up_what_only_hangs), TEST(waits_where_there_is_one_way))
