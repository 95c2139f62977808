/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions that are called for interrupts: of their lines, of softirqs, of NMIs. */
#include <stdio.h>

#include "check/handler.h"
#include "kernel/irq.h"

static const struct record *const records[] = { &interrupt_record, &interrupt_handler_record,
						NULL };

struct looking {
	struct check_run *run;
	const struct interrupt *interrupt;
};

static enum kioku_status look_at(struct check_run *run, const char *subject, uint64_t address,
				 uint64_t function)
{
	struct handler handler;
	const struct check_result result = {
		.pid = -1,
		.subject = subject,
		.address = address,
		.compared = "handlers of interrupts with code of the kernel and modules",
		.expected = "a function of the kernel, or of a module of its own",
	};

	if (function == 0)
		return KIOKU_OK;
	handler_find(run, function, &handler);
	return handler_report(run, &handler, &result);
}

static enum kioku_status look_at_handler(void *user, const struct interrupt_handler *handler)
{
	const struct looking *looking = user;
	char subject[64];

	snprintf(subject, sizeof(subject), "interrupt %u", looking->interrupt->number);
	TRY(look_at(looking->run, subject, handler->address, handler->function));
	snprintf(subject, sizeof(subject), "thread of interrupt %u", looking->interrupt->number);
	return look_at(looking->run, subject, handler->address, handler->thread_function);
}

static enum kioku_status look_at_line(void *user, const struct interrupt *interrupt)
{
	struct looking looking = { .run = user, .interrupt = interrupt };
	char subject[64];

	snprintf(subject, sizeof(subject), "flow of interrupt %u", interrupt->number);
	TRY(look_at(looking.run, subject, interrupt->address, interrupt->flow));
	return interrupt_each_handler(looking.run->kernel, interrupt, look_at_handler, &looking);
}

static enum kioku_status look_at_softirq(void *user, uint32_t number, const char *name,
					 const struct interrupt_handler *handler)
{
	char subject[128];

	snprintf(subject, sizeof(subject), "softirq %u%s%s", number, name ? ", " : "",
		 name ? name : "");
	return look_at(user, subject, handler->address, handler->function);
}

static enum kioku_status look_at_nmi(void *user, const char *kind,
				     const struct interrupt_handler *handler)
{
	char subject[64];

	snprintf(subject, sizeof(subject), "NMI, %s", kind);
	return look_at(user, subject, handler->address, handler->function);
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	TRY(interrupt_each(run->kernel, look_at_line, run, error));
	TRY(softirq_each(run->kernel, look_at_softirq, run, error));
	return nmi_each(run->kernel, look_at_nmi, run, error);
}

const struct check interrupt_handlers_check = {
	.name = "interrupt_handlers",
	.help = "functions that are called for interrupts, softirqs and NMIs",
	.records = records,
	.run = run_check,
};
