/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking for what hides: each check compares two things that a clean machine has alike, or one thing with
 * what it must be, and tells where they differ.
 */
#ifndef CHECK_CHECK_H
#define CHECK_CHECK_H

#include "kernel/kernel_code.h"

#define CHECK_TEXT 1024 /* bytes of a text that a check makes, its NUL included */

enum check_severity {
	CHECK_NOTE, /* worth a look; clean machines have such things, or it could not be verified */
	CHECK_FINDING, /* no clean machine has this */
};

/* That it is as found, and that nothing harmless explains it. */
enum check_certainty {
	CHECK_POSSIBLE,
	CHECK_LIKELY,
	CHECK_CERTAIN,
};

struct check_result {
	enum check_severity severity;
	enum check_certainty certainty;
	int32_t pid; /* of the process that it is about; -1: of none */
	const char *
		subject; /* the name of what it is about, as the target has it; NULL: it has none */
	uint64_t address;             /* of what it is about, virtual; 0: none */
	const char *compared;         /* what with what */
	const char *expected, *found; /* one line each */
};

/* Not OK: the checks stop with this status. */
typedef enum kioku_status check_result_fn(void *user, const char *check,
					  const struct check_result *result);

struct check;

/* Modules that memory has and the kernel's list has not; looked for when code of nobody is met. */
struct unlisted {
	struct modules modules;
	bool is_known;
};

struct checks_options {
	const char *glob;        /* of fnmatch(3), for the names of checks; NULL: all */
	const char *kernel_file; /* the kernel's vmlinux or vmlinuz; NULL: it is not at hand */
};

struct check_run {
	struct kioku_kernel *kernel;
	const struct kernel_code *code;
	struct unlisted *unlisted;
	const char *kernel_file;   /* NULL: none */
	const struct check *check; /* the one that is being made */
	check_result_fn *receive;
	void *user;
};

struct check {
	const char *name;                    /* snake_case */
	const char *help;                    /* one line */
	const struct record *const *records; /* NULL-terminated; NULL: none */
	/* Errors: UNSUPPORTED (this kernel lacks what it takes), receive's. */
	enum kioku_status (*run)(struct check_run *run, struct kioku_error *error);
};

/* All checks, NULL-terminated, in the order in which they are made. */
extern const struct check *const checks[];

/*
 * Makes checks. One that cannot be made on this kernel is said to be a gap, and the others go on.
 * Errors: NOT_FOUND (no check has such a name), NO_MEMORY, REFUSED (the file is of another kernel) and others of
 * kernel_file_open(), receive's.
 */
enum kioku_status checks_run(struct kioku_kernel *kernel, const struct checks_options *options,
			     check_result_fn *receive, void *user, struct kioku_error *error);

static inline enum kioku_status check_report(struct check_run *run,
					     const struct check_result *result)
{
	return run->receive(run->user, run->check->name, result);
}

/* Writes bytes as "0f 1f 00", as many as there is room for with a NUL: 3 each. */
void check_put_bytes(char *out, size_t room, const uint8_t *bytes, size_t count);

/* Each in a file of its name. */
extern const struct check hidden_module_check;
extern const struct check hidden_process_check;
extern const struct check posing_check;
extern const struct check syscall_table_check;
extern const struct check interrupt_table_check;
extern const struct check constant_data_check;
extern const struct check kernel_text_check;
extern const struct check tracing_hooks_check;
extern const struct check netfilter_hooks_check;
extern const struct check notifiers_check;
extern const struct check timers_check;
extern const struct check interrupt_handlers_check;
extern const struct check writable_code_check;
extern const struct check proc_entries_check;
extern const struct check file_operations_check;
extern const struct check socket_operations_check;
extern const struct check terminals_check;
extern const struct check injected_code_check;
extern const struct check executable_memory_check;
extern const struct check deleted_executable_check;
extern const struct check preload_check;
extern const struct check credentials_check;
extern const struct check ptrace_check;

#endif
