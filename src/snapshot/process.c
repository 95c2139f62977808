/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/process.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/scan.h"
#include "format/elf_format.h"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define READ_ATTEMPTS 4 /* a live thread may end between being found and being read */

const char *const process_namespace_names[PROCESS_NAMESPACE_COUNT] = {
	[PROCESS_CGROUP_NAMESPACE] = "cgroup", [PROCESS_IPC_NAMESPACE] = "ipc",
	[PROCESS_MOUNT_NAMESPACE] = "mnt",     [PROCESS_NETWORK_NAMESPACE] = "net",
	[PROCESS_PID_NAMESPACE] = "pid",       [PROCESS_TIME_NAMESPACE] = "time",
	[PROCESS_USER_NAMESPACE] = "user",     [PROCESS_UTS_NAMESPACE] = "uts",
};

/* OS errors of a process that is no more become NOT_FOUND. */
static enum kioku_status translate(const struct process *process, struct kioku_error *problem,
				   struct kioku_error *error)
{
	if (process_is_gone(problem))
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "process %d has ended",
				 process->pid);
	if (error)
		*error = *problem;
	return problem->status;
}

void process_label(const struct process *process, char out[PROCESS_LABEL_SIZE])
{
	size_t at = 0;

	for (const char *name = process->name; *name; name++) {
		uint8_t c = (uint8_t)*name;
		if (c < 0x20 || c > 0x7e || c == '\\')
			at += (size_t)snprintf(out + at, PROCESS_LABEL_SIZE - at, "\\x%02x", c);
		else
			out[at++] = (char)c;
	}
	snprintf(out + at, PROCESS_LABEL_SIZE - at, " (%d)", process->pid);
}

/* --- stat and status */

void process_live_path(const struct process *process, const char *name,
		       char out[PROCESS_STRING_SIZE])
{
	/* Not all that a process has was there for each thread before v3.18 ("net"). */
	if (process->live_thread == process->pid)
		snprintf(out, PROCESS_STRING_SIZE, "%s", name);
	else
		snprintf(out, PROCESS_STRING_SIZE, "task/%d/%s", process->live_thread, name);
}

enum kioku_status process_read(const struct process *process, const char *name,
			       struct file_text *out, struct kioku_error *error)
{
	char path[PROCESS_STRING_SIZE];
	struct kioku_error problem = { 0 };

	process_live_path(process, name, path);
	if (file_text_read(out, process->folder, path, PROCESS_FILE_LIMIT, &problem) == KIOKU_OK)
		return KIOKU_OK;
	/* ENOENT can also say that this kernel has no such file. */
	if (problem.os_errno == ENOENT && process_is_current(process)) {
		if (error)
			*error = problem;
		return problem.status;
	}
	return translate(process, &problem, error);
}

static bool is_ended(char state)
{
	return state == 'Z' || state == 'X' || state == 'x';
}

/* A thread that has not exited: the leader where that is so. False: there is none. */
static bool find_live_thread(struct process *process, char leader_state, struct file_text *text,
			     struct task_stat *stat)
{
	AUTO_NUMBERS struct number_list threads = { 0 };
	char path[PROCESS_STRING_SIZE];

	process->live_thread = process->pid;
	process_live_path(process, "stat", path);
	if (!is_ended(leader_state) &&
	    task_stat_read(process->folder, path, text, stat, NULL) == KIOKU_OK &&
	    !is_ended(stat->state))
		return true;
	if (number_list_read(&threads, process->folder, "task", NULL) != KIOKU_OK)
		return false;
	for (size_t i = 0; i < threads.count; i++) {
		process->live_thread = threads.numbers[i];
		process_live_path(process, "stat", path);
		if (task_stat_read(process->folder, path, text, stat, NULL) == KIOKU_OK &&
		    !is_ended(stat->state))
			return true;
	}
	process->live_thread = process->pid;
	return false;
}

