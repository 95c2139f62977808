/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a duplicate has room; groups of control are made and removed where that is allowed. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/scan.h"
#include "snapshot/cgroup.h"
#include "snapshot/process_room.h"
#include "test_child.h"

#define MEMORY_LIMIT (64ull << 20)

static void run_wait(int ready)
{
	say(ready, 1);
}

static void adds_up_what_a_duplicate_needs(void)
{
	CLEANUP(mapping_list_release) struct mapping_list list = { 0 };
	const char *text =
		"100000-200000 rw-p 0 0:0 0\nAnonymous: 512 kB\nSwap: 512 kB\nVmFlags: ac\n"
		"200000-300000 rw-s 0 0:1 5 /a\nAnonymous: 64 kB\nVmFlags: sh\n"
		"300000-400000 rw-p 0 0:0 0\nAnonymous: 4 kB\nVmFlags: ac dc\n"
		"400000-500000 rw-p 0 0:0 0\nAnonymous: 4 kB\nVmFlags: ac wf\n"
		"500000-600000 r-xp 0 0:1 5 /a\nAnonymous: 0 kB\nVmFlags: rd ex\n";

	CHECK_EQUAL(maps_list(bytes_of_text(text), &list), MAPS_OK);
	struct process_need need = process_need(&list);
	CHECK_EQUAL(need.tasks, 1);
	CHECK_EQUAL(need.commit, 2 << 20);
	CHECK(need.memory >= 1 << 20 && need.memory < (1 << 20) + 65536);
	CHECK_EQUAL(maps_list(bytes_of_text("100000-200000 rw-p 0 0:0 0\n"
					    "200000-300000 r--p 0 0:1 5 /a\n"),
			      &list),
		    MAPS_OK);
	need = process_need(&list);
	CHECK(need.memory >= 1 << 20 && need.commit == 1 << 20);
}

static void refuses_what_has_no_room(void)
{
	struct process_room room = { .cgroup_memory = 100ull << 20,
				     .cgroup_cache = 30ull << 20,
				     .cgroup = "/a/b",
				     .machine_memory = 1000ull << 20,
				     .commit = 50ull << 20,
				     .tasks = 1,
				     .tasks_limit = "RLIMIT_NPROC" };
	struct process_need need = { .memory = 100ull << 20, .commit = 50ull << 20, .tasks = 1 };
	struct kioku_error error = { 0 };

	CHECK_EQUAL(process_room_check(&room, &need, &error), KIOKU_OK);
	need.memory += 1 << 20;
	CHECK_EQUAL(process_room_check(&room, &need, &error), KIOKU_ERROR_REFUSED);
	CHECK_SAYS(error.message,
		   "may need 101 MiB, and the memory cgroup /a/b has 100 MiB, 30 MiB");
	room.cgroup_memory = PROCESS_ROOM_UNLIMITED;
	CHECK_EQUAL(process_room_check(&room, &need, &error), KIOKU_OK);
	need.memory = 2000ull << 20;
	CHECK_EQUAL(process_room_check(&room, &need, &error), KIOKU_ERROR_REFUSED);
	CHECK_SAYS(error.message, "this machine has 1000 MiB");
	need.memory = 0;
	need.commit++;
	CHECK_EQUAL(process_room_check(&room, &need, &error), KIOKU_ERROR_REFUSED);
	CHECK_SAYS(error.message, "vm.overcommit_memory=2 leaves 50 MiB");
	room.tasks = 0;
	CHECK_EQUAL(process_room_check(&room, &need, &error), KIOKU_ERROR_REFUSED);
	CHECK_SAYS(error.message, "RLIMIT_NPROC leaves no room");
}

static void looks_at_this_machine(void)
{
	AUTO_PROCESS struct process process;
	AUTO_MAPS struct process_maps maps = { 0 };
	struct kioku_error error = { 0 };
	struct process_room room;

	CHECK_EQUAL(process_open(getpid(), &process, &error), KIOKU_OK);
	CHECK_EQUAL(process_mappings(&process, true, &maps, &error), KIOKU_OK);
	CHECK_EQUAL(process_room(&process, &room, &error), KIOKU_OK);
	CHECK(room.machine_memory > 1 << 20 && room.machine_memory < 1ull << 50);
	CHECK(room.tasks < PROCESS_ROOM_UNLIMITED && *room.tasks_limit);
	struct process_need need = process_need(&maps.list);
	CHECK(need.memory > 4096 && need.memory < 4ull << 30);
}

