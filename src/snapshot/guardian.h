/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process that traces. It is a child of whoever takes the snapshot, in a session of its own, and
 * deaf to signals: when that one dies, in whatever way, the guardian sees its socket close, undoes
 * everything and ends. When the guardian itself dies, the kernel detaches it, and the frames that it
 * has put on stacks (signal_frame.h) bring the target back.
 */
#ifndef SNAPSHOT_GUARDIAN_H
#define SNAPSHOT_GUARDIAN_H

#include "base/socket.h"
#include "snapshot/duplicate.h"
#include "snapshot/process.h"
#include "snapshot/spool.h"

/* A part of a target's memory that a duplicate would not have, or share: it is copied in the stop. */
struct guardian_area {
	uint64_t start, size; /* whole pages */
};

/* What the guardian tells of a target, in memory shared with it. */
struct guardian_report {
	size_t thread_count;
	pid_t duplicate;  /* 0: there is none */
	bool is_framed;   /* struct duplicate */
	uint64_t instant; /* CLOCK_REALTIME, nanoseconds since 1970, when all threads had stopped */
	uint64_t stop;    /* nanoseconds, from the first thread to the last */
	uint64_t reap;    /* nanoseconds for which one thread was stopped at the end; 0: not so */

	/* Of TRACK and SOFT_DIRTY. */
	uint64_t setup;    /* nanoseconds: the longest for which one thread was stopped before */
	uint64_t watch;    /* nanoseconds for which all were, the longest time; 0: not so */
	uint64_t watched;  /* bytes that were not looked through in the stop (watching.h) */
	int descriptor;    /* that the target has, and we made it have: userfault.h */
	uint64_t teardown; /* nanoseconds for which all were stopped at the end; 0: not so */
	size_t maps_size;  /* bytes of struct guardian_target.maps */
	bool has_cleared;  /* the soft-dirty bits */
};

struct guardian_target {
	struct process *process; /* borrowed */
	struct site site;
	struct guardian_area *areas; /* ascending; of DUPLICATE and HOLD */
	size_t area_count;
	struct spool *spool; /* for what is copied; NULL: nothing is */
	bool must_stop_all;  /* of DUPLICATE: no thread may be in the kernel still */
	size_t thread_limit;
	struct thread_record *records;  /* shared with the guardian: thread_limit of them */
	struct guardian_report *report; /* likewise */

	/* Of these two: which mappings to copy (tracking.h), how fast, and how much may be left for the stop. */
	bool (*wants)(const struct mapping *mapping, const void *user);
	const void *user;
	uint64_t rate;        /* bytes a second; 0: no limit */
	uint64_t dirty_limit; /* bytes; 0: any number */
	uint64_t
		least_watched; /* bytes that must not have to be looked through in the stop; of TRACK */
	char *maps;            /* shared: /proc/PID/maps at the instant of the stop */
	size_t maps_limit;     /* bytes */
};

struct guardian {
	pid_t pid;                        /* 0: it has ended */
	int socket;                       /* closing it ends the guardian */
	struct guardian_message *message; /* shared */
};

enum guardian_method {
	GUARDIAN_DUPLICATE, /* the targets go on at once */
	GUARDIAN_HOLD,      /* they are stopped until guardian_end() */
	GUARDIAN_TRACK,     /* copied while they run, but for what they write last */
	GUARDIAN_SOFT_DIRTY, /* the same by their soft-dirty bits, which stay cleared (soft_dirty.h) */
};

struct guardian_order {
	enum guardian_method method;
	uint64_t patience;       /* nanoseconds for which threads are waited for that do not stop */
	struct socket_wait wait; /* asked whether to go on, while that takes its time */
};

/*
 * Stops all targets, at one instant as far as that goes, and comes back when they are duplicated,
 * held or copied. guardian_end() in any case. Errors: those of tracee.h, duplicate.h, tracking.h and
 * spool_copy(); REFUSED (a target writes more than dirty_limit while it is copied, or less of it than
 * least_watched could be watched); STOPPED (order->wait says no, or the guardian was killed); OS.
 */
enum kioku_status guardian_start(struct guardian *guardian, struct guardian_target *targets,
				 size_t count, const struct guardian_order *order,
				 struct kioku_error *error);

/* Lets go of everything, and fills in the rest of the reports. */
void guardian_end(struct guardian *guardian);

/* Memory that is shared with a guardian started later; NULL: there is none. munmap() releases it. */
void *guardian_memory(size_t size);

#endif
