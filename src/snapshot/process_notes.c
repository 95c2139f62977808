/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "format/core_format.h"
#include "format/elf_format.h"
#include "format/series_format.h"
#include "snapshot/held_process.h"
#include "snapshot/xstate.h"

static void fill_thread(struct core_thread *out, const struct thread_record *record,
			uint8_t common[XSTATE_COMMON_LIMIT])
{
	size_t size = xstate_to_common(record->xstate, record->xstate_size, common);

	out->tid = record->tid;
	out->general = (struct bytes){ (const uint8_t *)&record->general, sizeof(record->general) };
	if (record->has_floating)
		out->floating = (struct bytes){ (const uint8_t *)&record->floating,
						sizeof(record->floating) };
	out->xstate = size > 0 ? (struct bytes){ common, size }
			       : (struct bytes){ record->xstate, record->xstate_size };
	if (record->has_siginfo)
		out->siginfo = (struct bytes){ (const uint8_t *)&record->siginfo,
					       sizeof(record->siginfo) };
	out->pending = record->pending;
	out->blocked = record->blocked;
}

/* The process's first thread is the one that a debugger is to select. */
static void fill_threads(struct core_thread *out, uint8_t (*common)[XSTATE_COMMON_LIMIT],
			 const struct kioku_process *process)
{
	const struct guardian_target *target = process->target;

	for (size_t i = 0; i < target->report->thread_count; i++) {
		fill_thread(&out[i], &target->records[i], common[i]);
		if (out[i].tid == process->process.pid) {
			struct core_thread first = out[i];
			out[i] = out[0];
			out[0] = first;
		}
	}
}

static size_t fill_files(struct core_file *out, const struct mapping_list *list)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct mapping *mapping = &list->mappings[i];
		if (mapping->inode != 0 && mapping->name.size > 0 && mapping->name.data[0] == '/')
			out[count++] = (struct core_file){ mapping->start, mapping->end,
							   mapping->file_offset, mapping->name };
	}
	return count;
}

/* Behind all the others. */
static uint8_t *add_series(uint8_t *notes, struct bytes series, size_t *size)
{
	const struct elf_note note = { { (const uint8_t *)SERIES_NOTE_NAME,
					 strlen(SERIES_NOTE_NAME) },
				       series,
				       SERIES_NOTE_TYPE };
	uint8_t *all = realloc(notes, *size + elf_note_size(&note));

	if (!all) {
		free(notes);
		return NULL;
	}
	elf_note_encode(&note, all + *size);
	*size += elf_note_size(&note);
	return all;
}

uint8_t *process_notes_make(const struct kioku_process *process, struct bytes series, size_t *size)
{
	const struct process *about = &process->process;
	size_t thread_count = process->target->report->thread_count;
	AUTO_FREE struct core_thread *threads = calloc(thread_count, sizeof(*threads));
	AUTO_FREE uint8_t(*common)[XSTATE_COMMON_LIMIT] = calloc(thread_count, sizeof(*common));
	AUTO_FREE struct core_file *files = calloc(process->now.list.count + 1, sizeof(*files));

	if (!threads || !common || !files)
		return NULL;
	fill_threads(threads, common, process);
	struct core_process core = {
		.pid = about->pid,
		.ppid = about->parent,
		.pgrp = about->group,
		.sid = about->session,
		.uid = about->uids[0],
		.gid = about->gids[0],
		.nice = (int8_t)getpriority(PRIO_PROCESS, (id_t)about->pid),
		.state = about->state,
		.arguments = file_text_bytes(&process->arguments),
		.auxv = file_text_bytes(&process->auxv),
		.files = files,
		.file_count = fill_files(files, &process->now.list),
		.threads = threads,
		.thread_count = thread_count,
	};
	memcpy(core.name, about->name, sizeof(core.name));
	uint8_t *notes = core_notes_encode(&core, size);
	return notes && series.size > 0 ? add_series(notes, series, size) : notes;
}
