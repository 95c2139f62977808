/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A live process as /proc shows it: what must be known of it before it is stopped, and in the stop. */
#ifndef SNAPSHOT_PROCESS_H
#define SNAPSHOT_PROCESS_H

#include <time.h>

#include "format/maps_format.h"
#include "snapshot/process_files.h"

/* Ascending by name; process_namespace_names[] has these. */
enum process_namespace {
	PROCESS_CGROUP_NAMESPACE,
	PROCESS_IPC_NAMESPACE,
	PROCESS_MOUNT_NAMESPACE,
	PROCESS_NETWORK_NAMESPACE,
	PROCESS_PID_NAMESPACE,
	PROCESS_TIME_NAMESPACE,
	PROCESS_USER_NAMESPACE,
	PROCESS_UTS_NAMESPACE,
	PROCESS_NAMESPACE_COUNT,
};

extern const char *const process_namespace_names[PROCESS_NAMESPACE_COUNT]; /* "mnt", "net" ... */

struct process {
	int folder; /* of /proc/PID, closed on exec */
	int32_t pid;
	char name[PROCESS_NAME_SIZE]; /* any bytes but NUL */
	uint64_t start_ticks;         /* since the machine started, 1/sysconf(_SC_CLK_TCK) s */
	struct timespec start_utc;    /* as exact as a tick and the clock's corrections since */
	int32_t parent, group, session;

	/* What process_refresh() reads again. */
	char state;          /* of the leader, as in stat; 'Z' with live threads: it has exited */
	int32_t live_thread; /* the leader, or if it has exited a thread that has not */
	uint32_t threads;    /* with the leader */
	bool is_exiting;     /* PF_EXITING of live_thread */
	int32_t tracer;      /* 0: none; of live_thread, others may have one of their own */
	uint32_t uids[4], gids[4]; /* real, effective, saved, of file systems */
	uint64_t effective_capabilities;
	uint32_t seccomp;       /* SECCOMP_MODE_*; 0 if there is none, or the kernel has none */
	bool no_new_privileges; /* false if the kernel does not say (before v4.10) */
	uint32_t policy;        /* SCHED_*, of live_thread; a DEADLINE one cannot clone */
	/*
	 * Hints. A thread that is in vfork() or in the kernel for long cannot be stopped at once. Only of
	 * live_thread, and where /proc/PID/syscall may be read.
	 */
	bool is_uninterruptible; /* state D */
	bool is_in_vfork;        /* state D, in vfork(), clone() or clone3() */

	uint32_t
		word_size; /* 4 or 8: of its programs' ELF class; 0: not known, it may not be read */
	uint16_t machine;  /* EM_*; EM_NONE: not known */

	/* Its number in each PID namespace, from this one inwards; one of 1 is the init of one. */
	int32_t namespace_pids[32];
	uint32_t namespace_pid_count;                 /* 0: the kernel does not say (before v4.1) */
	uint64_t namespaces[PROCESS_NAMESPACE_COUNT]; /* inode numbers; 0: not known */
	uint32_t other_namespaces; /* bits of enum process_namespace: others than this process's */
};

/*
 * process_close() in any case. Errors: ARGUMENT, NOT_FOUND, OS, and REFUSED, with the reason: the id of
 * a thread (its process is named), a thread of the kernel, a process that has ended (a zombie).
 */
enum kioku_status process_open(int32_t pid, struct process *out, struct kioku_error *error);
void process_close(struct process *process);

#define AUTO_PROCESS CLEANUP(process_close)

/* "nginx (1200)", escaped for a terminal. */
#define PROCESS_LABEL_SIZE (4 * PROCESS_NAME_SIZE + 16)
void process_label(const struct process *process, char out[PROCESS_LABEL_SIZE]);

/* What may have changed, read again. Errors: NOT_FOUND (it has ended meanwhile), OS. */
enum kioku_status process_refresh(struct process *process, struct kioku_error *error);

/*
 * Whether its number is still its own: what is done by number (ptrace, kill) can reach another process
 * otherwise. True also for a zombie, which keeps its number. About 10 us.
 */
bool process_is_current(const struct process *process);

/* The ids of its threads, exited leaders and worker threads of io_uring among them. Errors: NOT_FOUND,
 * OS, NO_MEMORY. */
enum kioku_status process_threads(const struct process *process, struct number_list *out,
				  struct kioku_error *error);

/* All zero is empty; what it has allocated is used again. */
struct process_maps {
	struct file_text text; /* names of mappings point into it */
	struct mapping_list list;
};

/*
 * The mappings, through a live thread. Of a process that runs they are no consistent picture, since
 * the kernel gives them in pieces; in a stop they are, unless another process shares the memory. With
 * smaps, the page tables are walked, which takes milliseconds per GiB and holds up the process's own
 * mmap() meanwhile. Errors: NOT_FOUND (it is ending and has no memory any more), OS (EACCES: the rights
 * of ptrace are needed), CORRUPT, NO_MEMORY, LIMIT.
 */
enum kioku_status process_mappings(struct process *process, bool with_smaps,
				   struct process_maps *out, struct kioku_error *error);

/* The same, of the text that was read, which the names point into. Errors: CORRUPT, NO_MEMORY. */
enum kioku_status process_maps_decode(struct bytes text, struct mapping_list *list,
				      struct kioku_error *error);
void process_maps_release(struct process_maps *maps);

/* Room for so many mappings, so that process_mappings() allocates nothing in a stop. */
bool process_maps_reserve(struct process_maps *maps, size_t mappings);

#define AUTO_MAPS CLEANUP(process_maps_release)

/*
 * Opens, for reading, a file of a live thread ("auxv", "syscall"), or reads it whole. A process whose
 * leader has exited has them nowhere else. Errors: NOT_FOUND (it has ended), OS, NO_MEMORY, LIMIT.
 */
enum kioku_status process_read(const struct process *process, const char *name,
			       struct file_text *out, struct kioku_error *error);

/* The same path from the process's folder. */
void process_live_path(const struct process *process, const char *name,
		       char out[PROCESS_STRING_SIZE]);

/* The same, opened for reading; -1 with errno. */
int process_open_live(const struct process *process, const char *name);

/*
 * Whether /proc/PID/mem has what the process itself may not read, for one who does not trace it: not with
 * CONFIG_PROC_MEM_FORCE_PTRACE or proc_mem.force_override= (proc_mem_foll_force(), fs/proc/base.c, Linux
 * 6.12).
 */
bool process_reads_all(void);

#endif