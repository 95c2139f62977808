/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes that are copied while they write, by write tracking: what is in the copy, and in them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "snapshot/guardian.h"
#include "snapshot/process.h"
#include "snapshot/process_handles.h"
#include "snapshot/soft_dirty_bits.h"
#include "snapshot/tracking.h"
#include "tap.h"

enum {
	PAGE = 4096,
	WORDS = PAGE / sizeof(uint64_t),
	PAGES = 2048,       /* that are written to, one after the other */
	MANY_PAGES = 24576, /* the same, of a target that is watched */
	STRIDE = 797,       /* from one to the next: prime to both */
	REGION = 64,        /* pages of memory that comes and goes */
	THREADS = 3,        /* besides, that sleep */
	MAPS = 1 << 20,
	LARGE = 2 << 20, /* bytes that one page table maps */
};

/* What a target and its test share. */
struct board {
	volatile uint64_t step;
	volatile bool is_ready, has_failed;
	volatile bool was_interrupted; /* a call that was to be taken up again */
	atomic_int sleepers;
	uint64_t page_count; /* PAGES or MANY_PAGES */
	uint64_t *pages, *shared, *common;
	/* Of the target whose mappings change: its own memory says at what it is. */
	struct life *life;
};

/* A copy that was made. */
struct image {
	struct process process;
	struct process_maps before;
	struct mapping_list mappings;
	struct guardian_target target;
	struct guardian guardian;
	struct spool spool;
};

static struct board *board;
static enum guardian_method method;

static void skip_if_impossible(void)
{
	if (method == GUARDIAN_TRACK && !userfault_works())
		SKIP("no write tracking: it takes Linux 6.7, and the right to userfaultfd");
	if (method == GUARDIAN_SOFT_DIRTY && !soft_dirty_works())
		SKIP("no soft-dirty bits: the kernel was built without CONFIG_MEM_SOFT_DIRTY");
}

