/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/address_set.h"
#include "kernel/task_scan.h"
#include "view/task_cells.h"

static const struct record *const records[] = { &task_record, &signal_record, &cred_record, NULL };

static const struct kioku_column columns[] = {
	{ "physical", KIOKU_KIND_ADDRESS, "where the task_struct lies in memory", 0 },
	TASK_COLUMN_ADDRESS,
	TASK_COLUMN_PID,
	TASK_COLUMN_TID,
	TASK_COLUMN_PPID,
	TASK_COLUMN_UID,
	TASK_COLUMN_GID,
	TASK_COLUMN_STATE,
	{ "exit_state", KIOKU_KIND_UNSIGNED, "0 unless the thread has ended, as task_struct has it",
	  0 },
	{ "listed", KIOKU_KIND_BOOLEAN, "whether the kernel's own lists lead to it", 0 },
	TASK_COLUMN_START,
	TASK_COLUMN_COMM,
};

struct psscan {
	struct view_run *run;
	struct address_set listed, carved;
};

static void psscan_release(struct psscan *psscan)
{
	address_set_release(&psscan->listed);
	address_set_release(&psscan->carved);
}

static enum kioku_status note_task(void *user, const struct task *task)
{
	struct psscan *psscan = user;

	return address_set_add(&psscan->listed, task->address) == ADDRESS_NO_MEMORY
		       ? KIOKU_ERROR_NO_MEMORY
		       : KIOKU_OK;
}

static enum kioku_status note_threads(void *user, const struct task *leader)
{
	struct psscan *psscan = user;

	return task_each_thread(psscan->run->kernel, leader, TASK_IDENTITY, note_task, psscan,
				NULL);
}

static enum kioku_status give_carved(void *user, const struct task *task, uint64_t physical)
{
	struct psscan *psscan = user;
	struct view_run *run = psscan->run;
	struct kioku_cell all[TASK_CELLS];
	char state;

	if (address_set_add(&psscan->carved, task->address) == ADDRESS_NO_MEMORY)
		return KIOKU_ERROR_NO_MEMORY;
	if (!view_wants_pid(run, task->tgid))
		return KIOKU_OK;
	bool listed = address_set_has(&psscan->listed, task->address);
	task_cells(run->kernel, task, listed, &state, all);
	const struct kioku_cell cells[] = {
		cell_number(physical), all[TASK_ADDRESS], all[TASK_PID],
		all[TASK_TID],         all[TASK_PPID],    all[TASK_UID],
		all[TASK_GID],         all[TASK_STATE],   cell_number(task->exit_state),
		cell_boolean(listed),  all[TASK_START],   all[TASK_COMM],
	};
	return view_row(run, cells);
}

/* A task that is listed and does not look like one is damaged: its row is lost here. */
static void report_missed(struct psscan *psscan)
{
	for (size_t i = 0; i < psscan->listed.capacity; i++) {
		uint64_t address = psscan->listed.slots[i];
		if (address && !address_set_has(&psscan->carved, address))
			diagnose(&psscan->run->kernel->diagnostics, KIOKU_GAP,
				 "the task at 0x%llx is listed, but does not look like one",
				 (unsigned long long)address);
	}
}

static enum kioku_status run_psscan(struct view_run *run, struct kioku_error *error)
{
	CLEANUP(psscan_release) struct psscan psscan = { .run = run };

	task_views_begin(run->kernel);
	TRY(task_each_idle(run->kernel, note_task, &psscan, error));
	TRY(task_each_process(run->kernel, TASK_IDENTITY | TASK_MEMBERS, note_threads, &psscan,
			      error));
	TRY(task_scan(run->kernel, give_carved, &psscan, error));
	report_missed(&psscan);
	return KIOKU_OK;
}

const struct kioku_view psscan_view = {
	.name = "psscan",
	.help = "task structures carved out of physical memory, dead and unlinked ones too",
	VIEW_COLUMNS(columns),
	.options = KIOKU_VIEW_PID,
	.needs_tasks = true,
	.records = records,
	.run = run_psscan,
};
