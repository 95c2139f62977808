/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layouts worked out of memory: tasks whose members lie anywhere, among noise. */
#include <elf.h>

#include "kernel/infer.h"
#include "test_kernel.h"

enum {
	PROCESSES = 40, /* the first half of them threads of the kernel */
	TASK_SIZE = 2048,
	THREADS = 3, /* of the last process, besides the first */
	MEMBERS = 40,
	SECOND = 1000000000,
};

#define INIT_TASK   (MADE_BASE + 0xc0000)
#define TASKS       (MADE_BASE + 0x100000)
#define SIGNALS     (MADE_BASE + 0x180000)
#define PIDS        (MADE_BASE + 0x1a0000)
#define CREDS       (MADE_BASE + 0x1c0000)
#define MAPS        (MADE_BASE + 0x200000)
#define ROOTS       (MADE_BASE + 0x300000)
#define INIT_PID_NS (MADE_BASE + 0x400000)

/* Parts of a task whose members follow each other, and where they are this time. */
enum part {
	STATE,
	FLAGS,
	LIST,
	MEMORY,
	EXIT,
	IDS,
	FAMILY,
	PID,
	NODE,
	TIMES,
	CRED,
	NAME,
	SIGNAL,
	PARTS
};
static const unsigned part_sizes[PARTS] = { 8, 8, 16, 16, 16, 8, 56, 8, 16, 16, 16, 16, 8 };

struct guest {
	struct made made;
	uint64_t random;
	unsigned places[PARTS];
	unsigned task_count;
};

static uint64_t noise(struct guest *guest)
{
	guest->random = guest->random * 6364136223846793005u + 1442695040888963407u;
	return guest->random >> 16;
}

static uint64_t task_at(unsigned number)
{
	/* The first one was placed by the linker. */
	return number ? TASKS + number * 2 * TASK_SIZE : INIT_TASK;
}

static void put(struct guest *guest, unsigned task, enum part part, unsigned offset, unsigned size,
		uint64_t value)
{
	made_put(&guest->made, task_at(task) + guest->places[part] + offset, size, value);
}

/* Parts one behind the other in any order, with noise between them. */
static void choose_places(struct guest *guest)
{
	unsigned order[PARTS], at = 8;

	for (unsigned i = 0; i < PARTS; i++)
		order[i] = i;
	for (unsigned i = PARTS - 1; i > 0; i--) {
		unsigned other = noise(guest) % (i + 1), kept = order[i];
		order[i] = order[other];
		order[other] = kept;
	}
	for (unsigned i = 0; i < PARTS; i++) {
		guest->places[order[i]] = at;
		at += part_sizes[order[i]] + 8 * (1 + noise(guest) % 8);
	}
	CHECK(at < TASK_SIZE);
}

/* Of no number that could be a member: what is neither a pointer, nor small, nor ever the same. */
static void fill_with_noise(struct guest *guest, uint64_t address, unsigned size)
{
	for (unsigned at = 0; at < size; at += 8)
		made_put(&guest->made, address + at, 8, noise(guest) << 8 | 0x10000000);
}

static void link_to(struct guest *guest, uint64_t node, uint64_t next)
{
	made_put(&guest->made, node, 8, next);
	made_put(&guest->made, next + 8, 8, node);
}

static bool is_of_kernel(unsigned process)
{
	return process < PROCESSES / 2;
}

/* Whose child a process is: of the first one, of the second if it is of the kernel. */
static unsigned parent_of(unsigned process)
{
	if (process < 3)
		return 0;
	return is_of_kernel(process) ? 2 : 1;
}

static void make_mm(struct guest *guest, unsigned process)
{
	uint64_t map = MAPS + process * 4096, root = ROOTS + process * PAGE_SIZE;
	const uint8_t *own = guest->made.machine.memory + MACHINE_ROOT;

	fill_with_noise(guest, map, 4096);
	made_put(&guest->made, map + 80, 8, root);
	memcpy(made_memory(&guest->made, root) + PAGE_SIZE / 2, own + PAGE_SIZE / 2, PAGE_SIZE / 2);
}

/* What bounds a process's memory, then its auxiliary vector; the number in front could be a bound, too. */
static void put_bounds(struct guest *guest, unsigned process, unsigned offset)
{
	static const uint64_t words[] = {
		0x203,    0x401000, 0x4a9a51, 0x4d8208, 0x4de330,  0x11b5000, 0x11d7000, 0x7fff50,
		0x7fff60, 0x7fff70, 0x7fff70, 0x7fff80, AT_PAGESZ, PAGE_SIZE, AT_NULL,   0,
	};

	for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
		made_put(&guest->made, MAPS + process * 4096 + offset + 8 * i, 8, words[i]);
}

