/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ELF cores as crash, drgn, makedumpfile, gdb, libkdumpfile and volatility3 all read them: program
 * headers right after the ELF header, the notes first among them, then segments with as many bytes
 * in the file as in memory. None overlaps another, which volatility3 could not read; so the range
 * that the kernel image lies in is cut there, and the image has its own virtual addresses, where
 * drgn looks for the page tables, and everything else those of the direct map.
 */
#include "capture/machine_notes.h"
#include "format/elf_format.h"
#include "format/vmcoreinfo_format.h"
#include "kernel/kernel.h"

struct elf_writing {
	uint64_t position;               /* in the file */
	uint64_t direct_map;             /* virtual address of physical 0; 0: unknown */
	uint64_t image_start, image_end; /* of the kernel image, physical; equal: unknown */
	uint64_t image_virtual;          /* of image_start */
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

/*
 * The kernel image, or what VMCOREINFO says of it: from its text to its page tables
 * (kernel/vmcore_info.c, and arch/x86/kernel/vmcore_info_64.c).
 */
static void find_image(const struct image_writer *writer, const struct machine_notes *notes)
{
	struct elf_writing *state = writer->state;
	const struct kioku_kernel *kernel = writer->kernel;
	uint64_t text, tables;
	int64_t phys_base;

	if (kernel)
		state->direct_map = kernel->direct_map;
	if (kernel && kernel->image.run_count > 0) {
		state->image_virtual = kernel->image.start;
		state->image_start = kernel->image.physical;
		state->image_end = state->image_start + (kernel->image.end - kernel->image.start);
	} else if (vmcoreinfo_hex(notes->vmcoreinfo, "SYMBOL(_stext)", &text) &&
		   vmcoreinfo_hex(notes->vmcoreinfo, "SYMBOL(swapper_pg_dir)", &tables) &&
		   vmcoreinfo_decimal(notes->vmcoreinfo, "NUMBER(phys_base)", &phys_base) &&
		   text >= KERNEL_MAP_START && text <= tables && tables <= KERNEL_MAP_LAST) {
		text -= text % CAPTURE_PAGE;
		state->image_virtual = text;
		state->image_start = text - KERNEL_MAP_START + (uint64_t)phys_base;
		state->image_end = state->image_start +
				   (tables - text) / CAPTURE_PAGE * CAPTURE_PAGE + CAPTURE_PAGE;
	}
}

/* How much of size bytes at a physical address is one segment, and its virtual address. */
static uint64_t cut(const struct elf_writing *state, uint64_t physical, uint64_t size,
		    uint64_t *virtual)
{
	uint64_t end = physical + size;

	/* As QEMU does where it knows no other. */
	*virtual = state->direct_map + physical;
	if (physical >= state->image_start && physical < state->image_end) {
		*virtual = state->image_virtual + (physical - state->image_start);
		end = state->image_end < end ? state->image_end : end;
	} else if (physical < state->image_start && state->image_start < state->image_end) {
		end = state->image_start < end ? state->image_start : end;
	}
	return end - physical;
}

/* The next segment of a range, from *done bytes of it on; false at its end. */
static bool next_segment(const struct elf_writing *state, const struct plan_range *range,
			 uint64_t *done, struct elf_segment *out)
{
	if (!range->is_stored || *done == range->size)
		return false;
	*out = (struct elf_segment){ .type = PT_LOAD,
				     .flags = PF_R | PF_W | PF_X,
				     .paddr = range->start + *done };
	out->filesz = out->memsz = cut(state, out->paddr, range->size - *done, &out->vaddr);
	*done += out->filesz;
	return true;
}

static enum kioku_status emit_loads(struct image_writer *writer, uint64_t offset,
				    struct kioku_error *error)
{
	const struct plan *plan = writer->plan;
	struct elf_segment segment;

	for (size_t i = 0; i < plan->count; i++) {
		uint64_t done = 0;
		while (next_segment(writer->state, &plan->ranges[i], &done, &segment)) {
			segment.offset = place(offset, segment.paddr);
			TRY(emit_segment(writer, &segment, error));
			offset = segment.offset + segment.filesz;
		}
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
	struct elf_segment segment;

	for (size_t i = 0; i < plan->count; i++)
		for (uint64_t done = 0;
		     next_segment(writer->state, &plan->ranges[i], &done, &segment);)
			header.segment_count++;
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
	if (writer->plan->count >= ELF_SEGMENT_LIMIT - 3) /* the notes, and two cuts */
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "memory is in too many pieces for an ELF core");
	TRY(machine_notes_make(writer, &notes, error));
	find_image(writer, &notes);
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
