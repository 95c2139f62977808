/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "base/error.h"
#include "source/notes.h"

/* Two a CPU and a few; a bound for hostile files that are nothing but empty notes. */
#define NOTE_LIMIT (1u << 17)

static enum kioku_status add_cpu(struct kioku_source *source, const struct elf_registers *registers,
				 struct kioku_error *error)
{
	/* Doubling: the array is full whenever its count is a power of two. */
	if ((source->cpu_count & (source->cpu_count - 1)) == 0) {
		size_t capacity = source->cpu_count ? source->cpu_count * 2 : 1;
		struct kioku_cpu *cpus = reallocarray(source->cpus, capacity, sizeof(*cpus));
		if (!cpus)
			return error_no_memory(error);
		source->cpus = cpus;
	}
	source->cpus[source->cpu_count++] = (struct kioku_cpu){ registers->cr3, registers->rip,
								registers->rsp, registers->rbp };
	return KIOKU_OK;
}

static enum kioku_status take_note(struct note_reading *reading, const struct elf_note *note,
				   struct kioku_error *error)
{
	struct kioku_source *source = reading->source;
	struct elf_registers registers;

	if (elf_note_is(note, "VMCOREINFO", 0) && note->description.size > 0) {
		if (!source->vmcoreinfo.data)
			source->vmcoreinfo = note->description;
		reading->of_machine = true;
	}
	reading->of_machine |= elf_note_is(note, "QEMU", 0) || elf_note_is(note, "VBCORE", 0xb00);
	reading->of_process |=
		elf_note_is(note, "CORE", NT_AUXV) || elf_note_is(note, "CORE", NT_FILE);

	/* QEMU describes each CPU twice, with and without CR3. */
	enum elf_register_note kind = elf_registers_decode(reading->header, note, &registers);
	if (kind < reading->cpu_note) {
		reading->cpu_note = kind;
		source->cpu_count = 0;
	}
	if (kind == ELF_REGISTERS_NONE || kind > reading->cpu_note)
		return KIOKU_OK;
	return add_cpu(source, &registers, error);
}

enum kioku_status notes_read(struct note_reading *reading, struct bytes notes, uint64_t alignment,
			     uint64_t *used, struct kioku_error *error)
{
	struct elf_note note;

	*used = 0;
	while (reading->count < NOTE_LIMIT &&
	       elf_note_decode(notes, reading->header, alignment, used, &note)) {
		reading->count++;
		TRY(take_note(reading, &note, error));
	}
	return KIOKU_OK;
}