static void store_ids(struct bytes status, const char *key, uint32_t out[4])
{
	uint64_t ids[4];

	task_status_numbers(status, key, ids, 4);
	for (size_t i = 0; i < 4; i++)
		out[i] = (uint32_t)ids[i];
}

static void store_status(struct process *process, struct bytes status)
{
	uint64_t number, pids[COUNT(process->namespace_pids)];

	task_status_numbers(status, "TracerPid", &number, 1);
	process->tracer = (int32_t)number;
	store_ids(status, "Uid", process->uids);
	store_ids(status, "Gid", process->gids);
	process->effective_capabilities = 0;
	task_status_bits(status, "CapEff", &process->effective_capabilities);
	task_status_numbers(status, "Seccomp", &number, 1);
	process->seccomp = (uint32_t)number;
	task_status_numbers(status, "NoNewPrivs", &number, 1);
	process->no_new_privileges = number != 0;
	process->namespace_pid_count =
		(uint32_t)task_status_numbers(status, "NSpid", pids, COUNT(pids));
	for (size_t i = 0; i < process->namespace_pid_count; i++)
		process->namespace_pids[i] = (int32_t)pids[i];
}

/* "56 0x1200011 ...", "running", or "-1 SP PC" for one that is not in a system call. */
static bool is_in_vfork(struct bytes text)
{
	size_t offset = 0;
	uint64_t number;

	if (!scan_decimal(text, &offset, &number))
		return false;
#ifdef SYS_vfork
	if (number == SYS_vfork)
		return true;
#endif
	return number == SYS_clone || number == 435; /* clone3, the same everywhere */
}

static enum kioku_status refresh(struct process *process, struct file_text *text,
				 struct kioku_error *error)
{
	struct task_stat stat, live;

	TRY(task_stat_read(process->folder, "stat", text, &stat, error));
	process_copy_name(stat.name, process->name, sizeof(process->name));
	process->state = stat.state;
	process->threads = (uint32_t)stat.threads;
	process->parent = (int32_t)stat.parent;
	process->group = (int32_t)stat.group;
	process->session = (int32_t)stat.session;
	process->start_ticks = (uint64_t)stat.start_time;
	if (!find_live_thread(process, stat.state, text, &live)) {
		char label[PROCESS_LABEL_SIZE];
		process_label(process, label);
		return error_set(error, KIOKU_ERROR_NOT_FOUND,
				 "process %s has ended: only its parent, %d, has not taken note",
				 label, process->parent);
	}
	process->is_exiting = live.flags & TASK_EXITING;
	process->policy = (uint32_t)live.policy;
	process->is_uninterruptible = live.state == 'D';
	process->is_in_vfork = process->is_uninterruptible &&
			       process_read(process, "syscall", text, NULL) == KIOKU_OK &&
			       is_in_vfork(file_text_bytes(text));
	TRY(process_read(process, "status", text, error));
	store_status(process, file_text_bytes(text));
	return KIOKU_OK;
}

enum kioku_status process_refresh(struct process *process, struct kioku_error *error)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	struct kioku_error problem = { 0 };

	if (refresh(process, &text, &problem) == KIOKU_OK)
		return KIOKU_OK;
	return translate(process, &problem, error);
}

bool process_is_current(const struct process *process)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	struct task_stat stat;

	return task_stat_read(process->folder, "stat", &text, &stat, NULL) == KIOKU_OK &&
	       stat.pid == process->pid && (uint64_t)stat.start_time == process->start_ticks;
}

/* --- refusals */

/* /proc/TID is there for every thread, though it is not listed. */
static enum kioku_status check_kind(const struct process *process, struct file_text *text,
				    struct kioku_error *error)
{
	AUTO_CLOSE int leader_folder = -1;
	char label[PROCESS_LABEL_SIZE];
	struct task_stat stat;
	uint64_t leader;

