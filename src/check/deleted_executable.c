/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Programs and libraries that are run and have no name: deleted ones, and those of memfd_create(2). An upgrade of a
 * package leaves such, a build or an installer may, and containers are started from a memfd: these are notes.
 */
#include <stdio.h>

#include "check/mapped_process.h"

struct search {
	struct check_run *run;
	const struct mapped_process *process;
	uint64_t program; /* struct file */
	uint64_t last;    /* of the library that was looked at last */
};

static const char *state_of(const struct mapped_file *file, enum namesake replaced)
{
	if (file->is_nameless)
		return "never had a name: it was written into memory (memfd)";
	switch (replaced) {
	case NAMESAKE_THERE:
		return "was deleted, and another file has its name, as after an upgrade";
	case NAMESAKE_NONE: return "was deleted, and no file has its name";
	case NAMESAKE_UNKNOWN: break;
	}
	return "was deleted";
}

static enum kioku_status report(const struct search *search, const struct mapped_file *file,
				const char *what, uint64_t address)
{
	char found[2 * CHECK_TEXT];
	enum namesake replaced = mapped_file_replaced(search->run->kernel, file);
	bool is_upgrade = !file->is_nameless && replaced == NAMESAKE_THERE;

	snprintf(found, sizeof(found), "%s, %s, %s", what, file->text, state_of(file, replaced));
	return mapped_process_report(
		search->process, &(struct check_result){
					 .severity = CHECK_NOTE,
					 .certainty = is_upgrade ? CHECK_POSSIBLE : CHECK_LIKELY,
					 .address = address,
					 .compared = "files that are run with their names",
					 .expected = "programs and libraries have names",
					 .found = found,
				 });
}

static enum kioku_status look_at_file(struct search *search, uint64_t address, const char *what,
				      uint64_t start)
{
	struct mapped_file file;
	enum kioku_status status = mapped_file_read(search->run->kernel, address, &file);

	if (status != KIOKU_OK) {
		mapped_process_lose(search->process, what, start, status);
		return KIOKU_OK;
	}
	return file.path.deleted || file.is_nameless ? report(search, &file, what, start)
						     : KIOKU_OK;
}

/* Shared executable memory is told of by executable_memory. */
static bool is_library(const struct search *search, const struct vma *vma)
{
	return vma->file && vma->flags & VMA_EXECUTE && !(vma->flags & VMA_MAY_SHARE) &&
	       vma->file != search->program && vma->file != search->last &&
	       !vma_is_anonymous(search->run->kernel, vma);
}

static enum kioku_status look_at(void *user, const struct mapped_process *process)
{
	struct search search = { .run = user,
				 .process = process,
				 .program = process->process->map.exe_file };

	if (search.program)
		TRY(look_at_file(&search, search.program, "its program", 0));
	for (size_t i = 0; i < process->list.count; i++) {
		const struct vma *vma = &process->list.vmas[i];
		if (!is_library(&search, vma))
			continue;
		search.last = vma->file;
		TRY(look_at_file(&search, vma->file, "code that it has mapped", vma->start));
	}
	return KIOKU_OK;
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	return mapped_process_each(run, look_at, run, error);
}

static const struct record *const records[] = { &task_record, &memory_map_record, &vma_record,
						&file_record, NULL };

const struct check deleted_executable_check = {
	.name = "deleted_executable",
	.help = "programs and libraries that are run and whose file has no name",
	.records = records,
	.run = run_check,
};
