/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/process_room.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/scan.h"
#include "snapshot/cgroup.h"

#define MIB(bytes) ((bytes) >> 20)

/* v1 has no word for "no limit": PAGE_COUNTER_MAX pages (mm/page_counter.c) is as many bytes. */
#define V1_UNLIMITED (UINT64_C(1) << 62)

static uint64_t less(uint64_t value, uint64_t taken)
{
	return value > taken ? value - taken : 0;
}

/* --- what a duplicate needs */

struct process_need process_need(const struct mapping_list *mappings)
{
	struct process_need need = { .tasks = 1 };

	for (size_t i = 0; i < mappings->count; i++) {
		const struct mapping *mapping = &mappings->mappings[i];
		uint64_t size = mapping->end - mapping->start;
		bool is_writable = !mapping->is_shared && mapping->permissions & PROT_WRITE;
		bool is_known = mapping->flags & MAPPING_FLAGS_KNOWN;

		if (mapping->flags & MAPPING_DONTFORK || mapping->flags & MAPPING_HUGETLB)
			continue;
		if (is_known ? mapping->flags & MAPPING_ACCOUNTED : is_writable)
			need.commit += size;
		if (mapping->is_shared || mapping->flags & MAPPING_WIPEONFORK)
			continue;
		uint64_t copied = is_known      ? mapping->anonymous + mapping->swapped
				  : is_writable ? size
						: 0;
		/* An entry of 8 bytes for each page, with tables that are not full. */
		need.memory += copied + (copied > 0 ? copied / 512 + 8192 : 0);
	}
	return need;
}

/* --- files of the machine */

/* The number after a word, in a file below /proc; 0 if it is not there. */
static uint64_t machine_number(const char *path, const char *before)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	struct bytes line;
	uint64_t number;

	if (file_text_read(&text, AT_FDCWD, path, PROCESS_FILE_LIMIT, NULL) != KIOKU_OK)
		return 0;
	for (size_t offset = 0; scan_line(file_text_bytes(&text), &offset, &line);) {
		size_t at = 0;
		if (!scan_text(line, &at, before))
			continue;
		scan_blanks(line, &at);
		if (scan_decimal(line, &at, &number))
			return number;
	}
	return 0;
}

static uint64_t setting(const char *path)
{
	return machine_number(path, "");
}

static uint64_t kibibytes(const char *path, const char *before)
{
	uint64_t number = machine_number(path, before);

	return number < UINT64_MAX >> 10 ? number << 10 : UINT64_MAX;
}

static void look_at_machine(struct process_room *room)
{
	room->machine_memory = kibibytes("/proc/meminfo", "MemAvailable:");
	if (room->machine_memory == 0)
		room->machine_memory = kibibytes("/proc/meminfo", "MemFree:");
	if (setting("/proc/sys/vm/overcommit_memory") != 2)
		return;
	/* mm/util.c, __vm_enough_memory(): both reserves, of which some processes may have more. */
	room->commit = less(kibibytes("/proc/meminfo", "CommitLimit:"),
			    kibibytes("/proc/meminfo", "Committed_AS:"));
	room->commit = less(room->commit, kibibytes("/proc/sys/vm/admin_reserve_kbytes", ""));
	room->commit = less(room->commit, kibibytes("/proc/sys/vm/user_reserve_kbytes", ""));
}

/* --- cgroups */

static void note_unknown(struct process_room *room, const char *what)
{
	size_t used = strlen(room->unknown);

	snprintf(room->unknown + used, sizeof(room->unknown) - used, "%s%s", used ? "; " : "",
		 what);
}

