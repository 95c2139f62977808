/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Code that was written over: a private mapping of a file shares the file's pages until the process, or who has
 * power over it, writes to one, which then is a copy of the process's own (mm/memory.c, wp_page_copy()). Compilers
 * make code that nothing has to be written into, so that the copy of a page of code differs from the file only where
 * somebody has changed it.
 */
#include <stdio.h>
#include <string.h>

#include "check/branch.h"
#include "check/code_file.h"
#include "check/mapped_process.h"
#include "kernel/frame_use.h"
#include "kernel/mapped_elf.h"
#include "kernel/swap.h"

enum {
	PAGES_LIMIT = 1 << 20, /* of code in a process: 4 GiB */
	SHOWN = 8,             /* bytes of what has changed */
	CALL = 5,              /* bytes of a call, and of the nop that one takes the place of */
};

struct search {
	struct check_run *run;
	struct code_files files;
	struct frame_reader frames;
	bool knows_frames;
};

/* What a page of a file is for, by the file itself. */
enum purpose {
	PURPOSE_CODE,
	PURPOSE_DATA,      /* executable all the same */
	PURPOSE_WRITABLE,  /* code that may be written to */
	PURPOSE_RELOCATED, /* code that its loader writes into */
	PURPOSE_FOREIGN,   /* its file is no ELF file */
	PURPOSE_UNKNOWN,
};

static const char *const purposes[] = {
	[PURPOSE_CODE] = NULL,
	[PURPOSE_DATA] = NULL,
	[PURPOSE_WRITABLE] = "its file has code that can be written to",
	[PURPOSE_RELOCATED] =
		"its file has code that its loader writes addresses into (DT_TEXTREL)",
	[PURPOSE_FOREIGN] =
		"its file is no ELF file, so that what its loader does to it is not known",
	[PURPOSE_UNKNOWN] = "what its file says of its segments cannot be read",
};

/* A mapping, and what there is of differences in it. */
struct comparison {
	struct search *search;
	const struct mapped_process *process;
	const struct vma *vma;
	const struct code_file *file;
	struct kioku_address_space *space;
	struct elf_segment segment; /* that the mapping is of */
	uint64_t pages;             /* that were looked at, in all of the process */
	uint64_t different;         /* pages */
	uint64_t bytes;
	uint64_t breakpoints; /* of these bytes */
	uint64_t probes;      /* calls by which probes are reached */
	uint64_t first;       /* address of the first byte that differs */
	uint8_t expected[SHOWN], found[SHOWN];
	size_t shown;
	uint64_t unknown, first_unknown; /* copies that there is nothing to compare with */
};

/* --- one page */

/* arch/x86/kernel/uprobes.c, v6.18 on: what is called lies in a mapping of the kernel's own, [uprobes-trampoline]. */
static bool is_probe(const struct comparison *comparison, uint64_t address,
		     const uint8_t expected[CALL], const uint8_t found[CALL])
{
	static const uint8_t nop[CALL] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

	if (found[0] != 0xe8 || memcmp(expected, nop, sizeof(nop)) != 0)
		return false;
	uint64_t target = branch_target(found + 1, address + CALL);
	const struct vma *vma = vma_list_find(&comparison->process->list, target);
	return vma && !vma->file && vma->operations;
}

static void note_difference(struct comparison *comparison, uint64_t page, size_t at,
			    const uint8_t *expected, const uint8_t *found)
{
	if (comparison->bytes == 0) {
		comparison->first = page + at;
		comparison->shown = PAGE_SIZE - at < SHOWN ? PAGE_SIZE - at : SHOWN;
		memcpy(comparison->expected, expected + at, comparison->shown);
		memcpy(comparison->found, found + at, comparison->shown);
	}
	comparison->bytes++;
	comparison->breakpoints += found[at] == 0xcc; /* int3 */
}

