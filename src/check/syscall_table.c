/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tables of system calls: sys_call_table, and for 32-bit programs ia32_sys_call_table (arch/x86/entry). Each entry
 * is the beginning of a function of the kernel that is named after a system call. Kernels with x64_sys_call() and
 * ia32_sys_call() (v6.9, 1e3ad78334a6, and backported) do not look at a table when they dispatch, which the code
 * tells that does it.
 */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "check/handler.h"
#include "check/redirection.h"

enum {
	ENTRY = 8,
	ENTRY_LIMIT = 4096,
	CODE_LIMIT = 4096, /* bytes of a function that are looked at */
	PADDING = 64, /* before a function, to which calls of it may lead: CONFIG_CALL_PADDING */
	FUNCTIONS = 6,
};

static const struct dispatch {
	const char *table, *dispatcher;
	const char *subject; /* "system call" */
	/* What system calls are dispatched from, wherever the compiler puts it. */
	const char *functions[FUNCTIONS];
} dispatches[] = {
	{ "sys_call_table",
	  "x64_sys_call",
	  "system call",
	  { "do_syscall_64", "do_syscall_x64", "entry_SYSCALL_64", "entry_SYSCALL_64_fastpath" } },
	{ "ia32_sys_call_table",
	  "ia32_sys_call",
	  "ia32 system call",
	  { "do_int80_syscall_32", "do_fast_syscall_32", "__do_fast_syscall_32",
	    "do_int80_emulation", "int80_emulation", "do_syscall_32_irqs_on" } },
	{ "x32_sys_call_table",
	  "x32_sys_call",
	  "x32 system call",
	  { "do_syscall_64", "do_syscall_x32" } },
};

/* --- how system calls are dispatched */

/* What the code says that dispatches them. */
struct evidence {
	bool is_known;   /* some of it could be read */
	bool uses_table; /* it has the table's address */
	bool calls;      /* it calls the dispatcher, or goes there */
	bool goes_on;    /* but that one goes out of the kernel's image */
	uint64_t site;   /* a call from there to code out of the kernel's image; 0: none */
	uint64_t away;   /* where to */
};

/* A call or a jump in four bytes behind its first one, at an address. */
static void look_at_jump(const struct check_run *run, uint64_t dispatcher, uint64_t address,
			 uint64_t to, struct evidence *out)
{
	if (dispatcher && to - (dispatcher - PADDING) <= PADDING)
		out->calls = true;
	else if (!code_range_has(&run->code->image, to) && handler_is_executable(run, to)) {
		out->site = address;
		out->away = to;
	}
}

/*
 * Any four bytes may be the address of the table, as such or relative to what follows them: no instruction is told
 * from another one, so that what is found this way is trusted only to say that something is there.
 */
static void look_at_code(const struct check_run *run, const struct dispatch *dispatch,
			 uint64_t start, const uint8_t *code, size_t size, struct evidence *out)
{
	uint64_t table = kernel_symbol(run->kernel, dispatch->table);
	uint64_t dispatcher = kernel_symbol(run->kernel, dispatch->dispatcher);

	for (size_t i = 0; i + 4 <= size; i++) {
		uint64_t value = (uint64_t)(int64_t)(int32_t)load_le32(code + i);
		uint64_t relative = start + i + 4 + value;
		out->uses_table |= table && (value == table || relative == table);
		if (i > 0 && (code[i - 1] == 0xe8 || code[i - 1] == 0xe9))
			look_at_jump(run, dispatcher, start + i - 1, relative, out);
	}
}

static void find_evidence(const struct check_run *run, const struct dispatch *dispatch,
			  struct evidence *out)
{
	uint8_t code[CODE_LIMIT];

	uint64_t dispatcher = kernel_symbol(run->kernel, dispatch->dispatcher), from, to;

	*out = (struct evidence){ 0 };
	out->goes_on =
		dispatcher && redirection_find(run, dispatcher, &from, &to) == KIOKU_OK && to;
	for (size_t i = 0; i < FUNCTIONS && dispatch->functions[i]; i++) {
		uint64_t start = kernel_symbol(run->kernel, dispatch->functions[i]);
		struct code_name function;
		if (!start || !kernel_code_function(run->kernel, run->code, start, &function))
			continue;
		size_t size = function.size < CODE_LIMIT ? (size_t)function.size : CODE_LIMIT;
		if (kernel_read(run->kernel, start, code, size, NULL) != KIOKU_OK) {
			diagnose(&run->kernel->diagnostics, KIOKU_GAP,
				 "%s: how system calls are dispatched cannot be read",
				 dispatch->functions[i]);
			continue;
		}
		out->is_known = true;
		look_at_code(run, dispatch, start, code, size, out);
	}
}

/*
 * Where there is a dispatcher, something calls it. If nothing does and there is a call out of the kernel instead, that
 * one took its place. (What looks like a call may be none, but not in the place of the one that must be there.)
 */
