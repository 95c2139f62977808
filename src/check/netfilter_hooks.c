/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions that are called for packets, of which each is code of the kernel or of a module. */
#include <stdio.h>

#include "check/handler.h"
#include "kernel/netfilter.h"

static const struct record *const records[] = { &net_namespace_record, NULL };

struct looking {
	struct check_run *run;
	const struct net_namespace *namespace;
	struct kioku_error *error;
};

static enum kioku_status look_at(void *user, const struct netfilter_hook *hook)
{
	const struct looking *looking = user;
	struct handler handler;
	char subject[128];
	const struct check_result result = {
		.pid = -1,
		.subject = subject,
		.address = hook->handler,
		.compared = "netfilter hooks with the code of the kernel and of its modules",
		.expected = "a function of the kernel, or of a module of its own",
	};

	snprintf(subject, sizeof(subject), "%s %s, namespace %u", hook->family, hook->point,
		 looking->namespace->inode);
	handler_find(looking->run, hook->handler, &handler);
	return handler_report(looking->run, &handler, &result);
}

static enum kioku_status look_into(void *user, const struct net_namespace *namespace)
{
	struct looking *looking = user;

	looking->namespace = namespace;
	return netfilter_each(looking->run->kernel, namespace, look_at, looking, looking->error);
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	struct looking looking = { .run = run, .error = error };

	return net_namespace_each(run->kernel, look_into, &looking, error);
}

const struct check netfilter_hooks_check = {
	.name = "netfilter_hooks",
	.help = "functions that are called for packets",
	.records = records,
	.run = run_check,
};
