/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of system calls: sys_call_table, arch/x86/entry/syscall_64.c. Each entry is the beginning of a
 * function of the kernel that is named after a system call. Kernels with x64_sys_call() (v6.9, 1e3ad78334a6,
 * and backported) do not look at the table when they dispatch: it serves tracing only.
 */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "check/handler.h"

enum { ENTRY = 8, ENTRY_LIMIT = 4096 };

static const char compared[] = "sys_call_table with the kernel's own functions";

/* __x64_sys_read, __x32_compat_sys_ioctl, stub_..., and before v4.17 sys_read and SyS_read. */
static bool is_named_so(const char *name)
{
	return strstr(name, "sys_") || strstr(name, "SyS_") || strncmp(name, "stub_", 5) == 0;
}

/* Whether an entry leads to the beginning of a function of the kernel, and to that of a system call. */
static bool is_start(const struct check_run *run, const struct handler *handler, uint64_t entry,
		     bool *is_system_call)
{
	struct code_name function;

	bool is_known = kernel_code_function(run->kernel, run->code, entry, &function);
	*is_system_call = is_known && is_named_so(function.name);
	return handler->owner == HANDLER_OF_KERNEL && is_known && function.address == entry;
}

static enum kioku_status check_entry(struct check_run *run, uint64_t table, size_t number,
				     uint64_t entry)
{
	bool is_inert = kernel_symbol(run->kernel, "x64_sys_call") != 0;
	char subject[32];
	struct handler handler;
	bool is_system_call;
	struct check_result result = {
		.severity = CHECK_FINDING,
		.certainty = CHECK_CERTAIN,
		.pid = -1,
		.subject = subject,
		.address = table + number * ENTRY,
		.compared = compared,
		.expected = is_inert ? "a system call of the kernel; not dispatched by this table"
				     : "a system call of the kernel",
		.found = handler.text,
	};

	handler_find(run, entry, &handler);
	if (is_start(run, &handler, entry, &is_system_call)) {
		if (is_system_call)
			return KIOKU_OK;
		result.certainty = CHECK_LIKELY;
	}
	snprintf(subject, sizeof(subject), "system call %zu", number);
	return check_report(run, &result);
}

/* Up to the next symbol, but for the zeros that align that one. */
static size_t entry_count(const struct kioku_kernel *kernel, uint64_t table)
{
	size_t next = symbols_above(kernel->symbols, table);
	uint64_t size = next < kioku_symbols_count(kernel->symbols)
				? kioku_symbols_get(kernel->symbols, next).address - table
				: 0;

	return size / ENTRY < ENTRY_LIMIT ? (size_t)(size / ENTRY) : ENTRY_LIMIT;
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	uint64_t table = kernel_symbol(run->kernel, "sys_call_table");
	uint8_t bytes[ENTRY_LIMIT * ENTRY];

	if (table == 0)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "no symbol sys_call_table");
	size_t count = entry_count(run->kernel, table);
	if (kernel_read(run->kernel, table, bytes, count * ENTRY, error) != KIOKU_OK) {
		diagnose(&run->kernel->diagnostics, KIOKU_GAP, "sys_call_table: %s",
			 error ? error->message : "not readable");
		return KIOKU_OK;
	}
	while (count > 0 && load_le64(bytes + (count - 1) * ENTRY) == 0)
		count--;
	for (size_t i = 0; i < count; i++)
		TRY(check_entry(run, table, i, load_le64(bytes + i * ENTRY)));
	return KIOKU_OK;
}

const struct check syscall_table_check = {
	.name = "syscall_table",
	.help = "entries of the table of system calls that are none of the kernel's",
	.run = run_check,
};