/* What one group has left; false if it has no limit. */
static bool group_memory(const struct cgroup *group, uint64_t *left, uint64_t *cache)
{
	const char *const v1[] = { "memory.limit_in_bytes", "memory.usage_in_bytes",
				   "total_inactive_file", "total_dirty", "total_writeback" };
	const char *const v2[] = { "memory.max", "memory.current", "inactive_file", "file_dirty",
				   "file_writeback" };
	const char *const *names = group->is_v2 ? v2 : v1;
	uint64_t limit, high, used;

	if (!cgroup_number(group, names[0], &limit) || !cgroup_number(group, names[1], &used))
		return false;
	/* Above it nobody is killed, but put to sleep, for seconds. */
	if (group->is_v2 && cgroup_number(group, "memory.high", &high) && high < limit)
		limit = high;
	if (limit >= V1_UNLIMITED)
		return false;
	*cache = cgroup_statistic(group, "memory.stat", names[2]);
	*cache = less(*cache, cgroup_statistic(group, "memory.stat", names[3]));
	*cache = less(*cache, cgroup_statistic(group, "memory.stat", names[4]));
	*cache = *cache < used ? *cache : used;
	*left = less(limit, used - *cache);
	return true;
}

static void limit_memory(const struct cgroup *group, struct process_room *room)
{
	uint64_t left, cache;

	if (!group_memory(group, &left, &cache) || left >= room->cgroup_memory)
		return;
	room->cgroup_memory = left;
	room->cgroup_cache = cache < left ? cache : left;
	snprintf(room->cgroup, sizeof(room->cgroup), "%s", cgroup_name(group));
}

static void limit_tasks(struct process_room *room, uint64_t left, const char *format,
			const char *whose)
{
	if (left >= room->tasks)
		return;
	room->tasks = left;
	snprintf(room->tasks_limit, sizeof(room->tasks_limit), format, whose);
}

static void limit_group_tasks(const struct cgroup *group, struct process_room *room)
{
	uint64_t limit, used;

	if (cgroup_number(group, "pids.max", &limit) && limit != UINT64_MAX &&
	    cgroup_number(group, "pids.current", &used))
		limit_tasks(room, less(limit, used), "the pids cgroup %s", cgroup_name(group));
}

/* Every group from the process's own up to the top has its say. */
static enum kioku_status look_at_groups(const struct process *process, const char *controller,
					void (*limit)(const struct cgroup *, struct process_room *),
					struct process_room *room, struct kioku_error *error)
{
	struct kioku_error problem = { 0 };
	struct cgroup group;
	char unknown[64];

	switch (cgroup_find(process, controller, &group, &problem)) {
	case CGROUP_NONE: return KIOKU_OK;
	case CGROUP_FAILED:
		if (error)
			*error = problem;
		return problem.status;
	case CGROUP_HIDDEN:
		snprintf(unknown, sizeof(unknown), "its %s cgroup is not mounted here", controller);
		note_unknown(room, unknown);
		return KIOKU_OK;
	case CGROUP_OK: break;
	}
	do
		limit(&group, room);
	while (cgroup_up(&group));
	return KIOKU_OK;
}

/* --- tasks */

/* All threads whose real user it is: what the kernel counts, and more if there are user namespaces. */
static enum kioku_status count_tasks_of(uint32_t user, uint64_t *out, struct kioku_error *error)
{
	AUTO_NUMBERS struct number_list processes = { 0 };
	AUTO_FILE_TEXT struct file_text text = { 0 };
	char path[64];

	*out = 0;
	TRY(number_list_read(&processes, AT_FDCWD, "/proc", error));
	for (size_t i = 0; i < processes.count; i++) {
		uint64_t uid, threads;
		snprintf(path, sizeof(path), "/proc/%d/status", processes.numbers[i]);
		if (file_text_read(&text, AT_FDCWD, path, PROCESS_FILE_LIMIT, NULL) == KIOKU_OK &&
		    task_status_numbers(file_text_bytes(&text), "Uid", &uid, 1) == 1 &&
		    task_status_numbers(file_text_bytes(&text), "Threads", &threads, 1) == 1)
			*out += uid == user ? threads : 0;
	}
	return KIOKU_OK;
}