static void make_task(struct guest *guest, unsigned task, unsigned process)
{
	bool of_kernel = is_of_kernel(process), is_leader = task == process;
	uint64_t start = task * 7ull * SECOND / 3;
	char name[16];

	fill_with_noise(guest, task_at(task), TASK_SIZE);
	put(guest, task, STATE, 0, 4, task == 0 ? 0 : of_kernel && task > 2 ? 0x402 : 1);
	put(guest, task, FLAGS, 0, 4, of_kernel ? task > 2 ? 0x200020 : 0x200000 : 0x400000);
	put(guest, task, MEMORY, 0, 8, of_kernel ? 0 : MAPS + process * 4096);
	put(guest, task, MEMORY, 8, 8, of_kernel ? 0 : MAPS + process * 4096);
	put(guest, task, EXIT, 0, 8, 0);
	put(guest, task, EXIT, 8, 4, !is_leader ? ~0u : task < 3 ? 0 : 17);
	put(guest, task, EXIT, 12, 4, 0);
	put(guest, task, IDS, 0, 4, task);
	put(guest, task, IDS, 4, 4, process);
	put(guest, task, FAMILY, 0, 8, task_at(parent_of(process)));
	put(guest, task, FAMILY, 8, 8, task_at(parent_of(process)));
	put(guest, task, FAMILY, 48, 8, task_at(process));
	put(guest, task, PID, 0, 8, PIDS + task * 256);
	fill_with_noise(guest, PIDS + task * 256, 256);
	made_put(&guest->made, PIDS + task * 256 + 96, 8, task);
	made_put(&guest->made, PIDS + task * 256 + 104, 8, INIT_PID_NS);
	put(guest, task, TIMES, 0, 8, start);
	put(guest, task, TIMES, 8, 8, start);
	put(guest, task, CRED, 0, 8, CREDS);
	put(guest, task, CRED, 8, 8, CREDS);
	put(guest, task, SIGNAL, 0, 8, SIGNALS + process * 256);
	snprintf(name, sizeof(name),
		 task == 0               ? "swapper/0"
		 : of_kernel && task > 2 ? "kworker/%u:1"
					 : "task-%u",
		 task);
	memcpy(made_memory(&guest->made, task_at(task) + guest->places[NAME]), name, sizeof(name));
}

/* Lists: of all processes, of children, of threads. */
static void make_lists(struct guest *guest)
{
	unsigned last_child[PROCESSES] = { 0 };

	for (unsigned i = 0; i < PROCESSES; i++)
		link_to(guest, task_at(i) + guest->places[LIST],
			task_at((i + 1) % PROCESSES) + guest->places[LIST]);
	for (unsigned i = 0; i < guest->task_count; i++) {
		uint64_t children = task_at(i) + guest->places[FAMILY] + 16;
		link_to(guest, children, children);
		link_to(guest, children + 16, children + 16);
	}
	for (unsigned i = 1; i < PROCESSES; i++) {
		unsigned parent = parent_of(i);
		uint64_t head = task_at(parent) + guest->places[FAMILY] + 16;
		uint64_t node = task_at(i) + guest->places[FAMILY] + 32;
		uint64_t before = last_child[parent]
					  ? task_at(last_child[parent]) + guest->places[FAMILY] + 32
					  : head;
		link_to(guest, before, node);
		link_to(guest, node, head);
		last_child[parent] = i;
	}
	for (unsigned i = 0; i < PROCESSES; i++) {
		uint64_t head = SIGNALS + i * 256 + 16;
		made_put(&guest->made, SIGNALS + i * 256 + 8, 4,
			 i == PROCESSES - 1 ? 1 + THREADS : 1);
		link_to(guest, head, task_at(i) + guest->places[NODE]);
		link_to(guest, task_at(i) + guest->places[NODE], head);
	}
	uint64_t last = task_at(PROCESSES - 1) + guest->places[NODE];
	for (unsigned i = 0; i < THREADS; i++) {
		uint64_t node = task_at(PROCESSES + i) + guest->places[NODE];
		link_to(guest, last, node);
		last = node;
	}
	link_to(guest, last, SIGNALS + (PROCESSES - 1) * 256 + 16);
}

/* Eight ids and what follows them from so many bytes on, before them at least a number of references. */
static void make_cred(struct guest *guest, unsigned ids)
{
	unsigned sets = (ids + 9 * 4 + 7) / 8 * 8;

	fill_with_noise(guest, CREDS, 256);
	for (unsigned at = 0; at < sets; at += 4)
		made_put(&guest->made, CREDS + at, 4, at == 0 ? PROCESSES : 0);
	for (unsigned set = 0; set < 5; set++)
		made_put(&guest->made, CREDS + sets + 8 * set, 8,
			 set >= 1 && set <= 3 ? 0x1ffffffffff : 0);
}

