/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tracking_case.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "snapshot/soft_dirty_bits.h"
#include "snapshot/tracking.h"
#include "tap.h"

enum {
	STRIDE = 797, /* from one page to the next: prime to both numbers of them */
	THREADS = 3,  /* besides, that sleep */
	MAPS = 1 << 20,
	LARGE = 2 << 20, /* bytes that one page table maps */
};

struct board *board;

static void skip_if_impossible(void)
{
	if (tracking_method == GUARDIAN_TRACK && !userfault_works())
		SKIP("no write tracking: it takes Linux 6.7, and the right to userfaultfd");
	if (tracking_method == GUARDIAN_SOFT_DIRTY && !soft_dirty_works())
		SKIP("no soft-dirty bits: the kernel was built without CONFIG_MEM_SOFT_DIRTY");
}

pid_t tracked_start(void (*run)(void), uint64_t page_count)
{
	skip_if_impossible();
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	board->page_count = page_count;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run();
		_exit(1);
	}
	while (!board->is_ready)
		usleep(1000);
	return pid;
}

static void check_goes_on(void)
{
	uint64_t step = board->step;

	for (int i = 0; i < 10000 && board->step <= step + 1; i++)
		usleep(1000);
	CHECK(board->step > step + 1);
}

void tracked_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

enum kioku_status image_take(struct image *image, pid_t pid, struct kioku_error *error)
{
	const struct guardian_order order = { .method = tracking_method, .patience = 1000000000 };
	struct guardian_target *target = &image->target;

	*image = (struct image){ .guardian = { .socket = -1 }, .spool = { .descriptor = -1 } };
	if (process_open(pid, &image->process, error) != KIOKU_OK ||
	    process_mappings(&image->process, true, &image->before, error) != KIOKU_OK ||
	    spool_init(&image->spool, -1, 1024, error) != KIOKU_OK)
		return error->status;
	*target = (struct guardian_target){
		.process = &image->process,
		.thread_limit = 64,
		.site = { .mappings = &image->before.list },
		.spool = &image->spool,
		.records = guardian_memory(64 * sizeof(struct thread_record)),
		.report = guardian_memory(sizeof(struct guardian_report)),
		.maps = guardian_memory(MAPS),
		.maps_limit = MAPS,
	};
	site_find_gadgets(&target->site, pid);
	return guardian_start(&image->guardian, target, 1, &order, error);
}

void image_must_take(struct image *image, pid_t pid)
{
	struct kioku_error error = { 0 };

	if (image_take(image, pid, &error) != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "%s", error.message);
}

void image_release(struct image *image)
{
	guardian_end(&image->guardian);
	spool_release(&image->spool);
	munmap(image->target.records, 64 * sizeof(struct thread_record));
	munmap(image->target.report, sizeof(struct guardian_report));
	munmap(image->target.maps, MAPS);
	process_maps_release(&image->before);
	process_close(&image->process);
}

enum spool_state image_page(const struct image *image, const void *address, uint64_t *out)
{
	uint64_t at = (uintptr_t)address;
	struct spool_run run = spool_next(&image->spool, at, at + PAGE);

	memset(out, 0, PAGE);
	if (run.content)
		memcpy(out, run.content, PAGE);
	return run.state;
}

static void *sleep_on(void *argument)
{
	board->sleepers++;
	for (;;) {
		struct timespec time = { .tv_nsec = 1000000 };
		if (nanosleep(&time, NULL) != 0)
			*(errno == EINTR ? &board->was_interrupted : &board->has_failed) = true;
	}
	return NULL;
}

static void start_sleepers(void)
{
	pthread_t thread;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread, NULL, sleep_on, NULL);
	/* What they map as they begin is not to come later. */
	while (board->sleepers < THREADS)
		usleep(1000);
}

