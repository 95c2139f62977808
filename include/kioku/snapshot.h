/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A consistent copy of a live process: its memory and the registers of all its threads at one instant,
 * while the process itself goes on. x86-64 only. See kioku-snapshot(1) for what it does to its target.
 */
#ifndef KIOKU_SNAPSHOT_H
#define KIOKU_SNAPSHOT_H

#include <sys/types.h>

#include <kioku/source.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kioku_process;

enum kioku_snapshot_method {
	KIOKU_SNAPSHOT_AUTO,
	/*
	 * Memory is copied while the target runs, and what it writes meanwhile once more: by a userfaultfd
	 * (Linux 6.7), or where that cannot be, by soft-dirty bits.
	 */
	KIOKU_SNAPSHOT_TRACK,
	KIOKU_SNAPSHOT_FORK, /* the target is made to duplicate itself copy-on-write */
	KIOKU_SNAPSHOT_STOP, /* the target is stopped until kioku_process_release() */
};

/* "auto", "track", "fork", "stop". */
KIOKU_PUBLIC const char *kioku_snapshot_method_name(enum kioku_snapshot_method method);

/*
 * Snapshots of the same processes, one after the other: each after the first has only the pages that have
 * changed since the one before. Not for several threads at once.
 */
struct kioku_series;

/* NULL: no memory. */
KIOKU_PUBLIC struct kioku_series *kioku_series_new(void);

/* Takes NULL. */
KIOKU_PUBLIC void kioku_series_free(struct kioku_series *series);

/*
 * One moment of a series whole again, as a source for kioku_capture(). path: of the core of that moment;
 * those of the moments before are looked for in its folder. What one of them lacks, or has otherwise than
 * it was taken, is lost. kioku_source_close() it. Errors: UNSUPPORTED (it is no core of a series),
 * NOT_FOUND (a moment before it is not there: the message says which), CORRUPT, OS, NO_MEMORY.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_series_open(const char *path, struct kioku_source **out, struct kioku_error *error);

struct kioku_snapshot_options {
	size_t size; /* sizeof(struct kioku_snapshot_options) */
	/* AUTO: TRACK or FORK, which works; FORK before TRACK by soft-dirty bits, which cannot be undone. */
	enum kioku_snapshot_method method;
	bool allow_stop; /* AUTO may choose STOP where nothing else works */
	/* Nanoseconds that a target, or one thread of it, may be stopped at once; 0: no matter. */
	uint64_t max_stop;
	/* Bytes a second that TRACK copies at most while the target runs; 0: no limit. */
	uint64_t rate;
	bool exclude_files; /* leave out pages that are those of files */
	bool facts; /* also find out, for the manifest, what the process has besides memory */
	const struct kioku_area *areas; /* only the memory in these; NULL: all */
	size_t area_count;
	struct kioku_series *series; /* of which this is the next moment; NULL: of none */
	/* Asked some times a second while memory is copied; false: give up. May be NULL. */
	bool (*goes_on)(void *user);
	void *goes_on_user;
	kioku_diagnostic_fn *diagnostic; /* may be NULL */
	void *diagnostic_user;
};

/*
 * Takes a process as it is now, and returns its frozen duplicate. options may be NULL. A child process
 * of the caller holds it, which sends a SIGCHLD when it ends.
 * Errors: NOT_FOUND (there is no such process), REFUSED (it cannot be done without harm: the message
 * says why; or max_stop cannot be kept), UNSUPPORTED (a 32-bit process, a method that the kernel does
 * not have), LIMIT (too many threads; not enough memory for what a duplicate can grow to), STOPPED
 * (goes_on said no, or the child was killed), OS, NO_MEMORY. The target goes on after an error, too.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_process_duplicate(pid_t pid, const struct kioku_snapshot_options *options,
			struct kioku_process **out, struct kioku_error *error);

/*
 * Several processes at one instant, as far as the kernel allows: all are stopped before the first is
 * duplicated. out has room for count; on an error none is filled in.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_process_duplicate_all(const pid_t *pids, size_t count,
			    const struct kioku_snapshot_options *options,
			    struct kioku_process **out, struct kioku_error *error);

/*
 * Reads memory of the duplicate, by the target's virtual addresses. All or nothing. Errors: ABSENT
 * (nothing is mapped there, or it is left out; error->address says from where on), OS.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status kioku_process_read(struct kioku_process *process,
							      uint64_t address, void *buffer,
							      size_t size,
							      struct kioku_error *error);

/*
 * The duplicate as a source for kioku_capture(), which makes an ELF core of it. Borrowed until
 * kioku_process_release().
 */