static void guest_open(struct guest *guest, uint64_t seed)
{
	guest->random = seed;
	guest->task_count = PROCESSES + THREADS;
	made_open(&guest->made, "struct none 8 nothing u64@0");
	types_close(guest->made.kernel.types);
	guest->made.kernel.types = NULL;
	choose_places(guest);
	/* The kernel's image, which all page tables have besides its direct map. */
	machine_map(&guest->made.machine, 0xffffffff80000000, ENTRY_PRESENT);
	for (unsigned i = 0; i < guest->task_count; i++)
		make_task(guest, i, i < PROCESSES ? i : PROCESSES - 1);
	for (unsigned i = PROCESSES / 2; i < PROCESSES; i++)
		make_mm(guest, i);
	make_lists(guest);
	make_cred(guest, 8);
	made_symbol(&guest->made, "init_cred", CREDS);
	made_symbol(&guest->made, "init_pid_ns", INIT_PID_NS);
	guest->made.kernel.init_task = task_at(0);
}

static void guest_close(struct guest *guest)
{
	made_close(&guest->made);
}

struct expected {
	const char *type, *member;
	enum part part;
	unsigned offset;
};

static const struct expected expected[] = {
	{ "task_struct", "__state", STATE, 0 },
	{ "task_struct", "flags", FLAGS, 0 },
	{ "task_struct", "tasks", LIST, 0 },
	{ "task_struct", "mm", MEMORY, 0 },
	{ "task_struct", "exit_state", EXIT, 0 },
	{ "task_struct", "exit_signal", EXIT, 8 },
	{ "task_struct", "pid", IDS, 0 },
	{ "task_struct", "tgid", IDS, 4 },
	{ "task_struct", "real_parent", FAMILY, 0 },
	{ "task_struct", "parent", FAMILY, 8 },
	{ "task_struct", "children", FAMILY, 16 },
	{ "task_struct", "sibling", FAMILY, 32 },
	{ "task_struct", "group_leader", FAMILY, 48 },
	{ "task_struct", "thread_pid", PID, 0 },
	{ "task_struct", "thread_node", NODE, 0 },
	{ "task_struct", "start_boottime", TIMES, 8 },
	{ "task_struct", "real_cred", CRED, 0 },
	{ "task_struct", "comm", NAME, 0 },
	{ "task_struct", "signal", SIGNAL, 0 },
};

enum { EXPECTED = sizeof(expected) / sizeof(*expected) };

/* How many were found; those that were are in their places. */
static unsigned check_places(const struct guest *guest, const struct inference *inference)
{
	unsigned found = 0;

	for (unsigned i = 0; i < EXPECTED; i++) {
		size_t column = infer_column(inference, expected[i].type, expected[i].member);
		if (column == NO_COLUMN)
			continue;
		CHECK_EQUAL(column, guest->places[expected[i].part] + expected[i].offset);
		found++;
	}
	return found;
}

static void finds_members_anywhere(void)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		AUTO_INFERENCE struct inference *inference = NULL;
		struct guest guest;

		guest_open(&guest, seed);
		CHECK_EQUAL(infer_types(&guest.made.kernel, &inference, NULL), KIOKU_OK);
		CHECK_EQUAL(check_places(&guest, inference), EXPECTED);
		CHECK_EQUAL(infer_column(inference, "cred", "uid"), 8);
		CHECK_EQUAL(infer_column(inference, "mm_struct", "pgd"), 80);
		CHECK_EQUAL(infer_column(inference, "pid", "numbers"), 96);
		CHECK_EQUAL(infer_column(inference, "signal_struct", "nr_threads"), 8);
		guest_close(&guest);
	}
}

/* As all checks and a lock's own debugging leave them. */
static void finds_what_checks_move(void)
{
	static const unsigned leads[] = { 4, 8, 20, 28 };

	for (unsigned i = 0; i < sizeof(leads) / sizeof(*leads); i++) {
		AUTO_INFERENCE struct inference *inference = NULL;
		struct guest guest;

		guest_open(&guest, 5);
		make_cred(&guest, leads[i]);
		for (unsigned process = PROCESSES / 2; process < PROCESSES; process++)
			put_bounds(&guest, process, 568);
		CHECK_EQUAL(infer_types(&guest.made.kernel, &inference, NULL), KIOKU_OK);
		CHECK_EQUAL(infer_column(inference, "cred", "uid"), leads[i]);
		CHECK_EQUAL(infer_column(inference, "mm_struct", "start_code"), 576);
		CHECK_EQUAL(infer_column(inference, "mm_struct", "saved_auxv"), 664);
		guest_close(&guest);
	}
}