void write_steps(void)
{
	uint64_t *pages = mmap(NULL, (board->page_count + 1) * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile uint64_t *first = pages;

	board->pages = pages;
	start_sleepers();
	for (uint64_t step = 1;; step++) {
		volatile uint64_t *page = pages + (1 + step * STRIDE % board->page_count) * WORDS;
		page[0] = step;
		page[WORDS - 1] = step;
		first[0] = step;
		board->step = step;
		board->is_ready = step > board->page_count;
		/* Who writes too fast is not watched. */
		int delay = board->is_ready && board->page_count == MANY_PAGES ? 100000 : 2000;
		for (int i = 0; i < delay; i++)
			__asm__ volatile("");
	}
}

void check_steps(const struct image *image)
{
	static uint64_t last[MANY_PAGES], page[WORDS];
	uint64_t count = board->page_count;

	CHECK_EQUAL(image_page(image, board->pages, page), SPOOL_CONTENT);
	uint64_t steps = page[0];
	CHECK(steps > count);
	for (uint64_t step = steps - count + 1; step <= steps; step++)
		last[step * STRIDE % count] = step;
	for (size_t i = 0; i < count; i++) {
		CHECK_EQUAL(image_page(image, board->pages + (i + 1) * WORDS, page), SPOOL_CONTENT);
		/* The next step may have begun. */
		bool next = i == (steps + 1) * STRIDE % count;
		CHECK(page[0] == last[i] || (next && page[0] == steps + 1));
		CHECK(page[WORDS - 1] == last[i] || (next && page[WORDS - 1] == page[0]));
	}
}

static size_t count_files(const struct process *process)
{
	DIR *list = fdopendir(openat(process->folder, "fd", O_RDONLY | O_DIRECTORY));
	size_t count = 0;

	while (list && readdir(list))
		count++;
	if (list)
		closedir(list);
	return count;
}

static size_t count_mappings(struct process *process)
{
	AUTO_MAPS struct process_maps maps = { 0 };

	CHECK_EQUAL(process_mappings(process, false, &maps, NULL), KIOKU_OK);
	return maps.list.count;
}

/* A userfaultfd for which the kernel's own accesses wait is not given to everybody. */
static bool may_be_watched(uint64_t page_count)
{
	int descriptor = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (descriptor >= 0)
		close(descriptor);
	return descriptor >= 0 && page_count == MANY_PAGES && tracking_method == GUARDIAN_TRACK;
}

void check_copies(int times, uint64_t page_count)
{
	struct image image;
	size_t files = 0;
	int watched = 0;

	pid_t pid = tracked_start(write_steps, page_count);
	for (int i = 0; i < times; i++) {
		image_must_take(&image, pid);
		check_steps(&image);
		CHECK_EQUAL(image.target.report->thread_count, THREADS + 1);
		CHECK(image.target.report->descriptor == -1);
		watched += image.target.report->watched >= WATCHING_LEAST;
		check_goes_on();
		/* Nothing is left of it. */
		CHECK_EQUAL(count_mappings(&image.process), image.before.list.count);
		size_t count = count_files(&image.process);
		CHECK(files == 0 || count == files);
		files = count;
		image_release(&image);
	}
	CHECK(!board->has_failed && !board->was_interrupted);
	/* On a busy machine much is written while it is looked at once, and then it is not. */
	CHECK(watched > 0 || !may_be_watched(page_count));
	tracked_end(pid);
}

/* What is true of the memory that comes and goes, while it is at rest. */
struct life {
	volatile uint64_t at_rest, round;
	uint64_t *given_back; /* empty in odd rounds */
	uint64_t *moved;      /* at another place in each round */
	uint64_t *fresh;      /* unmapped and mapped anew in each round */
	uint64_t *fixed;      /* mapped anew in its place, and then not touched, in odd rounds */
	uint64_t *swapped;    /* swapped out, if there is swap; of the last round that 3 divides */
	uint64_t *grown;      /* what ends with it grows by it, and becomes smaller again */
};

void region_fill(uint64_t *pages, uint64_t value)
{
	for (size_t i = 0; i < REGION; i++)
		*(volatile uint64_t *)(pages + i * WORDS) = value;
}

uint64_t *region_map(void *where)
{
	return mmap(where, REGION * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | (where ? MAP_FIXED : 0), -1, 0);
}

/* Nobody else is to map something there. */
static void unmap(uint64_t *where)
{
	mmap(where, REGION * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/*
 * What changes is in the middle of the pages, and at their end, or has mappings of its own where there
 * are only few.
 */
static void live(void)
{
	struct life *life = (struct life *)region_map(NULL);
	size_t size = board->page_count * PAGE;
	uint64_t *pages = mmap(NULL, size + REGION * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t *end = pages + board->page_count * WORDS;

	memset(pages, 1, size);
	unmap(end);
	bool inside = board->page_count == MANY_PAGES;
	*life = (struct life){ .given_back = inside ? pages + 4000 * WORDS : region_map(NULL),
			       .moved = inside ? pages + 8000 * WORDS : region_map(NULL),
			       .fresh = region_map(NULL),
			       .fixed = inside ? pages + 16000 * WORDS : region_map(NULL),
			       .swapped = region_map(NULL),
			       .grown = end };
	board->life = life;
	for (uint64_t round = 2;; round++) {
		life->at_rest = 0;
		life->round = round;
		madvise(life->given_back, REGION * PAGE, MADV_DONTNEED);
		munmap(life->fresh, REGION * PAGE);
		unmap(life->grown);
		uint64_t *place = region_map(NULL);
		life->fresh = region_map(NULL);
		region_fill(life->moved, round);
		/* What is watched not in every round: all is looked through where something was moved. */
		if (!inside || round % 4 == 0)
			life->moved = mremap(life->moved, REGION * PAGE, REGION * PAGE,
					     MREMAP_MAYMOVE | MREMAP_FIXED, place);
		else
			munmap(place, REGION * PAGE);
		region_map(life->fixed);
		region_map(life->grown);
		region_fill(life->fresh, round);
		region_fill(life->grown, round);
		if (round % 3 == 0)
			region_fill(life->swapped, round);
		madvise(life->swapped, REGION * PAGE, 21 /* MADV_PAGEOUT, Linux 5.4 */);
		for (size_t i = 0; i < REGION; i++)
			pages[i * 31 * WORDS + 1] = round;
		if (round % 2 == 0) {
			region_fill(life->given_back, round);
			region_fill(life->fixed, round);
		}
		life->at_rest = 1;
		board->step = round;
		board->is_ready = true;
		struct timespec time = { .tv_nsec = 3000000 };
		nanosleep(&time, NULL);
	}
}

/* Whether the mappings that are told of have it. */
static bool is_mapped(const struct image *image, const void *address)
{
	const char *text = image->target.maps;
	uint64_t at = (uintptr_t)address, from, to;

	while (text && sscanf(text, "%" SCNx64 "-%" SCNx64, &from, &to) == 2) {
		if (at >= from && at < to)
			return true;
		text = strchr(text, '\n');
		text += text != NULL;
	}
	return false;
}

static void check_region(const struct image *image, const char *name, const uint64_t *pages,
			 uint64_t value)
{
	uint64_t page[WORDS];

	for (size_t i = 0; i < REGION; i++) {
		enum spool_state state = image_page(image, pages + i * WORDS, page);
		if (state == SPOOL_LOST || page[0] != value)
			tap_fail(__FILE__, __LINE__,
				 "%s: page %zu is of state %d and round %llu, "
				 "not %llu",
				 name, i, state, (unsigned long long)page[0],
				 (unsigned long long)value);
	}
}

void check_mappings(int times, uint64_t page_count)
{
	struct image image;
	int at_rest = 0;

	pid_t pid = tracked_start(live, page_count);
	/* On a busy machine it is at rest more rarely. */
	for (int i = 0; i < times || (at_rest <= times / 5 && i < 10 * times); i++) {
		uint64_t page[WORDS];
		image_must_take(&image, pid);
		CHECK_EQUAL(image_page(&image, board->life, page), SPOOL_CONTENT);
		const struct life *life = (const struct life *)page;
		if (life->at_rest) {
			uint64_t even = life->round % 2 == 0 ? life->round : 0;
			at_rest++;
			check_region(&image, "given back", life->given_back, even);
			check_region(&image, "fixed", life->fixed, even);
			check_region(&image, "moved", life->moved, life->round);
			check_region(&image, "fresh", life->fresh, life->round);
			check_region(&image, "grown", life->grown, life->round);
			check_region(&image, "swapped", life->swapped,
				     life->round < 3 ? 0 : life->round / 3 * 3);
			CHECK(is_mapped(&image, life->moved));
			CHECK(is_mapped(&image, life->fresh));
			CHECK(is_mapped(&image, life->grown));
		}
		image_release(&image);
		check_goes_on();
	}
	CHECK(at_rest > times / 5);
	tracked_end(pid);
}

/* Two regions, each of which has its own number all over, change places in each round. */
static void swap_places(void)
{
	struct life *life = (struct life *)region_map(NULL);
	uint8_t *all =
		mmap(NULL, 4 * LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *first = all + (LARGE - (uintptr_t)all % LARGE);
	uint8_t *second = first + LARGE, *spare = second + LARGE;
	const int moves = MREMAP_MAYMOVE | MREMAP_FIXED;

	/* Whole page tables are moved, not pages. */
	madvise(all, 4 * LARGE, MADV_NOHUGEPAGE);
	memset(first, 1, LARGE);
	memset(second, 2, LARGE);
	munmap(spare, (size_t)(all + 4 * LARGE - spare));
	*life = (struct life){ .moved = (uint64_t *)first, .fixed = (uint64_t *)second };
	board->life = life;
	for (uint64_t round = 0;; round++) {
		life->at_rest = 0;
		life->round = round;
		board->has_failed |= mremap(first, LARGE, LARGE, moves, spare) == MAP_FAILED ||
				     mremap(second, LARGE, LARGE, moves, first) == MAP_FAILED ||
				     mremap(spare, LARGE, LARGE, moves, second) == MAP_FAILED;
		life->at_rest = 1;
		board->step = round;
		board->is_ready = true;
		struct timespec time = { .tv_nsec = 1000000 };
		nanosleep(&time, NULL);
	}
}

void check_places(int times)
{
	struct image image;
	int at_rest = 0;

	pid_t pid = tracked_start(swap_places, PAGES);
	for (int i = 0; i < times || (at_rest <= times / 5 && i < 10 * times); i++) {
		uint64_t page[WORDS], number[WORDS];
		image_must_take(&image, pid);
		CHECK_EQUAL(image_page(&image, board->life, page), SPOOL_CONTENT);
		const struct life *life = (const struct life *)page;
		for (size_t at = 0; life->at_rest && at < LARGE / sizeof(uint64_t); at += WORDS) {
			uint64_t first = life->round % 2 == 0 ? 2 : 1;
			CHECK_EQUAL(image_page(&image, life->moved + at, number), SPOOL_CONTENT);
			CHECK_EQUAL(number[0], first * UINT64_C(0x0101010101010101));
			CHECK_EQUAL(image_page(&image, life->fixed + at, number), SPOOL_CONTENT);
			CHECK_EQUAL(number[0], (3 - first) * UINT64_C(0x0101010101010101));
		}
		at_rest += life->at_rest != 0;
		image_release(&image);
		check_goes_on();
	}
	CHECK(at_rest > times / 5);
	CHECK(!board->has_failed);
	tracked_end(pid);
}

static int kill_within; /* microseconds */

static void *kill_guardian(void *argument)
{
	volatile struct guardian *guardian = argument;

	while (guardian->pid == 0)
		;
	usleep((useconds_t)(rand() % kill_within));
	kill(guardian->pid, SIGKILL);
	return NULL;
}

void check_guardian_killed(int times, uint64_t page_count, int within)
{
	struct kioku_error error = { 0 };
	static struct image image;
	size_t mappings = 0, files = 0;
	int killed = 0;

	kill_within = within;
	pid_t pid = tracked_start(write_steps, page_count);
	for (int i = 0; i < times; i++) {
		pthread_t killer;
		image.guardian.pid = 0;
		pthread_create(&killer, NULL, kill_guardian, &image.guardian);
		killed += image_take(&image, pid, &error) == KIOKU_ERROR_STOPPED;
		pthread_join(killer, NULL);
		guardian_end(&image.guardian);
		check_goes_on();
		size_t open = count_files(&image.process);
		CHECK(files == 0 || open == files);
		files = open;
		size_t count = count_mappings(&image.process);
		CHECK(mappings == 0 || count == mappings);
		mappings = count;
		image_release(&image);
	}
	CHECK(killed > times / 6);
	CHECK(!board->has_failed);
	tracked_end(pid);
}

/* A file, of which the target has changed page 3 for itself, and read page 1; and what it shares. */
static void map_file(void)
{
	char name[] = "/tmp/kioku-tracking-XXXXXX";
	int file = mkstemp(name);
	uint64_t page[WORDS] = { 9 };

	unlink(name);
	for (size_t i = 0; i < REGION; i++)
		if (write(file, page, PAGE) != PAGE)
			_exit(1);
	uint64_t *pages = mmap(NULL, REGION * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	board->pages = pages;
	*(volatile uint64_t *)(pages + 3 * WORDS) = 10;
	(void)*(volatile uint64_t *)(pages + WORDS);
	board->shared = mmap(NULL, REGION * PAGE, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	region_fill(board->shared, 11);
	board->common = region_map(NULL);
	region_fill(board->common, 12);
	/* Memory that it has in common with a child stays so. */
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		board->is_ready = true;
		for (;;)
			pause();
	}
	for (;;)
		pause();
}

/* KiB of a mapping that the process has for itself alone. */
static uint64_t private_size(pid_t pid, const void *address)
{
	char path[64], line[4096];
	unsigned long long from, to, size = 0;
	bool is_there = false;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
			is_there = from <= (uintptr_t)address && (uintptr_t)address < to;
		else if (is_there)
			sscanf(line, "Private_Dirty: %llu", &size);
	}
	if (file)
		fclose(file);
	return size;
}

void check_files_and_children(void)
{
	struct image image;
	uint64_t page[WORDS];

	pid_t pid = tracked_start(map_file, PAGES);
	CHECK_EQUAL(private_size(pid, board->common), 0);
	image_must_take(&image, pid);
	for (size_t i = 0; i < REGION; i++) {
		enum spool_state state = image_page(&image, board->pages + i * WORDS, page);
		CHECK(state == (i == 3 ? SPOOL_CONTENT : SPOOL_NONE));
		CHECK_EQUAL(page[0], i == 3 ? 10 : 0);
		CHECK_EQUAL(image_page(&image, board->shared + i * WORDS, page), SPOOL_CONTENT);
		CHECK_EQUAL(page[0], 11);
	}
	image_release(&image);
	CHECK_EQUAL(private_size(pid, board->common), 0);
	tracked_end(pid);
}