static void compare(struct comparison *comparison, uint64_t page, const uint8_t *expected,
		    const uint8_t *found)
{
	uint64_t before = comparison->bytes + comparison->probes;

	for (size_t at = 0; at < PAGE_SIZE; at++) {
		if (expected[at] == found[at])
			continue;
		if (at + CALL <= PAGE_SIZE &&
		    is_probe(comparison, page + at, expected + at, found + at)) {
			comparison->probes++;
			at += CALL - 1;
			continue;
		}
		note_difference(comparison, page, at, expected, found);
	}
	comparison->different += comparison->bytes + comparison->probes != before;
}

/* Whether a page that is not the file's is the process's own: the file's may have come to lie elsewhere. */
static bool is_own(const struct comparison *comparison, uint64_t physical)
{
	const struct search *search = comparison->search;
	struct frame_use use;

	return search->knows_frames &&
	       frame_use_read(&search->frames, physical, &use) == KIOKU_OK &&
	       (use.kind == FRAME_ANONYMOUS || use.kind == FRAME_KSM);
}

static void note_unknown(struct comparison *comparison, uint64_t page)
{
	if (comparison->unknown++ == 0)
		comparison->first_unknown = page;
}

/* physical is UINT64_MAX for a page that was swapped out. */
static void look_at_page(struct comparison *comparison, uint64_t page, uint64_t physical)
{
	struct kioku_kernel *kernel = comparison->search->run->kernel;
	const struct vma *vma = comparison->vma;
	uint64_t index = vma->page_offset + (page - vma->start) / PAGE_SIZE;
	const struct page_run *run = code_file_run(comparison->file, index);
	uint8_t expected[PAGE_SIZE], found[PAGE_SIZE];

	if (run && run->state == PAGE_RUN_PRESENT &&
	    run->physical + (index - run->index) * PAGE_SIZE == physical)
		return;
	if (!run || code_file_read(kernel, run, index, expected) != KIOKU_OK) {
		if (physical == UINT64_MAX || is_own(comparison, physical))
			note_unknown(comparison, page);
		return;
	}
	if (kioku_address_space_read(comparison->space, page, found, PAGE_SIZE, NULL) != KIOKU_OK) {
		note_unknown(comparison, page);
		return;
	}
	if (memcmp(expected, found, PAGE_SIZE) == 0)
		return;
	if (source_may_be_torn(kernel->source) && !vma_owns_frame(kernel, vma, page, physical)) {
		note_unknown(comparison, page); /* its frame may be something else's by now */
		return;
	}
	compare(comparison, page, expected, found);
}

/* --- one mapping */

static enum kioku_status look_at_mapped(void *user, const struct mapping *mapping)
{
	struct comparison *comparison = user;
	const struct vma *vma = comparison->vma;

	for (uint64_t at = 0; at < mapping->size; at += PAGE_SIZE) {
		uint64_t page = mapping->virtual + at;
		if (page < vma->start || page >= vma->end)
			continue;
		if (comparison->pages++ >= PAGES_LIMIT)
			return KIOKU_ERROR_STOPPED;
		look_at_page(comparison, page, mapping->physical + at);
	}
	return KIOKU_OK;
}

static enum kioku_status look_at_absent(void *user, uint64_t virtual, uint64_t size, uint64_t entry)
{
	struct comparison *comparison = user;
	struct kioku_kernel *kernel = comparison->search->run->kernel;

	if (size == PAGE_SIZE && swap_decode(kernel, entry, NULL, NULL) == SWAP_ENTRY_SLOT)
		look_at_page(comparison, virtual, UINT64_MAX);
	return KIOKU_OK;
}

/* The segment of a file that a mapping is of. */
static bool find_segment(const struct mapped_elf *elf, const struct vma *vma,
			 struct elf_segment *out)
{
	uint64_t start = vma->page_offset * PAGE_SIZE, end = start + (vma->end - vma->start);
	bool is_found = false;

	struct elf_segment segment;
	for (uint32_t i = 0; mapped_elf_segment(elf, i, &segment); i++) {
		if (segment.type != PT_LOAD || segment.offset >= end ||
		    segment.filesz > UINT64_MAX - segment.offset ||
		    segment.offset + segment.filesz <= start)
			continue;
		if (is_found && !(segment.flags & PF_X))
			continue; /* the page that two of them share */
		*out = segment;
		is_found = true;
	}
	return is_found;
}

