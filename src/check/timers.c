/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel is to call later: functions of timers, of delayed works and of alarms. */
#include <stdio.h>

#include "check/handler.h"
#include "kernel/timer.h"

static const struct record *const records[] = { &timer_wheel_record, &timer_clock_record, NULL };

static enum kioku_status look_at_function(struct check_run *run, const struct timer *timer,
					  const char *subject, uint64_t function)
{
	struct handler handler;
	const struct check_result result = {
		.pid = -1,
		.subject = subject,
		.address = timer->address,
		.compared = "functions of timers with code of the kernel and modules",
		.expected = "a function of the kernel, or of a module of its own",
	};

	handler_find(run, function, &handler);
	return handler_report(run, &handler, &result);
}

static enum kioku_status look_at(void *user, const struct timer *timer)
{
	struct check_run *run = user;
	struct timer_purpose purpose;
	char subject[64];

	snprintf(subject, sizeof(subject), "timer of CPU %u, %s", timer->cpu, timer->clock);
	TRY(look_at_function(run, timer, subject, timer->function));
	enum kioku_status status = timer_purpose(run->kernel, timer, &purpose);
	if (status != KIOKU_OK) {
		diagnose(&run->kernel->diagnostics, KIOKU_GAP, "timer 0x%llx: what it is for: %s",
			 (unsigned long long)timer->address, kioku_status_name(status));
		return KIOKU_OK;
	}
	if (purpose.function == 0)
		return KIOKU_OK;
	snprintf(subject, sizeof(subject), "work behind a timer of CPU %u", timer->cpu);
	return look_at_function(run, timer, subject, purpose.function);
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	return timer_each(run->kernel, look_at, run, error);
}

const struct check timers_check = {
	.name = "timers",
	.help = "functions that the kernel is to call later",
	.records = records,
	.run = run_check,
};