KIOKU_PUBLIC struct kioku_source *kioku_process_source(struct kioku_process *process);

struct kioku_process_summary {
	pid_t pid;
	char name[16];
	enum kioku_snapshot_method method; /* that was used */
	size_t threads;
	uint64_t instant;  /* when all had stopped, nanoseconds since 1970 (UTC) */
	uint64_t setup;    /* nanoseconds, the longest for which one thread was stopped before */
	uint64_t watch;    /* nanoseconds for which all threads were, too, the longest time; or 0 */
	uint64_t stop;     /* nanoseconds for which the target was stopped; STOP: so far 0 */
	uint64_t teardown; /* nanoseconds for which all threads were stopped once more; 0: not so */
	uint64_t reap;     /* of one thread, once it is released; 0 before */
	uint64_t memory;   /* bytes that have content */
	uint64_t stored;   /* bytes of them that are in the source: less in a series */
	uint64_t inconsistent; /* bytes of them that are not of the same instant, as diagnosed */
	bool has_cleared;      /* its soft-dirty bits, which stay so */
	bool restores_itself;  /* the target would have gone on unharmed had we been killed */
	bool has_leftover;     /* the dead duplicate stays on the target's table, as a zombie */
};

KIOKU_PUBLIC struct kioku_process_summary
kioku_process_summary(const struct kioku_process *process);

/* The longest of its stops, nanoseconds, to be held against max_stop: of all, once it has been let go of. */
KIOKU_PUBLIC uint64_t kioku_process_longest_stop(const struct kioku_process_summary *summary);

/*
 * Lets go of the target: ends the duplicate and takes it off the target's table, for which one thread
 * is stopped once more. The summary is complete after that, and after all that were taken at one instant
 * have been let go of. Takes NULL, or what is let go of already.
 */
KIOKU_PUBLIC void kioku_process_let_go(struct kioku_process *process);

/* Lets go of the target, and of all that is borrowed. Takes NULL. */
KIOKU_PUBLIC void kioku_process_release(struct kioku_process *process);

/*
 * The processes of a name, which is that of /proc/PID/comm, the last part of the program's path, or of
 * the first argument. For the caller to free(). Errors: NOT_FOUND, OS, NO_MEMORY.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_process_find(const char *name, pid_t **out, size_t *count, struct kioku_error *error);

/*
 * A process and all that descend from it, itself first, as they are at one time. For the caller to
 * free(). Errors: NOT_FOUND, OS, NO_MEMORY.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status kioku_process_tree(pid_t pid, pid_t **out, size_t *count,
							      struct kioku_error *error);

/* What a snapshot would cost its target. */
struct kioku_snapshot_prediction {
	enum kioku_snapshot_method method;
	bool possible;
	char reason[256];    /* why not; "" if it is */
	uint64_t setup;      /* nanoseconds, one thread, before; 0: none */
	uint64_t stop;       /* nanoseconds, all threads */
	uint64_t later_stop; /* nanoseconds, one thread, at the end; 0: none */
	uint64_t memory;     /* bytes that the machine needs meanwhile, at worst */
	uint64_t delay;      /* nanoseconds by which each page's first write is delayed; 0: none */
};

#define KIOKU_SNAPSHOT_METHODS 3

/* All methods, the least harmful first. Errors: as kioku_process_duplicate(). */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_process_predict(pid_t pid, struct kioku_snapshot_prediction out[KIOKU_SNAPSHOT_METHODS],
		      struct kioku_error *error);

#ifdef __cplusplus
}
#endif
#endif