	process_label(process, label);
	TRY(file_text_read(text, process->folder, "status", PROCESS_FILE_LIMIT, error));
	task_status_numbers(file_text_bytes(text), "Tgid", &leader, 1);
	if (leader != (uint64_t)process->pid) {
		struct process of = { .pid = (int32_t)leader };
		char of_label[PROCESS_LABEL_SIZE];
		if (process_folder_open(of.pid, &leader_folder, NULL) == KIOKU_OK &&
		    task_stat_read(leader_folder, "stat", text, &stat, NULL) == KIOKU_OK)
			process_copy_name(stat.name, of.name, sizeof(of.name));
		process_label(&of, of_label);
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "%d is no process, but a thread of process %s", process->pid,
				 of_label);
	}
	TRY(task_stat_read(process->folder, "stat", text, &stat, error));
	if (stat.flags & TASK_KERNEL_THREAD)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "%s is a thread of the kernel, which has no memory of its own",
				 label);
	return KIOKU_OK;
}

/* --- what does not change */

/* Both clocks at one moment: what was set since then of the clock's time is part of the result. */
static struct timespec utc_of_ticks(uint64_t ticks)
{
	uint64_t per_second = (uint64_t)sysconf(_SC_CLK_TCK);
	const int64_t second = 1000000000;
	struct timespec now, since_boot;

	clock_gettime(CLOCK_BOOTTIME, &since_boot);
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t age = (int64_t)(since_boot.tv_sec * second + since_boot.tv_nsec) -
		      (int64_t)(ticks / per_second * (uint64_t)second +
				ticks % per_second * (uint64_t)second / per_second);
	int64_t start = (int64_t)(now.tv_sec * second + now.tv_nsec) - age;
	return (struct timespec){ start / second, start % second };
}

/* The vector is of the program that runs now, even if its file is not to be had. */
static void learn_program(struct process *process, struct file_text *text)
{
	uint8_t head[ELF_HEADER_SIZE];
	struct elf_header header;
	char path[PROCESS_STRING_SIZE];

	if (process_read(process, "auxv", text, NULL) == KIOKU_OK)
		process->word_size = auxv_word_size(file_text_bytes(text));
	process_live_path(process, "exe", path);
	AUTO_CLOSE int program = openat(process->folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (program < 0 || pread(program, head, sizeof(head), 0) != sizeof(head) ||
	    elf_header_decode((struct bytes){ head, sizeof(head) }, &header) != NULL)
		return;
	process->machine = header.machine;
	if (!process->word_size)
		process->word_size = header.is_64 ? 8 : 4;
}

static void learn_namespaces(struct process *process)
{
	char name[32], path[PROCESS_STRING_SIZE];
	struct stat of_process, own;

	for (size_t i = 0; i < PROCESS_NAMESPACE_COUNT; i++) {
		snprintf(name, sizeof(name), "ns/%s", process_namespace_names[i]);
		process_live_path(process, name, path);
		if (fstatat(process->folder, path, &of_process, 0) != 0)
			continue;
		process->namespaces[i] = of_process.st_ino;
		snprintf(path, sizeof(path), "/proc/self/%s", name);
		if (stat(path, &own) == 0 && own.st_ino != of_process.st_ino)
			process->other_namespaces |= 1u << i;
	}
}

static enum kioku_status open_folder(struct process *process, struct file_text *text,
				     struct kioku_error *error)
{
	struct task_stat stat;

	TRY(task_stat_read(process->folder, "stat", text, &stat, error));
	process_copy_name(stat.name, process->name, sizeof(process->name));
	TRY(check_kind(process, text, error));
	enum kioku_status status = refresh(process, text, error);
	if (status == KIOKU_ERROR_NOT_FOUND && process->state == 'Z')
		return error->status = KIOKU_ERROR_REFUSED;
	TRY(status);
	process->start_utc = utc_of_ticks(process->start_ticks);
	learn_program(process, text);
	learn_namespaces(process);
	return KIOKU_OK;
}

enum kioku_status process_open(int32_t pid, struct process *out, struct kioku_error *error)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	struct kioku_error problem = { 0 };

	*out = (struct process){ .folder = -1, .pid = pid, .live_thread = pid };
	TRY(process_folder_open(pid, &out->folder, error));
	if (open_folder(out, &text, &problem) == KIOKU_OK)
		return KIOKU_OK;
	return translate(out, &problem, error);
}

