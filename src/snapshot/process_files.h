/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files of /proc/PID. A folder of /proc belongs to one process for good (fs/proc/base.c keeps its
 * struct pid): once it is open, whatever is read by its descriptor is of that process, or fails with
 * ESRCH, even if the number was given to another one.
 */
#ifndef SNAPSHOT_PROCESS_FILES_H
#define SNAPSHOT_PROCESS_FILES_H

#include "base/file_text.h"
#include "format/task_format.h"

#define PROCESS_FILE_LIMIT \
	(16u << 20) /* bytes of a file, other than those that have a limit below */
#define PROCESS_MAPS_LIMIT (1u << 30) /* vm.max_map_count can be raised to 2^31 */
#define PROCESS_NAME_SIZE \
	64u /* a task's, with a NUL; TASK_COMM_LEN is 16, threads of the kernel have more */
#define PROCESS_STRING_SIZE 256u

/* Numbers that name files: threads in "task", descriptors in "fd". All zero is an empty list. */
struct number_list {
	int32_t *numbers; /* ascending */
	size_t count, capacity;
};

/* Lists them in place of what was there. Errors: OS ("cannot list PATH: ..."), NO_MEMORY. */
enum kioku_status number_list_read(struct number_list *list, int folder, const char *path,
				   struct kioku_error *error);
bool number_list_add(struct number_list *list, int32_t number);
bool number_list_has(const struct number_list *list, int32_t number);
void number_list_release(struct number_list *list);

#define AUTO_NUMBERS CLEANUP(number_list_release)

/*
 * The folder of a process, close-on-exec. Errors: ARGUMENT, NOT_FOUND, REFUSED (/proc hides the
 * processes of others), OS.
 */
enum kioku_status process_folder_open(int32_t pid, int *out, struct kioku_error *error);

/* Reads and decodes stat, or task/TID/stat; *out points into the text. Errors: OS, CORRUPT. */
enum kioku_status task_stat_read(int folder, const char *path, struct file_text *text,
				 struct task_stat *out, struct kioku_error *error);

/* The letter of a thread's state, of a process's folder; 'X' if it is gone. errno stays as it is. */
char task_state_of(int folder, pid_t tid);

/*
 * Whether signals that the process ignores may be meant for this thread: those sent to the process are
 * for the first one, and SIGCHLD is for whichever has the child. They are dropped, but not while that
 * thread is traced (kernel/signal.c, sig_ignored()): then they end a call of another thread that is not.
 * Without CONFIG_PROC_CHILDREN nothing is known of children. errno stays as it is.
 */
bool task_is_addressed(int folder, pid_t pid, pid_t tid);

/* Of a status: whether reading failed because the process or the thread is no more. */
bool process_is_gone(const struct kioku_error *error);

/* A copy of at most size - 1 bytes, with a NUL. */
void process_copy_name(struct bytes name, char *out, size_t size);

#endif
