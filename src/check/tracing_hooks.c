/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Functions that ftrace and kprobes call from functions of the kernel. What changes where a function goes on
 * (FTRACE_OPS_FL_IPMODIFY) is live patching, whose callback is the kernel's own.
 */
#include <stdio.h>
#include <string.h>

#include "check/handler.h"
#include "kernel/tracing.h"

static const char compared[] =
	"callbacks of ftrace and kprobes with code of the kernel and modules";
static const char expected[] = "a function of the kernel, or of a module of its own";

/* --- ftrace */

enum { NAMED = 3 }; /* functions that are named; of the others only the count is told */

struct hooked {
	const struct check_run *run;
	char text[CHECK_TEXT / 2];
	size_t length, count;
};

static enum kioku_status note_function(void *user, uint64_t address)
{
	struct hooked *hooked = user;
	struct code_name function;

	if (hooked->count++ >= NAMED || address == 0 ||
	    !kernel_code_function(hooked->run->kernel, hooked->run->code, address, &function))
		return KIOKU_OK;
	size_t room = sizeof(hooked->text) - hooked->length;
	int length = snprintf(hooked->text + hooked->length, room, "%s%s",
			      hooked->length ? ", " : "", function.name);
	hooked->length += (size_t)length < room ? (size_t)length : room - 1;
	return KIOKU_OK;
}

static void name_functions(const struct check_run *run, const struct tracer *tracer,
			   struct hooked *out)
{
	*out = (struct hooked){ .run = run };
	enum kioku_status status = tracer_each_function(run->kernel, tracer, note_function, out);
	size_t room = sizeof(out->text) - out->length;
	if (status != KIOKU_OK)
		snprintf(out->text + out->length, room, "%sothers that are not known",
			 out->length ? ", " : "");
	else if (out->length == 0)
		snprintf(out->text, room, "functions of the kernel");
	else if (out->count > NAMED)
		snprintf(out->text + out->length, room, " and %zu more", out->count - NAMED);
}

/* Whether a tracer decides where the traced function goes on. */
static bool redirects(const struct tracer *tracer)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		const char *name = tracer->flags >> bit & 1 ? tracer_flag_name(bit) : NULL;
		if (name && strcmp(name, "ipmodify") == 0)
			return true;
	}
	return false;
}

static enum kioku_status look_at_tracer(void *user, const struct tracer *tracer)
{
	struct check_run *run = user;
	struct handler handler;
	struct hooked hooked;
	struct check_result result = {
		.severity = CHECK_FINDING,
		.certainty = CHECK_LIKELY,
		.pid = -1,
		.subject = hooked.text,
		.address = tracer->address,
		.compared = compared,
		.expected = expected,
		.found = handler.text,
	};

	handler_find(run, tracer->function, &handler);
	if (handler.owner == HANDLER_OF_KERNEL)
		return KIOKU_OK;
	name_functions(run, tracer, &hooked);
	if (handler.owner == HANDLER_OF_NOBODY || !redirects(tracer))
		return handler_report(run, &handler, &result);
	result.expected = "that only live patching changes where a function goes on";
	return check_report(run, &result);
}

/* --- kprobes */

static enum kioku_status look_at_probe(void *user, const struct probe *probe)
{
	struct check_run *run = user;
	struct handler handler;
	char subject[CODE_TEXT];
	const struct check_result result = {
		.pid = -1,
		.subject = subject,
		.address = probe->address,
		.compared = compared,
		.expected = expected,
	};

	if (probe->handler == 0)
		return KIOKU_OK;
	kernel_code_place(run->kernel, run->code, probe->place, subject);
	handler_find(run, probe->handler, &handler);
	return handler_report(run, &handler, &result);
}

/* A kernel without ftrace, or without kprobes, is hooked by neither. */
static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	enum kioku_status traced = tracer_each(run->kernel, look_at_tracer, run, error);

	if (traced != KIOKU_OK && traced != KIOKU_ERROR_UNSUPPORTED)
		return traced;
	enum kioku_status probed = probe_each(run->kernel, look_at_probe, run, error);
	return probed == KIOKU_ERROR_UNSUPPORTED && traced == KIOKU_OK ? KIOKU_OK : probed;
}

const struct check tracing_hooks_check = {
	.name = "tracing_hooks",
	.help = "what ftrace and kprobes call from functions of the kernel",
	.run = run_check,
};
