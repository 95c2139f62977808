/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/machine_notes.h"

#include "base/cleanup.h"
#include "format/elf_format.h"
#include "format/vmcoreinfo_format.h"
#include "kernel/kernel.h"
#include "source/source.h"

static const struct elf_header source_header = { .is_64 = true };

/* The next note of a source that describes a CPU in a form that other tools know. */
static bool next_cpu_note(struct bytes notes, uint64_t *offset, struct elf_note *out)
{
	while (elf_note_decode(notes, &source_header, 4, offset, out))
		if (elf_note_is(out, "CORE", NT_PRSTATUS) || elf_note_is(out, "QEMU", 0))
			return true;
	return false;
}

/* What came with the image is what its writer knew; a kernel that was found knows it from memory. */
static struct bytes find_vmcoreinfo(const struct image_writer *writer)
{
	struct bytes text = { 0 };

	text.data = (const uint8_t *)kioku_source_vmcoreinfo(writer->source, &text.size);
	if (!text.data && writer->kernel)
		text = (struct bytes){ (const uint8_t *)writer->kernel->vmcoreinfo,
				       writer->kernel->vmcoreinfo_size };
	return text.data ? text : (struct bytes){ 0 };
}

static struct elf_note vmcoreinfo_note(struct bytes text)
{
	static const char name[] = "VMCOREINFO";

	return (struct elf_note){ { (const uint8_t *)name, sizeof(name) - 1 }, text, 0 };
}

/* NUMBER(kimage_voffset) is AArch64's alone (arch/arm64/kernel/vmcore_info.c). */
static uint16_t machine_of(struct bytes vmcoreinfo)
{
	struct bytes value;

	return vmcoreinfo_find(vmcoreinfo, "NUMBER(kimage_voffset)", &value) ? EM_AARCH64
									     : EM_X86_64;
}

enum kioku_status machine_notes_make(const struct image_writer *writer, struct machine_notes *out,
				     struct kioku_error *error)
{
	struct bytes cpus = source_notes(writer->source), text = find_vmcoreinfo(writer);
	struct elf_note note;
	size_t cpu_count, size = 0;

	kioku_source_cpus(writer->source, &cpu_count);
	*out = (struct machine_notes){ .cpu_count = cpu_count ? (uint32_t)cpu_count : 1,
				       .machine = machine_of(text) };
	for (uint64_t offset = 0; next_cpu_note(cpus, &offset, &note);)
		size += elf_note_size(&note);
	if (text.size > 0) {
		note = vmcoreinfo_note(text);
		size += elf_note_size(&note);
	}
	out->data = malloc(size ? size : 1);
	if (!out->data)
		return error_no_memory(error);
	for (uint64_t offset = 0; next_cpu_note(cpus, &offset, &note);
	     out->size += elf_note_size(&note))
		elf_note_encode(&note, out->data + out->size);
	if (text.size == 0)
		return KIOKU_OK;

	uint64_t offset = out->size;
	struct elf_note placed;
	note = vmcoreinfo_note(text);
	elf_note_encode(&note, out->data + out->size);
	out->size += elf_note_size(&note);
	elf_note_decode((struct bytes){ out->data, out->size }, &source_header, 4, &offset,
			&placed);
	out->vmcoreinfo = placed.description;
	out->vmcoreinfo_offset = (size_t)(placed.description.data - out->data);
	return KIOKU_OK;
}

void machine_notes_release(struct machine_notes *notes)
{
	free(notes->data);
}
