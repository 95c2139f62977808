/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What hooks functions of the kernel: ftrace (kernel/trace/ftrace.c) and kprobes (kernel/kprobes.c), 4.18 to 7.2. */
#ifndef KERNEL_TRACING_H
#define KERNEL_TRACING_H

#include "kernel/record.h"

/* One that wants to be called from functions: struct ftrace_ops. */
struct tracer {
	uint64_t address; /* not a member of it */
	uint64_t function, next, flags, filter;
};

/* By bits of flags: include/linux/ftrace.h. NULL: no name is known. */
const char *tracer_flag_name(unsigned bit);

/* Not OK: the walk stops with this status. */
typedef enum kioku_status tracer_fn(void *user, const struct tracer *tracer);

/* Every one that is registered. Errors: receive's, UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status tracer_each(struct kioku_kernel *kernel, tracer_fn *receive, void *user,
			      struct kioku_error *error);

/*
 * The functions that it is called from, each by the address of the call in it; 0: all, but for those that it
 * may not. Errors: receive's, CORRUPT, UNSUPPORTED, UNMAPPED, ABSENT.
 */
typedef enum kioku_status traced_fn(void *user, uint64_t address);
enum kioku_status tracer_each_function(struct kioku_kernel *kernel, const struct tracer *tracer,
				       traced_fn *receive, void *user);

struct probe {
	uint64_t address; /* of the struct kprobe; not a member of it */
	uint64_t place;   /* in code */
	uint64_t handler; /* of a probe of returns that of the return; 0: none */
	uint32_t flags;
	bool is_of_return;
};

/* include/linux/kprobes.h */
enum probe_flag { PROBE_GONE = 1, PROBE_DISABLED = 2, PROBE_OPTIMIZED = 4, PROBE_BY_FTRACE = 8 };

/* Not OK: the walk stops with this status. */
typedef enum kioku_status probe_fn(void *user, const struct probe *probe);

/* Every probe; those that share a place one by one. Errors: receive's, UNSUPPORTED. */
enum kioku_status probe_each(struct kioku_kernel *kernel, probe_fn *receive, void *user,
			     struct kioku_error *error);

#endif