static bool write_to(const char *folder, const char *file, const char *text)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	AUTO_CLOSE int descriptor = open(path, O_WRONLY | O_CLOEXEC);
	return descriptor >= 0 && write(descriptor, text, strlen(text)) == (ssize_t)strlen(text);
}

/* A group below this test's own, by a controller, with a limit and a child in it; or a skip. */
static void make_group(const char *controller, const char *v1_file, const char *v2_file,
		       const char *limit, const struct child *child, char path[4200])
{
	AUTO_PROCESS struct process process;
	struct kioku_error error = { 0 };
	struct cgroup group;
	char pid[32];

	CHECK_EQUAL(process_open(child->pid, &process, &error), KIOKU_OK);
	if (cgroup_find(&process, controller, &group, &error) != CGROUP_OK)
		SKIP("there is no such cgroup here");
	snprintf(path, 4200, "%s/kioku-test-%d", group.path, getpid());
	if (mkdir(path, 0755) != 0)
		SKIP("no cgroup can be made here");
	snprintf(pid, sizeof(pid), "%d", child->pid);
	if (!write_to(path, group.is_v2 ? v2_file : v1_file, limit) ||
	    !write_to(path, "cgroup.procs", pid)) {
		rmdir(path);
		SKIP("this cgroup has no limits to set");
	}
}

/* A group is busy until the last of what was in it is gone. */
static void remove_group(const char *path)
{
	for (unsigned i = 0; i < 10000 && rmdir(path) != 0 && errno == EBUSY; i++)
		poll(NULL, 0, 1);
}

static void sees_the_limit_of_a_memory_cgroup(void)
{
	struct child child = start_child(run_wait);
	AUTO_PROCESS struct process process;
	struct kioku_error error = { 0 };
	struct process_room room;
	char path[4200], limit[32];

	await(&child);
	snprintf(limit, sizeof(limit), "%llu", MEMORY_LIMIT);
	make_group("memory", "memory.limit_in_bytes", "memory.max", limit, &child, path);
	CHECK_EQUAL(process_open(child.pid, &process, &error), KIOKU_OK);
	enum kioku_status status = process_room(&process, &room, &error);
	end_child(&child);
	remove_group(path);
	CHECK_EQUAL(status, KIOKU_OK);
	CHECK(room.cgroup_memory <= MEMORY_LIMIT && room.cgroup_memory > MEMORY_LIMIT / 4);
	CHECK(room.cgroup_cache <= room.cgroup_memory);
	CHECK_SAYS(room.cgroup, "/kioku-test-");
}

static void sees_the_limit_of_a_pids_cgroup(void)
{
	struct child child = start_child(run_wait);
	AUTO_PROCESS struct process process;
	struct kioku_error error = { 0 };
	struct process_need need = { .tasks = 1 };
	struct process_room room;
	char path[4200];

	await(&child);
	make_group("pids", "pids.max", "pids.max", "1", &child, path);
	CHECK_EQUAL(process_open(child.pid, &process, &error), KIOKU_OK);
	enum kioku_status status = process_room(&process, &room, &error);
	end_child(&child);
	remove_group(path);
	CHECK_EQUAL(status, KIOKU_OK);
	CHECK_EQUAL(room.tasks, 0);
	CHECK_EQUAL(process_room_check(&room, &need, &error), KIOKU_ERROR_REFUSED);
	CHECK_SAYS(error.message, "the pids cgroup /");
}

/* Somebody who has no other process. */
static void run_limited(int ready)
{
	struct rlimit limit = { 3, 3 };

	if (setgid(54321) != 0 || setuid(54321) != 0 || setrlimit(RLIMIT_NPROC, &limit) != 0)
		_exit(1);
	say(ready, 1);
}

static void sees_the_limit_of_a_user(void)
{
	struct kioku_error error = { 0 };
	struct process_room room;

	if (geteuid() != 0)
		SKIP("needs root, to become somebody else");
	struct child child = start_child(run_limited);
	await(&child);
	AUTO_PROCESS struct process process;
	CHECK_EQUAL(process_open(child.pid, &process, &error), KIOKU_OK);
	CHECK_EQUAL(process_room(&process, &room, &error), KIOKU_OK);
	CHECK_EQUAL(room.tasks, 2);
	CHECK_SAYS(room.tasks_limit, "RLIMIT_NPROC");
	end_child(&child);
}

TAP_MAIN(TEST(adds_up_what_a_duplicate_needs), TEST(refuses_what_has_no_room),
	 TEST(looks_at_this_machine), TEST(sees_the_limit_of_a_memory_cgroup),
	 TEST(sees_the_limit_of_a_pids_cgroup), TEST(sees_the_limit_of_a_user))
