/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ELF cores as crash, drgn, makedumpfile, gdb, libkdumpfile and volatility3 all read them: program
 * headers right after the ELF header, the notes first among them, a segment for each range with as
 * many bytes in the file as in memory, and none that overlaps another.
 */
#include "capture/machine_notes.h"
#include "format/elf_format.h"
#include "kernel/kernel.h"

struct elf_writing {
	uint64_t position; /* in the file */
};

/* Where memory from a physical address on may lie next: pages of memory are pages of the file. */
static uint64_t place(uint64_t position, uint64_t physical)
{
	return position + (physical - position) % CAPTURE_PAGE;
}

static enum kioku_status emit(struct image_writer *writer, const void *data, size_t size,
			      struct kioku_error *error)
{
	struct elf_writing *state = writer->state;

	state->position += size;
	return writer_emit(writer, data, size, error);
}

static enum kioku_status emit_segment(struct image_writer *writer,
				      const struct elf_segment *segment, struct kioku_error *error)
{
	uint8_t raw[ELF_SEGMENT_SIZE];

	elf_segment_encode(segment, raw);
	return emit(writer, raw, sizeof(raw), error);
}

/* Without a direct map, the virtual address is the physical one, as QEMU writes it. */
static enum kioku_status emit_loads(struct image_writer *writer, uint64_t offset,
				    struct kioku_error *error)
{
	const struct plan *plan = writer->plan;
	uint64_t direct_map = writer->kernel ? writer->kernel->direct_map : 0;

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_range *range = &plan->ranges[i];
		if (!range->is_stored)
			continue;
		offset = place(offset, range->start);
		TRY(emit_segment(writer,
				 &(struct elf_segment){ .type = PT_LOAD,
							.flags = PF_R | PF_W | PF_X,
							.offset = offset,
							.vaddr = direct_map + range->start,
							.paddr = range->start,
							.filesz = range->size,
							.memsz = range->size },
				 error));
		offset += range->size;
	}
	return KIOKU_OK;
}

static enum kioku_status emit_headers(struct image_writer *writer,
				      const struct machine_notes *notes, struct kioku_error *error)
{
	const struct plan *plan = writer->plan;
	struct elf_header header = { .type = ET_CORE,
				     .machine = notes->machine,
				     .segment_offset = ELF_HEADER_SIZE,
				     .segment_count = 1,
				     .segment_entry_size = ELF_SEGMENT_SIZE };
	uint8_t raw[ELF_HEADER_SIZE], section[ELF_SECTION_SIZE];

	for (size_t i = 0; i < plan->count; i++)
		header.segment_count += plan->ranges[i].is_stored;
	uint64_t notes_offset = ELF_HEADER_SIZE + (uint64_t)header.segment_count * ELF_SEGMENT_SIZE;
	if (elf_has_large_count(&header))
		notes_offset += ELF_SECTION_SIZE;

	elf_header_encode(&header, raw);
	TRY(emit(writer, raw, sizeof(raw), error));
	TRY(emit_segment(writer,
			 &(struct elf_segment){ .type = PT_NOTE,
						.offset = notes_offset,
						.filesz = notes->size,
						.memsz = notes->size },
			 error));
	TRY(emit_loads(writer, notes_offset + notes->size, error));
	if (!elf_has_large_count(&header))
		return KIOKU_OK;
	elf_large_count_encode(&header, section);
	return emit(writer, section, sizeof(section), error);
}

static enum kioku_status begin(struct image_writer *writer, struct kioku_error *error)
{
	CLEANUP(machine_notes_release) struct machine_notes notes = { 0 };
	struct elf_writing *state = writer->state = calloc(1, sizeof(*state));

	if (!state)
		return error_no_memory(error);
	if (writer->plan->count >= ELF_SEGMENT_LIMIT)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "memory is in too many pieces for an ELF core");
	TRY(machine_notes_make(writer, &notes, error));
	TRY(emit_headers(writer, &notes, error));
	return emit(writer, notes.data, notes.size, error);
}

static enum kioku_status data(struct image_writer *writer, const struct capture_block *block,
			      struct kioku_error *error)
{
	struct elf_writing *state = writer->state;
	uint64_t start = place(state->position, block->physical);

	TRY(writer_emit_zeros(writer, start - state->position, error));
	state->position = start;
	return emit(writer, block->data, block->size, error);
}

static enum kioku_status end(struct image_writer *writer, bool complete, struct kioku_error *error)
{
	return KIOKU_OK;
}

static void release(struct image_writer *writer)
{
	free(writer->state);
}

const struct writer_format elf_writer = {
	.public = { .name = "elf",
		    .extension = "elf",
		    .help = "ELF core, for crash, drgn, gdb and makedumpfile" },
	.begin = begin,
	.data = data,
	.end = end,
	.release = release,
};
