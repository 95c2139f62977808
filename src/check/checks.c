/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fnmatch.h>
#include <stdio.h>

#include "check/check.h"

/* clang-format off */
const struct check *const checks[] = {
	&hidden_module_check,
	&hidden_process_check,
	&posing_check,
	&credentials_check,
	&injected_code_check,
	&executable_memory_check,
	&deleted_executable_check,
	&preload_check,
	&ptrace_check,
	&syscall_table_check,
	&interrupt_table_check,
	&constant_data_check,
	&kernel_text_check,
	&writable_code_check,
	&tracing_hooks_check,
	&netfilter_hooks_check,
	&notifiers_check,
	&timers_check,
	&interrupt_handlers_check,
	&proc_entries_check,
	&file_operations_check,
	&socket_operations_check,
	&terminals_check,
	NULL,
};
/* clang-format on */

void check_put_bytes(char *out, size_t room, const uint8_t *bytes, size_t count)
{
	size_t size = 0;

	out[0] = '\0';
	for (size_t i = 0; i < count && size + 3 < room; i++)
		size += (size_t)snprintf(out + size, room - size, "%s%02x", i ? " " : "", bytes[i]);
}

static enum kioku_status make(struct check_run *run, struct kioku_error *error)
{
	const struct check *check = run->check;
	const struct binding *binding;

	for (size_t i = 0; check->records && check->records[i]; i++)
		TRY(record_bind(run->kernel, check->records[i], &binding, error));
	return check->run(run, error);
}

static enum kioku_status make_all(struct check_run *run, const char *glob,
				  struct kioku_error *error)
{
	bool any = false;

	for (size_t i = 0; checks[i]; i++) {
		struct kioku_error why = { 0 };

		if (glob && fnmatch(glob, checks[i]->name, 0) != 0)
			continue;
		any = true;
		run->check = checks[i];
		enum kioku_status status = make(run, &why);
		if (status == KIOKU_ERROR_UNSUPPORTED)
			diagnose(&run->kernel->diagnostics, KIOKU_GAP,
				 "the check %s was not made: %s", checks[i]->name, why.message);
		else if (status != KIOKU_OK)
			return error_set(error, status, "%s: %s", checks[i]->name, why.message);
	}
	return any ? KIOKU_OK
		   : error_set(error, KIOKU_ERROR_NOT_FOUND, "no check is called %s", glob);
}

enum kioku_status checks_run(struct kioku_kernel *kernel, const struct checks_options *options,
			     check_result_fn *receive, void *user, struct kioku_error *error)
{
	struct kernel_code code;
	struct unlisted unlisted = { 0 };
	struct check_run run = {
		.kernel = kernel,
		.code = &code,
		.unlisted = &unlisted,
		.kernel_file = options->kernel_file,
		.receive = receive,
		.user = user,
	};

	if (!kernel_code_read(kernel, &code)) {
		kernel_code_release(&code);
		return error_no_memory(error);
	}
	enum kioku_status status = make_all(&run, options->glob, error);
	modules_release(&unlisted.modules);
	kernel_code_release(&code);
	return status;
}