void process_close(struct process *process)
{
	cleanup_close(&process->folder);
	process->folder = -1;
}

enum kioku_status process_threads(const struct process *process, struct number_list *out,
				  struct kioku_error *error)
{
	struct kioku_error problem = { 0 };

	if (number_list_read(out, process->folder, "task", &problem) == KIOKU_OK)
		return KIOKU_OK;
	return translate(process, &problem, error);
}

/* --- mappings */

static enum kioku_status read_maps(const struct process *process, bool with_smaps,
				   struct file_text *text, struct kioku_error *error)
{
	char path[PROCESS_STRING_SIZE];
	enum kioku_status status = KIOKU_ERROR_OS;

	error->os_errno = ENOENT;
	if (with_smaps) {
		process_live_path(process, "smaps", path);
		status = file_text_read(text, process->folder, path, PROCESS_MAPS_LIMIT, error);
	}
	/* A kernel without CONFIG_PROC_PAGE_MONITOR has no smaps. */
	if (status == KIOKU_ERROR_OS && error->os_errno == ENOENT) {
		process_live_path(process, "maps", path);
		status = file_text_read(text, process->folder, path, PROCESS_MAPS_LIMIT, error);
	}
	return status;
}

enum kioku_status process_maps_decode(struct bytes text, struct mapping_list *list,
				      struct kioku_error *error)
{
	switch (maps_list(text, list)) {
	case MAPS_OK: return KIOKU_OK;
	case MAPS_NO_MEMORY: return error_no_memory(error);
	case MAPS_DAMAGED: break;
	}
	return error_set(error, KIOKU_ERROR_CORRUPT,
			 "the list of mappings is not as expected, behind %zu of them",
			 list->count);
}

enum kioku_status process_mappings(struct process *process, bool with_smaps,
				   struct process_maps *out, struct kioku_error *error)
{
	for (unsigned attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
		struct kioku_error problem = { 0 };
		enum kioku_status status = read_maps(process, with_smaps, &out->text, &problem);
		if (status == KIOKU_OK && out->text.size > 0)
			break;
		if (status != KIOKU_OK && !process_is_gone(&problem))
			return translate(process, &problem, error);
		out->list.count = 0;
		/* The thread has exited, or is about to: its memory is let go first. */
		TRY(process_refresh(process, error));
	}
	if (out->text.size == 0)
		return error_set(error, KIOKU_ERROR_NOT_FOUND,
				 "process %d has no memory any more: it is ending", process->pid);
	return process_maps_decode(file_text_bytes(&out->text), &out->list, error);
}

bool process_maps_reserve(struct process_maps *maps, size_t mappings)
{
	/* A line is about 100 bytes, and no longer than 4 KiB. */
	return file_text_reserve(&maps->text, mappings * 160) &&
	       mapping_list_reserve(&maps->list, mappings);
}

void process_maps_release(struct process_maps *maps)
{
	file_text_release(&maps->text);
	mapping_list_release(&maps->list);
}

int process_open_live(const struct process *process, const char *name)
{
	char path[PROCESS_STRING_SIZE];

	process_live_path(process, name, path);
	return openat(process->folder, path, O_RDONLY | O_CLOEXEC);
}

bool process_reads_all(void)
{
	AUTO_CLOSE int own = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	long size = sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, (size_t)size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char byte;

	if (page == MAP_FAILED)
		return true;
	bool reads = pread(own, &byte, 1, (off_t)(uintptr_t)page) == 1;
	munmap(page, (size_t)size);
	return reads;
}
