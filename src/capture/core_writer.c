/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The core of a process, as Linux would write it (fs/binfmt_elf.c, elf_core_dump()): program headers
 * behind the ELF header, PT_NOTE first among them, and behind these the notes and the pages. Memory
 * that was never touched is not in the file. A mapping is one PT_LOAD for each run of pages that are
 * alike:
 *
 * - Pages that are there: p_filesz is p_memsz.
 * - Pages that were never touched: p_filesz is 0, which debuggers read as zeros.
 * - Pages that were left out, or lost: none at all. With a p_filesz of 0, which is what the kernel
 *   writes for what its filter leaves out, gdb 13 reads zeros wherever it lacks the file of NT_FILE.
 *   Without, it reads that file where there is one, and else says that it cannot access the memory.
 *   eu-stack 0.188 needs none either: gdb's own gcore leaves them out for code.
 *
 * Program headers are written before anything is read: a page that is lost only then has zeros in its
 * place, which the manifest says. Whoever makes the source tells what can be known before.
 */
#include "capture/plan.h"
#include "format/elf_format.h"
#include "source/made_source.h"
#include "source/source.h"

/* A walk through what mappings and ranges of the plan have in common: neither has bounds of the other. */
struct load_walk {
	size_t segment, range;
};

static uint64_t lower(uint64_t left, uint64_t right)
{
	return left < right ? left : right;
}

static uint64_t higher(uint64_t left, uint64_t right)
{
	return left > right ? left : right;
}

/* The next PT_LOAD, but for its offset; false at the end. */
static bool next_load(const struct image_writer *writer, struct load_walk *walk,
		      struct elf_segment *out)
{
	const struct source_process *process = source_process(writer->source);
	const struct plan *plan = writer->plan;

	while (walk->segment < process->segment_count && walk->range < plan->count) {
		const struct source_segment *segment = &process->segments[walk->segment];
		const struct plan_range *range = &plan->ranges[walk->range];
		uint64_t segment_end = segment->start + segment->size;
		uint64_t range_end = range->start + range->size;
		uint64_t start = higher(segment->start, range->start);
		uint64_t end = lower(segment_end, range_end);

		if (segment_end <= range_end)
			walk->segment++;
		else
			walk->range++;
		if (start >= end || !(range->is_stored || plan_is_omitted(range)))
			continue;
		*out = (struct elf_segment){ .type = PT_LOAD,
					     .flags = segment->flags,
					     .vaddr = start,
					     .filesz = range->is_stored ? end - start : 0,
					     .memsz = end - start,
					     .align = CAPTURE_PAGE };
		return true;
	}
	return false;
}

static enum kioku_status emit_segment(struct image_writer *writer,
				      const struct elf_segment *segment, struct kioku_error *error)
{
	uint8_t raw[ELF_SEGMENT_SIZE];

	elf_segment_encode(segment, raw);
	return writer_emit(writer, raw, sizeof(raw), error);
}

/* offset: of the first page. The pages of all follow each other, as they are stored. */
static enum kioku_status emit_loads(struct image_writer *writer, uint64_t offset,
				    struct kioku_error *error)
{
	struct load_walk walk = { 0 };
	struct elf_segment load;

	while (next_load(writer, &walk, &load)) {
		load.offset = offset;
		TRY(emit_segment(writer, &load, error));
		offset += load.filesz;
	}
	return KIOKU_OK;
}

/* PT_NOTE, and every PT_LOAD. */
static enum kioku_status count_segments(const struct image_writer *writer, uint32_t *out,
					struct kioku_error *error)
{
	struct load_walk walk = { 0 };
	struct elf_segment load;

	for (*out = 1; next_load(writer, &walk, &load); ++*out)
		if (*out == ELF_SEGMENT_LIMIT)
			return error_set(error, KIOKU_ERROR_UNSUPPORTED,
					 "memory is in too many pieces for an ELF core");
	return KIOKU_OK;
}

static enum kioku_status begin(struct image_writer *writer, struct kioku_error *error)
{
	struct bytes notes = source_notes(writer->source);
	struct elf_header header = { .type = ET_CORE,
				     .machine = source_process(writer->source)->elf_machine,
				     .segment_offset = ELF_HEADER_SIZE,
				     .segment_entry_size = ELF_SEGMENT_SIZE };
	uint8_t raw[ELF_HEADER_SIZE], section[ELF_SECTION_SIZE];

	TRY(count_segments(writer, &header.segment_count, error));
	struct elf_segment note = { .type = PT_NOTE,
				    .offset = ELF_HEADER_SIZE +
					      (uint64_t)header.segment_count * ELF_SEGMENT_SIZE,
				    .filesz = notes.size,
				    .align = 4 };
	if (elf_has_large_count(&header))
		note.offset += ELF_SECTION_SIZE;
	uint64_t end = note.offset + note.filesz, padding = -end % CAPTURE_PAGE;

	elf_header_encode(&header, raw);
	TRY(writer_emit(writer, raw, sizeof(raw), error));
	TRY(emit_segment(writer, &note, error));
	TRY(emit_loads(writer, end + padding, error));
	if (elf_has_large_count(&header)) {
		elf_large_count_encode(&header, section);
		TRY(writer_emit(writer, section, sizeof(section), error));
	}
	TRY(writer_emit(writer, notes.data, notes.size, error));
	return writer_emit_zeros(writer, padding, error);
}

static enum kioku_status data(struct image_writer *writer, const struct capture_block *block,
			      struct kioku_error *error)
{
	return writer_emit(writer, block->data, block->size, error);
}

static enum kioku_status end(struct image_writer *writer, bool complete, struct kioku_error *error)
{
	return KIOKU_OK;
}

const struct writer_format core_writer = {
	.public = { .name = "core",
		    .extension = "core",
		    .help = "ELF core of a process, for gdb, lldb and elfutils" },
	.omits_zeros = true,
	.begin = begin,
	.data = data,
	.end = end,
};