static enum kioku_status check_dispatch(struct check_run *run, const struct dispatch *dispatch,
					const struct evidence *evidence)
{
	struct handler handler;
	char subject[64], found[CHECK_TEXT];
	struct check_result result = {
		.severity = CHECK_FINDING,
		.certainty = CHECK_CERTAIN,
		.pid = -1,
		.subject = subject,
		.address = evidence->site,
		.compared = "the code that dispatches system calls with what it should lead to",
		.expected = "that it calls the kernel's own dispatcher",
		.found = found,
	};

	if (!kernel_symbol(run->kernel, dispatch->dispatcher) || !evidence->is_known ||
	    evidence->calls || evidence->uses_table || !evidence->away)
		return KIOKU_OK;
	handler_find(run, evidence->away, &handler);
	snprintf(subject, sizeof(subject), "calls of %s", dispatch->dispatcher);
	snprintf(found, sizeof(found), "it calls %s", handler.text);
	return check_report(run, &result);
}

/* --- a table */

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

static const char *expected(const struct evidence *evidence)
{
	if (evidence->uses_table)
		return "a system call of the kernel";
	return evidence->is_known && evidence->calls && !evidence->goes_on
		       ? "a system call of the kernel; not dispatched by this table"
		       : "a system call of the kernel; whether this table dispatches is not known";
}

static enum kioku_status check_entry(struct check_run *run, const struct dispatch *dispatch,
				     const struct evidence *evidence, size_t number, uint64_t entry)
{
	char subject[48], compared[64];
	struct handler handler;
	bool is_system_call;
	struct check_result result = {
		.severity = CHECK_FINDING,
		.certainty = CHECK_CERTAIN,
		.pid = -1,
		.subject = subject,
		.address = kernel_symbol(run->kernel, dispatch->table) + number * ENTRY,
		.compared = compared,
		.expected = expected(evidence),
		.found = handler.text,
	};

	handler_find(run, entry, &handler);
	if (is_start(run, &handler, entry, &is_system_call)) {
		if (is_system_call)
			return KIOKU_OK;
		result.certainty = CHECK_LIKELY;
	}
	snprintf(subject, sizeof(subject), "%s %zu", dispatch->subject, number);
	snprintf(compared, sizeof(compared), "%s with the kernel's own functions", dispatch->table);
	return check_report(run, &result);
}

/* Up to the next symbol, but for the zeros that align that one. */
static size_t entry_count(const struct kioku_kernel *kernel, uint64_t table)
{
	uint64_t size = symbols_room(kernel->symbols, table);

	return size / ENTRY < ENTRY_LIMIT ? (size_t)(size / ENTRY) : ENTRY_LIMIT;
}

static enum kioku_status check_table(struct check_run *run, const struct dispatch *dispatch,
				     const struct evidence *evidence)
{
	uint64_t table = kernel_symbol(run->kernel, dispatch->table);
	uint8_t bytes[ENTRY_LIMIT * ENTRY];
	struct kioku_error why = { 0 };

	size_t count = entry_count(run->kernel, table);
	if (kernel_read(run->kernel, table, bytes, count * ENTRY, &why) != KIOKU_OK) {
		diagnose(&run->kernel->diagnostics, KIOKU_GAP, "%s: %s", dispatch->table,
			 why.message);
		return KIOKU_OK;
	}
	while (count > 0 && load_le64(bytes + (count - 1) * ENTRY) == 0)
		count--;
	for (size_t i = 0; i < count; i++)
		TRY(check_entry(run, dispatch, evidence, i, load_le64(bytes + i * ENTRY)));
	return KIOKU_OK;
}

/* --- the registers that lead to the code that dispatches */

static enum kioku_status say_what_is_left(struct check_run *run)
{
	const struct check_result result = {
		.severity = CHECK_NOTE,
		.certainty = CHECK_CERTAIN,
		.pid = -1,
		.address = kernel_symbol(run->kernel, "entry_SYSCALL_64"),
		.compared = "nothing",
		.expected = "that system calls enter the kernel at entry_SYSCALL_64",
		.found = "where they enter it is in registers of the CPUs (MSR_LSTAR and others), "
			 "which are not in memory: not verifiable",
	};

	return result.address ? check_report(run, &result) : KIOKU_OK;
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	if (!kernel_symbol(run->kernel, "sys_call_table"))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "no symbol sys_call_table");
	for (size_t i = 0; i < sizeof(dispatches) / sizeof(*dispatches); i++) {
		struct evidence evidence;
		find_evidence(run, &dispatches[i], &evidence);
		TRY(check_dispatch(run, &dispatches[i], &evidence));
		if (kernel_symbol(run->kernel, dispatches[i].table))
			TRY(check_table(run, &dispatches[i], &evidence));
	}
	return say_what_is_left(run);
}

const struct check syscall_table_check = {
	.name = "syscall_table",
	.help = "entries of the tables of system calls that are none of the kernel's, and their "
		"dispatch",
	.run = run_check,
};