static enum purpose purpose_of(const struct mapped_process *process, const struct vma *vma)
{
	const struct vma *start = mapped_file_start(&process->list, vma);
	struct mapped_dynamic dynamic;
	struct elf_segment segment;
	struct mapped_elf elf;

	if (!start)
		return PURPOSE_UNKNOWN;
	enum kioku_status status = mapped_elf_open(process->process->space, start->start, &elf);
	if (status == KIOKU_ERROR_NOT_FOUND)
		return PURPOSE_FOREIGN;
	if (status != KIOKU_OK || mapped_elf_read_segments(&elf) != KIOKU_OK ||
	    !find_segment(&elf, vma, &segment))
		return PURPOSE_UNKNOWN;
	if (!(segment.flags & PF_X))
		return PURPOSE_DATA;
	if (segment.flags & PF_W)
		return PURPOSE_WRITABLE;
	status = mapped_elf_dynamic(&elf, &dynamic);
	if (status == KIOKU_OK && dynamic.has_text_relocations)
		return PURPOSE_RELOCATED;
	return status == KIOKU_OK || status == KIOKU_ERROR_NOT_FOUND ? PURPOSE_CODE
								     : PURPOSE_UNKNOWN;
}

/* --- what is said of it */

/* Why a difference may be harmless; NULL: nothing is known that would make it so. */
static const char *doubt(const struct comparison *comparison, enum purpose purpose,
			 char text[CHECK_TEXT])
{
	if (comparison->bytes == comparison->breakpoints)
		return comparison->bytes
			       ? "all of them are breakpoints, as debuggers and probes set them"
			       : "all of them are calls of the kernel's, of probes";
	if (comparison->process->tracer) {
		snprintf(text, CHECK_TEXT,
			 "it is traced by process %d, which may do that, as debuggers do",
			 comparison->process->tracer);
		return text;
	}
	return purposes[purpose];
}

static enum kioku_status report_difference(const struct comparison *comparison,
					   const struct mapped_file *file, enum purpose purpose)
{
	char found[2 * CHECK_TEXT], bytes[3 * SHOWN], expected[3 * SHOWN + 64], text[CHECK_TEXT];
	const char *reason = doubt(comparison, purpose, text);
	const struct vma *vma = comparison->vma;

	check_put_bytes(bytes, sizeof(bytes), comparison->found, comparison->shown);
	uint64_t count = comparison->bytes + CALL * comparison->probes;
	size_t size = (size_t)snprintf(
		found, sizeof(found),
		"the code of %s differs from the file in %llu byte%s on %llu page%s", file->text,
		(unsigned long long)count, count == 1 ? "" : "s",
		(unsigned long long)comparison->different, comparison->different == 1 ? "" : "s");
	if (comparison->bytes)
		size += (size_t)snprintf(found + size, sizeof(found) - size,
					 ", from byte 0x%llx of it on: %s",
					 (unsigned long long)(comparison->first - vma->start +
							      vma->page_offset * PAGE_SIZE),
					 bytes);
	snprintf(found + size, sizeof(found) - size, "%s%s", reason ? "; " : "",
		 reason ? reason : "");
	check_put_bytes(bytes, sizeof(bytes), comparison->expected, comparison->shown);
	snprintf(expected, sizeof(expected), "what the file has: %s", bytes);
	return mapped_process_report(
		comparison->process,
		&(struct check_result){
			.severity = reason ? CHECK_NOTE : CHECK_FINDING,
			.certainty = reason ? CHECK_POSSIBLE : CHECK_LIKELY,
			.address = comparison->bytes ? comparison->first : comparison->vma->start,
			.compared = "code in the process with the file in the page cache",
			.expected = comparison->bytes ? expected : "what the file has",
			.found = found,
		});
}

static enum kioku_status report_unknown(const struct comparison *comparison,
					const struct mapped_file *file)
{
	char found[CHECK_TEXT];

	snprintf(found, sizeof(found),
		 "%llu pages of the code of %s are copies of the process's own; the file's pages "
		 "are "
		 "not in memory, or the copies are not, so that whether they differ is not known",
		 (unsigned long long)comparison->unknown, file->text);
	return mapped_process_report(
		comparison->process,
		&(struct check_result){
			.severity = CHECK_NOTE,
			.certainty = CHECK_POSSIBLE,
			.address = comparison->first_unknown,
			.compared = "code in the process with the file in the page cache",
			.expected = "code that is shared with the file",
			.found = found,
		});
}