static pid_t start_with(void (*run)(void), uint64_t page_count)
{
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

static pid_t start(void (*run)(void))
{
	return start_with(run, PAGES);
}

static void check_goes_on(void)
{
	uint64_t step = board->step;

	for (int i = 0; i < 10000 && board->step <= step + 1; i++)
		usleep(1000);
	CHECK(board->step > step + 1);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static enum kioku_status take(struct image *image, pid_t pid, struct kioku_error *error)
{
	const struct guardian_order order = { .method = method, .patience = 1000000000 };
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

static void must_take(struct image *image, pid_t pid)
{
	struct kioku_error error = { 0 };

	if (take(image, pid, &error) != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "%s", error.message);
}

static void let_go(struct image *image)
{
	guardian_end(&image->guardian);
	spool_release(&image->spool);
	munmap(image->target.records, 64 * sizeof(struct thread_record));
	munmap(image->target.report, sizeof(struct guardian_report));
	munmap(image->target.maps, MAPS);
	process_maps_release(&image->before);
	process_close(&image->process);
}

/* A page of the copy; zeros where it has nothing. */
static enum spool_state read_page(const struct image *image, const void *address, uint64_t *out)
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

/* Page 0 has the number of steps done. Step N writes it at both ends of its page, then into page 0. */
static void write_steps(void)
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

static void check_steps(const struct image *image)
{
	static uint64_t last[MANY_PAGES], page[WORDS];
	uint64_t count = board->page_count;

	CHECK_EQUAL(read_page(image, board->pages, page), SPOOL_CONTENT);
	uint64_t steps = page[0];
	CHECK(steps > count);
	for (uint64_t step = steps - count + 1; step <= steps; step++)
		last[step * STRIDE % count] = step;
	for (size_t i = 0; i < count; i++) {
		CHECK_EQUAL(read_page(image, board->pages + (i + 1) * WORDS, page), SPOOL_CONTENT);
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
	return descriptor >= 0 && page_count == MANY_PAGES && method == GUARDIAN_TRACK;
}

static void copy_again_and_again(int times, uint64_t page_count)
{
	struct image image;
	size_t files = 0;
	int watched = 0;

	skip_if_impossible();
	pid_t pid = start_with(write_steps, page_count);
	for (int i = 0; i < times; i++) {
		must_take(&image, pid);
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
		let_go(&image);
	}
	CHECK(!board->has_failed && !board->was_interrupted);
	/* On a busy machine much is written while it is looked at once, and then it is not. */
	CHECK(watched > 0 || !may_be_watched(page_count));
	end(pid);
}

static void copies_what_is_written(void)
{
	method = GUARDIAN_TRACK;
	copy_again_and_again(20, PAGES);
}

static void copies_what_is_watched(void)
{
	method = GUARDIAN_TRACK;
	copy_again_and_again(8, MANY_PAGES);
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

static void fill(uint64_t *pages, uint64_t value)
{
	for (size_t i = 0; i < REGION; i++)
		*(volatile uint64_t *)(pages + i * WORDS) = value;
}

static uint64_t *map(void *where)
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
	struct life *life = (struct life *)map(NULL);
	size_t size = board->page_count * PAGE;
	uint64_t *pages = mmap(NULL, size + REGION * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t *end = pages + board->page_count * WORDS;

	memset(pages, 1, size);
	unmap(end);
	bool inside = board->page_count == MANY_PAGES;
	*life = (struct life){ .given_back = inside ? pages + 4000 * WORDS : map(NULL),
			       .moved = inside ? pages + 8000 * WORDS : map(NULL),
			       .fresh = map(NULL),
			       .fixed = inside ? pages + 16000 * WORDS : map(NULL),
			       .swapped = map(NULL),
			       .grown = end };
	board->life = life;
	for (uint64_t round = 2;; round++) {
		life->at_rest = 0;
		life->round = round;
		madvise(life->given_back, REGION * PAGE, MADV_DONTNEED);
		munmap(life->fresh, REGION * PAGE);
		unmap(life->grown);
		uint64_t *place = map(NULL);
		life->fresh = map(NULL);
		fill(life->moved, round);
		/* What is watched not in every round: all is looked through where something was moved. */
		if (!inside || round % 4 == 0)
			life->moved = mremap(life->moved, REGION * PAGE, REGION * PAGE,
					     MREMAP_MAYMOVE | MREMAP_FIXED, place);
		else
			munmap(place, REGION * PAGE);
		map(life->fixed);
		map(life->grown);
		fill(life->fresh, round);
		fill(life->grown, round);
		if (round % 3 == 0)
			fill(life->swapped, round);
		madvise(life->swapped, REGION * PAGE, 21 /* MADV_PAGEOUT, Linux 5.4 */);
		for (size_t i = 0; i < REGION; i++)
			pages[i * 31 * WORDS + 1] = round;
		if (round % 2 == 0) {
			fill(life->given_back, round);
			fill(life->fixed, round);
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
		enum spool_state state = read_page(image, pages + i * WORDS, page);
		if (state == SPOOL_LOST || page[0] != value)
			tap_fail(__FILE__, __LINE__,
				 "%s: page %zu is of state %d and round %llu, "
				 "not %llu",
				 name, i, state, (unsigned long long)page[0],
				 (unsigned long long)value);
	}
}

static void follow_mappings(int times, uint64_t page_count)
{
	struct image image;
	int at_rest = 0;

	skip_if_impossible();
	pid_t pid = start_with(live, page_count);
	/* On a busy machine it is at rest more rarely. */
	for (int i = 0; i < times || (at_rest <= times / 5 && i < 10 * times); i++) {
		uint64_t page[WORDS];
		must_take(&image, pid);
		CHECK_EQUAL(read_page(&image, board->life, page), SPOOL_CONTENT);
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
		let_go(&image);
		check_goes_on();
	}
	CHECK(at_rest > times / 5);
	end(pid);
}

static void follows_mappings(void)
{
	method = GUARDIAN_TRACK;
	follow_mappings(100, PAGES);
}

static void follows_watched_mappings(void)
{
	method = GUARDIAN_TRACK;
	follow_mappings(20, MANY_PAGES);
}

/* Two regions, each of which has its own number all over, change places in each round. */
static void swap_places(void)
{
	struct life *life = (struct life *)map(NULL);
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

static void follow_places(int times)
{
	struct image image;
	int at_rest = 0;

	skip_if_impossible();
	pid_t pid = start(swap_places);
	for (int i = 0; i < times || (at_rest <= times / 5 && i < 10 * times); i++) {
		uint64_t page[WORDS], number[WORDS];
		must_take(&image, pid);
		CHECK_EQUAL(read_page(&image, board->life, page), SPOOL_CONTENT);
		const struct life *life = (const struct life *)page;
		for (size_t at = 0; life->at_rest && at < LARGE / sizeof(uint64_t); at += WORDS) {
			uint64_t first = life->round % 2 == 0 ? 2 : 1;
			CHECK_EQUAL(read_page(&image, life->moved + at, number), SPOOL_CONTENT);
			CHECK_EQUAL(number[0], first * UINT64_C(0x0101010101010101));
			CHECK_EQUAL(read_page(&image, life->fixed + at, number), SPOOL_CONTENT);
			CHECK_EQUAL(number[0], (3 - first) * UINT64_C(0x0101010101010101));
		}
		at_rest += life->at_rest != 0;
		let_go(&image);
		check_goes_on();
	}
	CHECK(at_rest > times / 5);
	CHECK(!board->has_failed);
	end(pid);
}

static void follows_places(void)
{
	method = GUARDIAN_TRACK;
	follow_places(50);
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

/*
 * Whatever it is doing at that moment, nothing is left of it; but calls that were interrupted may return
 * EINTR, as the manual says: the kernel lets threads go, and nobody makes them take their calls up again.
 */
static void survive_the_guardian(int times, uint64_t page_count, int within)
{
	struct kioku_error error = { 0 };
	static struct image image;
	size_t mappings = 0, files = 0;
	int killed = 0;

	skip_if_impossible();
	kill_within = within;
	pid_t pid = start_with(write_steps, page_count);
	for (int i = 0; i < times; i++) {
		pthread_t killer;
		image.guardian.pid = 0;
		pthread_create(&killer, NULL, kill_guardian, &image.guardian);
		killed += take(&image, pid, &error) == KIOKU_ERROR_STOPPED;
		pthread_join(killer, NULL);
		guardian_end(&image.guardian);
		check_goes_on();
		size_t open = count_files(&image.process);
		CHECK(files == 0 || open == files);
		files = open;
		size_t count = count_mappings(&image.process);
		CHECK(mappings == 0 || count == mappings);
		mappings = count;
		let_go(&image);
	}
	CHECK(killed > times / 6);
	CHECK(!board->has_failed);
	end(pid);
}

static void survives_the_guardian(void)
{
	method = GUARDIAN_TRACK;
	survive_the_guardian(60, PAGES, 60000);
}

static void survives_the_guardian_watched(void)
{
	method = GUARDIAN_TRACK;
	survive_the_guardian(20, MANY_PAGES, 200000);
}

/* As a tracer leaves pages that is killed between giving them up and taking them over. */
static void leave_marks(void)
{
	const uint64_t async = UINT64_C(1) << 15 | UINT64_C(1) << 13;
	struct uffdio_api api = { .api = UFFD_API,
				  .features = async | UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	int descriptor = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | 1);
	uint64_t *pages = map(NULL);
	struct uffdio_range range = { (uintptr_t)pages, REGION * PAGE };
	struct uffdio_register tracked = { .range = range, .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_register given_up = { .range = range, .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_writeprotect marked = { .range = range, .mode = UFFDIO_WRITEPROTECT_MODE_WP };

	fill(pages, 7);
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

	method = GUARDIAN_TRACK;
	skip_if_impossible();
	pid_t pid = start(leave_marks);
	CHECK(!board->has_failed);
	CHECK_EQUAL(take(&image, pid, &error), KIOKU_ERROR_REFUSED);
	CHECK(strstr(error.message, "left marked"));
	let_go(&image);
	end(pid);
}

static void put_guard(void)
{
	uint64_t *pages = map(NULL);

	fill(pages, 7);
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

	method = GUARDIAN_TRACK;
	skip_if_impossible();
	pid_t pid = start(put_guard);
	if (board->has_failed)
		SKIP("no guard pages: it takes Linux 6.13");
	must_take(&image, pid);
	for (size_t i = 0; i < REGION; i++) {
		enum spool_state state = read_page(&image, board->pages + i * WORDS, page);
		CHECK(state == (i == 5 ? SPOOL_GUARD : SPOOL_CONTENT));
		CHECK_EQUAL(page[0], i == 5 ? 0 : 7);
	}
	let_go(&image);
	uint64_t at = (uintptr_t)(board->pages + 5 * WORDS);
	CHECK(!target_read(pid, at, page, PAGE));
	CHECK(target_read(pid, at + PAGE, page, PAGE));
	end(pid);
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
	fill(board->shared, 11);
	board->common = map(NULL);
	fill(board->common, 12);
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

static void leave_files_and_children(void)
{
	struct image image;
	uint64_t page[WORDS];

	skip_if_impossible();
	pid_t pid = start(map_file);
	CHECK_EQUAL(private_size(pid, board->common), 0);
	must_take(&image, pid);
	for (size_t i = 0; i < REGION; i++) {
		enum spool_state state = read_page(&image, board->pages + i * WORDS, page);
		CHECK(state == (i == 3 ? SPOOL_CONTENT : SPOOL_NONE));
		CHECK_EQUAL(page[0], i == 3 ? 10 : 0);
		CHECK_EQUAL(read_page(&image, board->shared + i * WORDS, page), SPOOL_CONTENT);
		CHECK_EQUAL(page[0], 11);
	}
	let_go(&image);
	CHECK_EQUAL(private_size(pid, board->common), 0);
	end(pid);
}

static void leaves_files_and_children(void)
{
	method = GUARDIAN_TRACK;
	leave_files_and_children();
}

/* --- by soft-dirty bits */

static void soft_dirty_copies_what_is_written(void)
{
	method = GUARDIAN_SOFT_DIRTY;
	copy_again_and_again(20, PAGES);
}

static void soft_dirty_copies_much(void)
{
	method = GUARDIAN_SOFT_DIRTY;
	copy_again_and_again(4, MANY_PAGES);
}

static void soft_dirty_follows_mappings(void)
{
	method = GUARDIAN_SOFT_DIRTY;
	follow_mappings(30, PAGES);
}

static void soft_dirty_follows_places(void)
{
	method = GUARDIAN_SOFT_DIRTY;
	follow_places(50);
}

static void soft_dirty_survives_the_guardian(void)
{
	method = GUARDIAN_SOFT_DIRTY;
	survive_the_guardian(60, PAGES, 60000);
}

static void soft_dirty_leaves_files_and_children(void)
{
	method = GUARDIAN_SOFT_DIRTY;
	leave_files_and_children();
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
static void soft_dirty_knows_who_uses_it(void)
{
	struct image image;

	method = GUARDIAN_SOFT_DIRTY;
	skip_if_impossible();
	pid_t pid = start_with(write_steps, PAGES);
	CHECK(!is_cleared(pid));
	must_take(&image, pid);
	let_go(&image);
	CHECK(is_cleared(pid));
	end(pid);
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
static void soft_dirty_notices_others(void)
{
	struct kioku_error error = { 0 };
	struct image image;
	pthread_t other;

	method = GUARDIAN_SOFT_DIRTY;
	skip_if_impossible();
	has_ended = false;
	pid_t pid = start_with(write_steps, PAGES);
	pthread_create(&other, NULL, clear_again_and_again, &pid);
	CHECK_EQUAL(take(&image, pid, &error), KIOKU_ERROR_REFUSED);
	CHECK(strstr(error.message, "another"));
	let_go(&image);
	has_ended = true;
	pthread_join(other, NULL);
	must_take(&image, pid);
	check_steps(&image);
	let_go(&image);
	end(pid);
}

TAP_MAIN(TEST(copies_what_is_written), TEST(copies_what_is_watched), TEST(follows_mappings),
	 TEST(follows_watched_mappings), TEST(follows_places), TEST(survives_the_guardian),
	 TEST(survives_the_guardian_watched), TEST(refuses_what_was_left), TEST(leaves_guards),
	 TEST(leaves_files_and_children), TEST(soft_dirty_copies_what_is_written),
	 TEST(soft_dirty_copies_much), TEST(soft_dirty_follows_mappings),
	 TEST(soft_dirty_follows_places), TEST(soft_dirty_survives_the_guardian),
	 TEST(soft_dirty_leaves_files_and_children), TEST(soft_dirty_knows_who_uses_it),
	 TEST(soft_dirty_notices_others))