static void takes_no_one_of_two(void)
{
	AUTO_INFERENCE struct inference *inference = NULL;
	struct guest guest;

	guest_open(&guest, 7);
	/* The same numbers once more, behind all else. */
	for (unsigned i = 0; i < guest.task_count; i++)
		made_put(&guest.made, task_at(i) + TASK_SIZE - 8, 8,
			 load_le64(made_memory(&guest.made, task_at(i) + guest.places[IDS])));
	CHECK_EQUAL(infer_types(&guest.made.kernel, &inference, NULL), KIOKU_OK);
	CHECK_EQUAL(infer_column(inference, "task_struct", "pid"), NO_COLUMN);
	CHECK_EQUAL(infer_column(inference, "task_struct", "tgid"), NO_COLUMN);
	CHECK(check_places(&guest, inference) > EXPECTED / 2);
	guest_close(&guest);
}

static void bears_damage(void)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		AUTO_INFERENCE struct inference *inference = NULL;
		struct guest guest;

		guest_open(&guest, seed);
		for (unsigned i = 0; i < 20; i++) {
			uint64_t at = task_at(noise(&guest) % guest.task_count) +
				      noise(&guest) % (TASK_SIZE / 8) * 8;
			made_put(&guest.made, at, 8,
				 task_at(noise(&guest) % guest.task_count) +
					 noise(&guest) % TASK_SIZE);
		}
		if (infer_types(&guest.made.kernel, &inference, NULL) == KIOKU_OK)
			check_places(&guest, inference);
		guest_close(&guest);
	}
}

/* In one place, in two, and a task that both its neighbours have lost: what can be reached is enough. */
static void bears_a_broken_list(void)
{
	for (unsigned kind = 0; kind < 3; kind++) {
		AUTO_INFERENCE struct inference *inference = NULL;
		struct guest guest;

		guest_open(&guest, 11 + kind);
		made_put(&guest.made, task_at(15) + guest.places[LIST], 8, task_at(19));
		if (kind > 0)
			made_put(&guest.made, task_at(17) + guest.places[LIST], 8, 0);
		if (kind > 1)
			made_put(&guest.made, task_at(15) + guest.places[LIST] + 8, 8, 0);
		CHECK_EQUAL(infer_types(&guest.made.kernel, &inference, NULL), KIOKU_OK);
		CHECK_EQUAL(check_places(&guest, inference), EXPECTED);
		guest_close(&guest);
	}
}

static void needs_a_ring(void)
{
	AUTO_INFERENCE struct inference *inference = NULL;
	struct guest guest;

	/* Three tasks can be reached from one end, and two from the other: that proves nothing. */
	guest_open(&guest, 3);
	made_put(&guest.made, task_at(3) + guest.places[LIST], 8, task_at(9));
	made_put(&guest.made, task_at(PROCESSES - 2) + guest.places[LIST] + 8, 8, 0);
	CHECK_EQUAL(infer_types(&guest.made.kernel, &inference, NULL), KIOKU_ERROR_NOT_FOUND);
	CHECK(!inference && !guest.made.kernel.types);
	guest_close(&guest);
}

/* Members that nothing but their order tells are in none where the layout is randomised. */
static void trusts_no_order_that_is_not(void)
{
	AUTO_INFERENCE struct inference *inference = NULL;
	struct guest guest;

	guest_open(&guest, 5);
	for (unsigned i = 0; i < guest.task_count; i++) {
		uint8_t *family = made_memory(&guest.made, task_at(i) + guest.places[FAMILY]);
		memset(family + 48, 0, 8);
	}
	CHECK_EQUAL(infer_types(&guest.made.kernel, &inference, NULL), KIOKU_OK);
	CHECK_EQUAL(infer_column(inference, "task_struct", "exit_state"), NO_COLUMN);
	CHECK_EQUAL(infer_column(inference, "task_struct", "start_boottime"), NO_COLUMN);
	CHECK_EQUAL(infer_column(inference, "signal_struct", "nr_threads"), NO_COLUMN);
	CHECK(infer_column(inference, "task_struct", "pid") != NO_COLUMN);
	guest_close(&guest);
}

TAP_MAIN(TEST(finds_members_anywhere), TEST(finds_what_checks_move), TEST(takes_no_one_of_two),
	 TEST(bears_damage), TEST(bears_a_broken_list), TEST(needs_a_ring),
	 TEST(trusts_no_order_that_is_not))