static enum kioku_status report(const struct comparison *comparison)
{
	struct mapped_file file;
	enum purpose purpose;

	if (!comparison->bytes && !comparison->probes && !comparison->unknown)
		return KIOKU_OK;
	purpose = purpose_of(comparison->process, comparison->vma);
	if (purpose == PURPOSE_DATA)
		return KIOKU_OK;
	enum kioku_status status =
		mapped_file_read(comparison->search->run->kernel, comparison->vma->file, &file);
	if (status != KIOKU_OK)
		snprintf(file.text, sizeof(file.text), "a file");
	if (comparison->bytes || comparison->probes)
		return report_difference(comparison, &file, purpose);
	return purpose == PURPOSE_RELOCATED || purpose == PURPOSE_WRITABLE
		       ? KIOKU_OK
		       : report_unknown(comparison, &file);
}

/* --- all of them */

static bool is_of_interest(struct kioku_kernel *kernel, const struct vma *vma)
{
	return vma->file && vma->flags & VMA_EXECUTE && !(vma->flags & VMA_MAY_SHARE) &&
	       !vma_is_anonymous(kernel, vma);
}

static enum kioku_status look_at_vma(struct search *search, const struct mapped_process *process,
				     const struct vma *vma, uint64_t *pages)
{
	struct comparison comparison = {
		.search = search,
		.process = process,
		.vma = vma,
		.space = process->process->space,
		.pages = *pages,
	};
	struct address_walk walk = { .first = vma->start,
				     .last = vma->end - 1,
				     .receive = look_at_mapped,
				     .absent = look_at_absent,
				     .user = &comparison };
	struct file file;

	enum kioku_status status = file_read(search->run->kernel, vma->file, &file);
	if (status != KIOKU_OK) {
		mapped_process_lose(process, "the file of its code", vma->start, status);
		return KIOKU_OK;
	}
	comparison.file = code_files_find(&search->files, file.inode);
	if (!comparison.file)
		return KIOKU_ERROR_NO_MEMORY;
	if (comparison.file->status != KIOKU_OK) {
		mapped_process_lose(process, "the pages of the file of its code", vma->start,
				    comparison.file->status);
		return KIOKU_OK;
	}
	status = address_space_walk(comparison.space, &walk);
	*pages = comparison.pages;
	if (status == KIOKU_ERROR_NO_MEMORY)
		return status;
	if (status == KIOKU_ERROR_STOPPED)
		mapped_process_lose(process, "there is more code than is compared", vma->start,
				    KIOKU_ERROR_LIMIT);
	if (walk.losses.tables || walk.losses.repeated)
		mapped_process_lose(process, "page tables of its code", vma->start,
				    KIOKU_ERROR_ABSENT);
	return report(&comparison);
}

static enum kioku_status look_at(void *user, const struct mapped_process *process)
{
	struct search *search = user;
	uint64_t pages = 0;

	for (size_t i = 0; i < process->list.count && pages <= PAGES_LIMIT; i++)
		if (is_of_interest(search->run->kernel, &process->list.vmas[i]))
			TRY(look_at_vma(search, process, &process->list.vmas[i], &pages));
	return KIOKU_OK;
}

static void search_release(struct search *search)
{
	code_files_release(&search->files);
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	CLEANUP(search_release)
	struct search search = {
		.run = run,
		.files = { .kernel = run->kernel },
	};

	search.knows_frames = frame_reader_open(run->kernel, &search.frames, NULL) == KIOKU_OK;
	return mapped_process_each(run, look_at, &search, error);
}

static const struct record *const records[] = { &task_record, &memory_map_record, &vma_record,
						&file_record, &inode_record,      NULL };

const struct check injected_code_check = {
	.name = "injected_code",
	.help = "code of files that was changed in the memory of processes",
	.records = records,
	.run = run_check,
};
