/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's code against its file, if there is one. Without it, how its functions begin: whoever redirects one
 * puts a jump there. The kernel does so itself, to what it made for ftrace, kprobes and BPF, and calls of
 * static calls lead into modules. What a function does behind its beginning is not verified then.
 */
#include <stdio.h>
#include <string.h>

#include "check/made_code.h"
#include "check/redirection.h"
#include "check/text_comparison.h"
#include "symbol/symbols.h"

struct beginnings {
	struct check_run *run;
	struct made_code made;
	size_t count, lost;
};

static void beginnings_release(struct beginnings *beginnings)
{
	made_code_release(&beginnings->made);
}

/* --- functions */

/* Whether code of the kernel may lead to an address that is out of its image. */
static enum kioku_status is_right(struct beginnings *beginnings, const char *name, uint64_t to,
				  bool *out)
{
	/* Trampolines of static calls: include/linux/static_call_types.h. */
	*out = strncmp(name, "__SCT__", 7) == 0 &&
	       modules_at(&beginnings->run->code->modules, to) != NULL;
	return *out ? KIOKU_OK : made_code_has(&beginnings->made, beginnings->run->kernel, to, out);
}

static enum kioku_status look_at(struct beginnings *beginnings, const struct kioku_symbol *symbol,
				 uint64_t from, uint64_t to)
{
	struct handler handler;
	char found[CHECK_TEXT];
	bool right;
	struct check_result result = {
		.severity = CHECK_FINDING,
		.certainty = CHECK_CERTAIN,
		.pid = -1,
		.subject = symbol->name,
		.address = from,
		.compared =
			"how functions of the kernel begin, with its image and the code it made",
		.expected = "that it stays in the kernel's own code",
		.found = found,
	};

	TRY(is_right(beginnings, symbol->name, to, &right));
	if (right)
		return KIOKU_OK;
	handler_find(beginnings->run, to, &handler);
	/* What is lost may be the code that it goes to. */
	handler.is_doubtful |= handler.owner == HANDLER_OF_NOBODY && beginnings->made.is_damaged;
	handler_doubt(&handler, &result);
	snprintf(found, sizeof(found), "it goes to %s", handler.text);
	return check_report(beginnings->run, &result);
}

static enum kioku_status look_at_function(struct beginnings *beginnings,
					  const struct kioku_symbol *symbol)
{
	uint64_t from, to;

	if (redirection_find(beginnings->run, symbol->address, &from, &to) != KIOKU_OK) {
		beginnings->lost++;
		return KIOKU_OK;
	}
	beginnings->count++;
	return to ? look_at(beginnings, symbol, from, to) : KIOKU_OK;
}

/* --- all of them */

static enum kioku_status say_what_is_left(const struct beginnings *beginnings, bool is_all)
{
	char found[CHECK_TEXT];
	const struct check_result result = {
		.severity = CHECK_NOTE,
		.certainty = CHECK_CERTAIN,
		.pid = -1,
		.address = beginnings->run->code->text.start,
		.compared = "nothing",
		.expected = "a copy of this kernel to compare it with",
		.found = found,
	};

	snprintf(found, sizeof(found),
		 "code behind the beginnings of %zu functions is not verifiable without one",
		 beginnings->count);
	if (beginnings->lost)
		diagnose(&beginnings->run->kernel->diagnostics, KIOKU_GAP,
			 "how %zu functions of the kernel begin could not be read",
			 beginnings->lost);
	return is_all ? check_report(beginnings->run, &result) : KIOKU_OK;
}

static enum kioku_status look_at_beginnings(struct check_run *run, bool is_all,
					    struct kioku_error *error)
{
	const struct kioku_kernel *kernel = run->kernel;
	const struct code_range *text = &run->code->text;
	CLEANUP(beginnings_release)
	struct beginnings beginnings = { .run = run };
	size_t count = kioku_symbols_count(kernel->symbols);
	uint64_t last = 0;

	if (text->start == 0 || !run->code->image.start)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "where the kernel's code is is not known");
	for (size_t i = symbols_above(kernel->symbols, text->start - 1); i < count; i++) {
		struct kioku_symbol symbol = kioku_symbols_get(kernel->symbols, i);
		if (symbol.address + REDIRECTION_SIZE > text->end)
			break;
		if (symbol.address != last)
			TRY(look_at_function(&beginnings, &symbol));
		last = symbol.address;
	}
	return say_what_is_left(&beginnings, is_all);
}

/* A file that somebody vouches for is enough; that in the page cache may be made up by who changed the code. */
static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	enum kioku_status status = text_comparison(run, error);

	if (run->kernel_file)
		return status;
	switch (status) {
	case KIOKU_OK: return look_at_beginnings(run, false, error);
	case KIOKU_ERROR_NOT_FOUND:
	case KIOKU_ERROR_REFUSED:
	case KIOKU_ERROR_UNSUPPORTED: return look_at_beginnings(run, true, error);
	default: return status;
	}
}

const struct check kernel_text_check = {
	.name = "kernel_text",
	.help = "code of the kernel that was changed",
	.run = run_check,
};
