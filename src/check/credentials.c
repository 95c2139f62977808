/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Credentials that are not a process's own. copy_creds() (kernel/cred.c, v2.6.29 to v7.0) gives every process, threads of
 * the kernel too, a struct cred of its own; only threads of one process share it, and each counts as two users. A new
 * user id is always set together with the structure of that user (set_user(), kernel/sys.c).
 */
#include <stdio.h>

#include "base/growing.h"
#include "check/check.h"
#include "kernel/file_table.h"

struct holder {
	uint64_t cred; /* objective: real_cred */
	uint64_t task;
	int32_t tgid;
	char comm[16];
	unsigned uses; /* of the struct cred by this task */
};

struct search {
	struct check_run *run;
	struct holder *holders;
	size_t count, capacity;
};

static void search_release(struct search *search)
{
	free(search->holders);
}

struct subjective {
	uint64_t cred;
};

static const struct member subjective_members[] = { MEMBER(struct subjective, cred, "cred") };
static const struct record subjective_record =
	RECORD(struct subjective, "task_struct", subjective_members);

struct usage {
	int64_t count;
};

static const struct member usage_members[] = { MEMBER(struct usage, count, "usage") };
static const struct record usage_record = RECORD(struct usage, "cred", usage_members);

static enum kioku_status note_thread(void *user, const struct task *task)
{
	struct search *search = user;
	struct subjective subjective;

	if (task_is_leaving(task) || !task_is_plausible(search->run->kernel, task))
		return KIOKU_OK;
	if (!GROW(search->holders, search->count, search->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	struct holder *holder = &search->holders[search->count++];
	*holder = (struct holder){
		.cred = task->real_cred, .task = task->address, .tgid = task->tgid, .uses = 1
	};
	snprintf(holder->comm, sizeof(holder->comm), "%.15s", task->comm);
	/* Where it acts as somebody else for a while, that is not always counted: v6.14, override_creds(). */
	if (record_read_at(search->run->kernel, &subjective_record, task->address, &subjective) ==
		    KIOKU_OK &&
	    subjective.cred == task->real_cred)
		holder->uses++;
	return KIOKU_OK;
}

static enum kioku_status note_process(void *user, const struct task *task)
{
	struct search *search = user;

	return task_each_thread(search->run->kernel, task, TASK_IDENTITY | TASK_MEMBERS,
				note_thread, search, NULL);
}

static int by_cred(const void *a, const void *b)
{
	const struct holder *left = a, *right = b;

	if (left->cred != right->cred)
		return left->cred < right->cred ? -1 : 1;
	if (left->tgid != right->tgid)
		return left->tgid < right->tgid ? -1 : 1;
	return (left->task > right->task) - (left->task < right->task);
}

static enum kioku_status report(const struct search *search, const struct holder *holder,
				const char *expected, const char *found)
{
	bool may_be_torn = source_may_be_torn(search->run->kernel->source);

	return check_report(search->run,
			    &(struct check_result){
				    .severity = may_be_torn ? CHECK_NOTE : CHECK_FINDING,
				    .certainty = may_be_torn ? CHECK_POSSIBLE : CHECK_LIKELY,
				    .pid = holder->tgid,
				    .subject = holder->comm,
				    .address = holder->cred,
				    .compared = "credentials of processes with each other, their "
						"users and their use",
				    .expected = expected,
				    .found = found,
			    });
}

/* Those of one struct cred, by process. */
static enum kioku_status look_at_sharing(const struct search *search, const struct holder *group,
					 size_t count)
{
	const char *expected = "each process has credentials of its own";
	uint64_t initial = kernel_symbol(search->run->kernel, "init_cred");
	bool is_initial = initial && group->cred == initial;
	char found[CHECK_TEXT];

	for (size_t i = 0; i < count; i++) {
		const struct holder *holder = &group[i];
		if (i > 0 && holder->tgid == group[i - 1].tgid)
			continue;
		if (is_initial && holder->tgid != 0)
			TRY(report(search, holder, expected,
				   "it has the credentials of the kernel itself (init_cred)"));
		if (is_initial || holder->tgid == group->tgid)
			continue;
		snprintf(found, sizeof(found), "it has the credentials of process %d (%s)",
			 group->tgid, group->comm);
		TRY(report(search, holder, expected, found));
	}
	return KIOKU_OK;
}

static enum kioku_status look_at_usage(const struct search *search, const struct holder *group,
				       size_t count)
{
	struct kioku_kernel *kernel = search->run->kernel;
	char found[CHECK_TEXT], expected[CHECK_TEXT];
	int64_t uses = 0;
	struct usage usage;

	for (size_t i = 0; i < count; i++)
		uses += group[i].uses;
	if (record_read_at(kernel, &usage_record, group->cred, &usage) != KIOKU_OK ||
	    usage.count >= uses)
		return KIOKU_OK;
	snprintf(found, sizeof(found), "its credentials count %lld user%s", (long long)usage.count,
		 usage.count == 1 ? "" : "s");
	snprintf(expected, sizeof(expected), "the %lld that there are, or more", (long long)uses);
	return report(search, group, expected, found);
}

/* A user id that was written over: the structure of the user is still that of the one before. */
static enum kioku_status look_at_user(const struct search *search, const struct holder *holder)
{
	struct kioku_kernel *kernel = search->run->kernel;
	char found[CHECK_TEXT];
	struct cred cred;
	uint32_t user;

	if (record_read_at(kernel, &cred_record, holder->cred, &cred) != KIOKU_OK || !cred.user ||
	    user_read_id(kernel, cred.user, &user) != KIOKU_OK || user == cred.uid)
		return KIOKU_OK;
	snprintf(found, sizeof(found), "its user id is %u, and it counts as a process of user %u",
		 cred.uid, user);
	return report(search, holder, "both are set together", found);
}

static enum kioku_status look_at_group(const struct search *search, const struct holder *group,
				       size_t count)
{
	TRY(look_at_sharing(search, group, count));
	TRY(look_at_usage(search, group, count));
	return look_at_user(search, group);
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	CLEANUP(search_release) struct search search = { .run = run };

	TRY(task_each_process(run->kernel, TASK_IDENTITY | TASK_MEMBERS, note_process, &search,
			      error));
	if (search.count > 0)
		qsort(search.holders, search.count, sizeof(*search.holders), by_cred);
	for (size_t i = 0, end; i < search.count; i = end) {
		for (end = i + 1; end < search.count; end++)
			if (search.holders[end].cred != search.holders[i].cred)
				break;
		TRY(look_at_group(&search, &search.holders[i], end - i));
	}
	return KIOKU_OK;
}

static const struct record *const records[] = { &task_record,       &signal_record, &cred_record,
						&subjective_record, &usage_record,  NULL };

const struct check credentials_check = {
	.name = "credentials",
	.help = "credentials that several processes share, or that were written over",
	.records = records,
	.run = run_check,
};