/* kernel/fork.c, copy_process(): root is exempt, and whoever may do more in the first namespace. */
static bool is_exempt(const struct process *process)
{
	const uint64_t exempt = 1ull << CAP_SYS_RESOURCE | 1ull << CAP_SYS_ADMIN;
	bool is_ours = !(process->other_namespaces & 1u << PROCESS_USER_NAMESPACE);

	return process->uids[0] == 0 || (is_ours && process->effective_capabilities & exempt);
}

static enum kioku_status look_at_limits(const struct process *process, struct process_room *room,
					struct kioku_error *error)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	struct bytes line;
	uint64_t limit = 0, count;

	if (is_exempt(process))
		return KIOKU_OK;
	if (process_read(process, "limits", &text, NULL) != KIOKU_OK) {
		note_unknown(room, "its RLIMIT_NPROC may not be read");
		return KIOKU_OK;
	}
	for (size_t offset = 0; scan_line(file_text_bytes(&text), &offset, &line);) {
		size_t at = 0;
		if (!scan_text(line, &at, "Max processes "))
			continue;
		scan_blanks(line, &at);
		if (!scan_decimal(line, &at, &limit))
			return KIOKU_OK; /* "unlimited" */
	}
	TRY(count_tasks_of(process->uids[0], &count, error));
	limit_tasks(room, less(limit, count), "%s", "RLIMIT_NPROC");
	return KIOKU_OK;
}

/* "0.39 2.04 2.60 1/123 4567": 123 tasks (fs/proc/loadavg.c). */
static uint64_t count_tasks(void)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	uint64_t running, all = 0;
	struct bytes word;

	if (file_text_read(&text, AT_FDCWD, "/proc/loadavg", PROCESS_FILE_LIMIT, NULL) != KIOKU_OK)
		return 0;
	for (size_t offset = 0; scan_word(file_text_bytes(&text), &offset, &word);) {
		size_t at = 0;
		if (scan_decimal(word, &at, &running) && scan_text(word, &at, "/") &&
		    scan_decimal(word, &at, &all))
			break;
	}
	return all;
}

static void limit_machine_tasks(struct process_room *room, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
	uint64_t limit = setting(path);
	if (limit > 0)
		limit_tasks(room, less(limit, count_tasks()), "kernel.%s", name);
}

enum kioku_status process_room(const struct process *process, struct process_room *out,
			       struct kioku_error *error)
{
	*out = (struct process_room){
		.cgroup_memory = PROCESS_ROOM_UNLIMITED,
		.commit = PROCESS_ROOM_UNLIMITED,
		.tasks = PROCESS_ROOM_UNLIMITED,
	};
	look_at_machine(out);
	limit_machine_tasks(out, "threads-max");
	limit_machine_tasks(out, "pid_max");
	TRY(look_at_groups(process, "memory", limit_memory, out, error));
	TRY(look_at_groups(process, "pids", limit_group_tasks, out, error));
	return look_at_limits(process, out, error);
}

enum kioku_status process_room_check(const struct process_room *room,
				     const struct process_need *need, struct kioku_error *error)
{
	if (need->tasks > room->tasks)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "%s leaves no room for a duplicate: %" PRIu64 " more tasks",
				 room->tasks_limit, room->tasks);
	if (need->memory > room->cgroup_memory)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "a duplicate may need %" PRIu64
				 " MiB, and the memory cgroup %s has "
				 "%" PRIu64 " MiB, %" PRIu64 " MiB of it page cache: the process "
				 "could be killed",
				 MIB(need->memory), room->cgroup, MIB(room->cgroup_memory),
				 MIB(room->cgroup_cache));
	if (need->memory > room->machine_memory)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "a duplicate may need %" PRIu64 " MiB, and this machine has "
				 "%" PRIu64 " MiB",
				 MIB(need->memory), MIB(room->machine_memory));
	if (need->commit > room->commit)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "a duplicate would be promised %" PRIu64 " MiB, and "
				 "vm.overcommit_memory=2 leaves %" PRIu64 " MiB",
				 MIB(need->commit), MIB(room->commit));
	return KIOKU_OK;
}
