/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ELF cores of whole machines: QEMU, virsh, /proc/vmcore, makedumpfile -E, VirtualBox. */
#include "base/error.h"
#include "source/elf_table.h"
#include "source/notes.h"

/* DUMP_ELF_INCOMPLETE of makedumpfile; x86-64 and AArch64 kernels define no flags of their own. */
#define FLAG_INCOMPLETE 1u

struct reading {
	struct kioku_source *source;
	struct elf_header header;
	struct bytes table; /* of program headers */
	struct range_map map;

	struct note_reading notes;
	bool notes_damaged;

	uint32_t load_count;
	uint64_t first_virtual;
	bool virtual_differs;   /* not all segments have the same virtual address */
	bool has_physical;      /* a segment has a physical address other than 0 */
	uint32_t table_missing; /* program headers that lie past the end of the file */
};

static void reading_release(struct reading *reading)
{
	range_map_release(&reading->map);
}

static enum probe_verdict probe(struct bytes head, uint64_t file_size)
{
	return elf_is_magic(head) ? PROBE_YES : PROBE_NO;
}

static enum kioku_status read_notes(struct reading *reading, const struct elf_segment *segment,
				    struct kioku_error *error)
{
	struct kioku_source *source = reading->source;
	uint64_t file_size = source->file.size, position = 0;
	uint64_t start = segment->offset < file_size ? segment->offset : file_size;
	uint64_t left = file_size - start;
	struct bytes notes = { 0 };
	bool is_there;

	left = image_file_run(&source->file, start, segment->filesz < left ? segment->filesz : left,
			      &is_there);
	/* What the notes say is found in memory as well: without them is a gap and no end. */
	if (is_there && image_file_keep(&source->file, start, left, &notes, NULL) == KIOKU_OK)
		TRY(notes_read(&reading->notes, notes, segment->align, &position, error));
	if (!source->notes.data && reading->header.is_64 && !reading->header.big_endian &&
	    segment->align != 8)
		source->notes = notes;
	if (position < segment->filesz && !reading->notes_damaged) {
		reading->notes_damaged = true; /* said once, however many segments there are */
		diagnose(&source->diagnostics, KIOKU_GAP,
			 "the notes from file offset 0x%llx on are damaged: registers of CPUs or "
			 "the VMCOREINFO may be missing",
			 (unsigned long long)(start + position));
	}
	return KIOKU_OK;
}

static enum kioku_status add_load(struct reading *reading, const struct elf_segment *segment,
				  struct kioku_error *error)
{
	uint64_t no_address = reading->header.is_64 ? UINT64_MAX : UINT32_MAX;
	uint64_t physical = segment->paddr, in_file = segment->filesz;
	uint64_t excluded = segment->memsz > in_file ? segment->memsz - in_file : 0;

	/* /proc/kcore describes vmalloc memory too, which has no one physical address. */
	if (physical == no_address || in_file + excluded == 0)
		return KIOKU_OK;
	if (reading->load_count++ == 0)
		reading->first_virtual = segment->vaddr;
	reading->virtual_differs |= segment->vaddr != reading->first_virtual;
	reading->has_physical |= physical != 0;

	if (!source_add_extent(reading->source, &reading->map, physical, in_file, segment->offset))
		return error_no_memory(error);
	/*
	 * What is in memory and not in the file is zero in a core of a process, but makedumpfile
	 * writes both zero pages and those it was told to leave out in this way.
	 */
	if (in_file <= UINT64_MAX - physical &&
	    !source_add_range(reading->source, &reading->map,
			      (struct extent){ physical + in_file, excluded, 0,
					       KIOKU_RANGE_EXCLUDED }))
		return error_no_memory(error);
	return KIOKU_OK;
}

static enum kioku_status read_segments(struct reading *reading, struct kioku_error *error)
{
	const struct elf_header *header = &reading->header;

	for (uint32_t i = 0; i < header->segment_count; i++) {
		struct elf_segment segment;
		if (!elf_segment_decode(reading->table, header, i, &segment)) {
			reading->table_missing = header->segment_count - i;
			break;
		}
		if (segment.type == PT_NOTE)
			TRY(read_notes(reading, &segment, error));
		if (segment.type == PT_LOAD)
			TRY(add_load(reading, &segment, error));
	}
	return KIOKU_OK;
}

static enum kioku_status check_type(const struct elf_header *header, struct kioku_error *error)
{
	static const char *const names[] = { [ET_NONE] = "file of no type",
					     [ET_REL] = "object file or kernel module",
					     [ET_EXEC] = "executable",
					     [ET_DYN] = "executable or shared library" };

	if (header->type == ET_CORE)
		return KIOKU_OK;
	return error_set(error, KIOKU_ERROR_UNSUPPORTED, "it is an ELF %s, not an image of memory",
			 header->type <= ET_DYN ? names[header->type] : "file of an unknown type");
}

static enum kioku_status check_machine(const struct reading *reading, struct kioku_error *error)
{
	if (reading->notes.of_process && !reading->notes.of_machine)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "it is a core of one process, not an image of physical memory");
	if (reading->load_count == 0 && reading->table_missing)
		return error_set(error, KIOKU_ERROR_CORRUPT,
				 "the file ends before its program headers do");
	if (reading->load_count == 0)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "it is an ELF core without a segment of physical memory "
				 "(Xen's dump-core format cannot be read)");
	if (reading->virtual_differs && !reading->has_physical)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "its segments have no physical addresses: "
				 "it is a core of one process, not an image of physical memory");
	return KIOKU_OK;
}

static enum kioku_status open_elf(struct kioku_source *source,
				  const struct kioku_source_options *options,
				  struct kioku_error *error)
{
	CLEANUP(reading_release)
	struct reading reading = { .source = source };
	const struct elf_header *header = &reading.header;

	reading.notes = (struct note_reading){ source, header, .cpu_note = ELF_REGISTERS_NONE };
	TRY(elf_table_read(&source->file, &reading.header, &reading.table, error));
	TRY(check_type(header, error));
	TRY(read_segments(&reading, error));
	TRY(check_machine(&reading, error));
	if (reading.table_missing)
		diagnose(&source->diagnostics, KIOKU_GAP,
			 "the file ends before its program headers do: the last %u of %u are lost",
			 reading.table_missing, header->segment_count);
	if ((header->machine == EM_X86_64 || header->machine == EM_AARCH64) &&
	    (header->flags & FLAG_INCOMPLETE))
		diagnose(&source->diagnostics, KIOKU_GAP,
			 "makedumpfile marked the image as incomplete: it ran out of space");
	return source_add_layout(source, &reading.map, error);
}

const struct source_driver elf_source = {
	.name = "elf",
	.help = "ELF core",
	.probe = probe,
	.open = open_elf,
};
