/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is known about the located kernel, and from what. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "format/vmcoreinfo_format.h"
#include "kernel/kernel.h"
#include "kernel/record.h"
#include "source/source.h"

/* Values are strings in the kernel's arena, or NULL: then evidence says why. */
static void add(struct kioku_kernel *kernel, const char *name, const char *value,
		const char *evidence)
{
	if (kernel->fact_count < FACT_LIMIT)
		kernel->facts[kernel->fact_count++] = (struct kioku_fact){ name, value, evidence };
}

static void add_address(struct kioku_kernel *kernel, const char *name, uint64_t value,
			const char *evidence)
{
	add(kernel, name, arena_format(&kernel->arena, "0x%016" PRIx64, value), evidence);
}

/* An offset that may be negative, as a signed hexadecimal number. */
static void add_offset(struct kioku_kernel *kernel, const char *name, int64_t value,
		       const char *evidence)
{
	add(kernel, name,
	    arena_format(&kernel->arena, "%s0x%" PRIx64, value < 0 ? "-" : "",
			 value < 0 ? -(uint64_t)value : (uint64_t)value),
	    evidence);
}

static struct bytes vmcoreinfo(const struct kioku_kernel *kernel)
{
	return (struct bytes){ (const uint8_t *)kernel->vmcoreinfo, kernel->vmcoreinfo_size };
}

/* The note that came with the image, else the page that the kernel's own pointer leads to. */
static void find_vmcoreinfo(struct kioku_kernel *kernel)
{
	struct bytes text;
	uint64_t pointer, page;

	text.data = (const uint8_t *)kioku_source_vmcoreinfo(kernel->source, &text.size);
	kernel->vmcoreinfo_evidence = "note in the image file";
	if (text.data && text.size <= sizeof(kernel->vmcoreinfo)) {
		memcpy(kernel->vmcoreinfo, text.data, text.size);
		kernel->vmcoreinfo_size = text.size;
		return;
	}

	kernel->vmcoreinfo_evidence = "vmcoreinfo_data, in memory";
	pointer = kernel_symbol(kernel, "vmcoreinfo_data");
	if (!pointer || address_read_u64(&kernel->space, pointer, &page, NULL) != KIOKU_OK)
		return;
	size_t size = 0;
	while (size < sizeof(kernel->vmcoreinfo) &&
	       kernel_read(kernel, page + size, kernel->vmcoreinfo + size, PAGE_SIZE, NULL) ==
		       KIOKU_OK)
		size += PAGE_SIZE;
	text = (struct bytes){ (const uint8_t *)kernel->vmcoreinfo, size };
	kernel->vmcoreinfo_size = vmcoreinfo_length(text);
}

static void add_identity(struct kioku_kernel *kernel)
{
	const char *banner = kernel->banner + strlen("Linux version ");
	struct kioku_symbol symbol;
	char nodename[65] = "";

	add(kernel, "architecture", "x86-64", "page tables");
	add(kernel, "release", arena_copy(&kernel->arena, banner, strcspn(banner, " ")), "banner");
	add(kernel, "banner", kernel->banner,
	    kernel->symbols && kioku_symbols_find(kernel->symbols, "linux_banner", &symbol, NULL) ==
				       KIOKU_OK
		    ? "kallsyms (linux_banner)"
		    : "search of the constants");

	/* struct uts_namespace starts with struct new_utsname, or it is in a member called name. */
	struct kioku_member member;
	uint32_t type;
	uint64_t uts = kernel_symbol(kernel, "init_uts_ns");
	if (uts && kernel->types &&
	    kioku_types_find(kernel->types, "struct uts_namespace", &type, NULL) == KIOKU_OK &&
	    kioku_type_member(kernel->types, type, "name.nodename", &member, NULL) == KIOKU_OK &&
	    kernel_read(kernel, uts + member.bit_offset / 8, nodename, 64, NULL) == KIOKU_OK)
		add(kernel, "hostname", arena_copy(&kernel->arena, nodename, strlen(nodename)),
		    "init_uts_ns");
	else
		add(kernel, "hostname", NULL, "init_uts_ns or its type is not known");
}

/* The GNU build id among the notes of the image (elf(5); .notes in the kernel's linker script). */
void kernel_find_build_id(struct kioku_kernel *kernel)
{
	uint64_t start = kernel_symbol(kernel, "__start_notes");
	uint64_t stop = kernel_symbol(kernel, "__stop_notes");
	uint8_t notes[PAGE_SIZE];
	size_t size = stop > start && stop - start <= sizeof(notes) ? (size_t)(stop - start) : 0;

	if (kernel->build_id_size || !start || !size ||
	    kernel_read(kernel, start, notes, size, NULL) != KIOKU_OK)
		return;
	for (size_t at = 0; at + 12 <= size;) {
		uint32_t name = load_le32(notes + at);
		uint32_t length = load_le32(notes + at + 4);
		size_t data = at + 12 + ((size_t)name + 3) / 4 * 4;
		if (name > size || length > size || data + length > size)
			return;
		if (load_le32(notes + at + 8) == 3 && name == 4 && length <= BUILD_ID_MAX &&
		    memcmp(notes + at + 12, "GNU", 4) == 0) {
			memcpy(kernel->build_id, notes + data, length);
			kernel->build_id_size = length;
			kernel->build_id_virtual = start + data;
			return;
		}
		at = data + ((size_t)length + 3) / 4 * 4;
	}
}

static void add_build_id(struct kioku_kernel *kernel)
{
	char text[2 * BUILD_ID_MAX + 1] = "";
	struct bytes value;

	kernel_find_build_id(kernel);
	for (size_t i = 0; i < kernel->build_id_size; i++)
		snprintf(text + 2 * i, 3, "%02x", kernel->build_id[i]);
	if (kernel->build_id_size)
		add(kernel, "build_id", arena_copy(&kernel->arena, text, strlen(text)),
		    "the kernel's notes");
	else if (vmcoreinfo_find(vmcoreinfo(kernel), "BUILD-ID", &value))
		add(kernel, "build_id", arena_copy(&kernel->arena, value.data, value.size),
		    "VMCOREINFO");
	else
		add(kernel, "build_id", NULL, "neither notes nor VMCOREINFO");
}

/*
 * The boot protocol's setup header (Documentation/arch/x86/boot.rst), of which the kernel keeps a copy in boot_params:
 * where in that things are.
 */
enum {
	BOOT_FLAG = 0x1fe,
	BOOT_MAGIC = 0x202,
	BOOT_ALIGNMENT = 0x230,
	BOOT_PREFERRED = 0x258, /* pref_address: where it was linked to run, physical */
	BOOT_HEADER_END = 0x260
};

/* Whether boot parameters can be of this kernel: it runs where one that was linked there may. */
static bool take_preferred(const struct kioku_kernel *kernel, const uint8_t *parameters,
			   uint64_t *out)
{
	const uint64_t limit = 1ull << 30; /* KERNEL_IMAGE_SIZE */
	uint64_t preferred = load_le64(parameters + BOOT_PREFERRED);
	uint32_t alignment = load_le32(parameters + BOOT_ALIGNMENT);

	if (load_le16(parameters + BOOT_FLAG) != 0xaa55 ||
	    memcmp(parameters + BOOT_MAGIC, "HdrS", 4) != 0 || preferred == 0 ||
	    preferred >= limit || !alignment ||
	    (kernel->image.start - KERNEL_MAP_START - preferred) % alignment != 0)
		return false;
	*out = preferred;
	return true;
}

/* Without symbols: the only address that copies in the kernel's data have. */
static bool search_preferred(struct kioku_kernel *kernel, uint64_t *out)
{
	bool found = false;

	for (size_t i = 0; i < kernel->image.run_count; i++) {
		AUTO_IMAGE_WINDOW struct image_window window = { 0 };
		const struct mapping *run = &kernel->image.runs[i];
		if (run->permissions & KIOKU_PERMISSION_EXECUTE ||
		    image_window_open(&kernel->space, run->virtual, run->size, &window, NULL) !=
			    KIOKU_OK)
			continue;
		window_need(&window.window, 0, run->size);
		const uint8_t *end = window.buffer + run->size, *at = window.buffer;
		for (; (at = memmem(at, (size_t)(end - at), "HdrS", 4)); at++) {
			uint64_t preferred;
			if (at - window.buffer < BOOT_MAGIC ||
			    end - at < BOOT_HEADER_END - BOOT_MAGIC ||
			    !take_preferred(kernel, at - BOOT_MAGIC, &preferred))
				continue;
			if (found && *out != preferred)
				return false;
			*out = preferred;
			found = true;
		}
	}
	return found;
}

bool kernel_link_address(struct kioku_kernel *kernel, uint64_t *out, const char **evidence)
{
	uint64_t boot_params = kernel_symbol(kernel, "boot_params");
	uint8_t parameters[BOOT_HEADER_END];
	uint64_t offset;

	if (vmcoreinfo_hex(vmcoreinfo(kernel), "KERNELOFFSET", &offset)) {
		*out = kernel->image.start - offset;
		*evidence = "VMCOREINFO (KERNELOFFSET)";
		return true;
	}
	if (boot_params ? kernel_read(kernel, boot_params, parameters, sizeof(parameters), NULL) ==
					  KIOKU_OK &&
				  take_preferred(kernel, parameters, &offset)
			: search_preferred(kernel, &offset)) {
		*out = KERNEL_MAP_START + offset;
		*evidence = "boot parameters (pref_address)";
		return true;
	}
	return false;
}

static void add_placement(struct kioku_kernel *kernel)
{
	const char *missing = "neither VMCOREINFO nor boot parameters say where it was linked";
	const char *evidence;
	uint64_t link;

	add(kernel, "paging", kernel->space.paging->name, kernel->root_evidence);
	add_address(kernel, "page_table_root", kernel->space.root, kernel->root_evidence);
	add_address(kernel, "text_virtual", kernel->image.start, "page tables");
	add_address(kernel, "text_physical", kernel->image.physical, "page tables");
	if (kernel_link_address(kernel, &link, &evidence)) {
		add_offset(kernel, "kaslr_text_virtual_offset",
			   (int64_t)(kernel->image.start - link), evidence);
		add_offset(kernel, "kaslr_text_physical_offset",
			   (int64_t)(kernel->image.physical - (link - KERNEL_MAP_START)), evidence);
	} else {
		add(kernel, "kaslr_text_virtual_offset", NULL, missing);
		add(kernel, "kaslr_text_physical_offset", NULL, missing);
	}
}

/*
 * __PAGE_OFFSET_BASE (arch/x86/include/asm/page_64_types.h): moved up by 0x8000000000, or
 * 0x1000000000000 with 5 levels, in v4.20. KASLR only adds to it, in steps of 1 GiB.
 */
static uint64_t direct_map_default(const struct kioku_kernel *kernel)
{
	bool five = kernel->space.paging == &x86_64_5level;
	uint64_t newer = five ? 0xff11000000000000ull : 0xffff888000000000ull;
	uint64_t older = five ? 0xff10000000000000ull : 0xffff880000000000ull;

	return kernel->direct_map >= newer ? newer : older;
}

static void add_direct_map(struct kioku_kernel *kernel)
{
	if (!kernel->direct_map) {
		add(kernel, "direct_map_base", NULL, "no page table entry maps the image again");
		add(kernel, "kaslr_direct_map_offset", NULL, "the base is not known");
		return;
	}
	add_address(kernel, "direct_map_base", kernel->direct_map, kernel->direct_map_evidence);
	add_offset(kernel, "kaslr_direct_map_offset",
		   (int64_t)(kernel->direct_map - direct_map_default(kernel)),
		   kernel->direct_map_evidence);
}

static const char *format_time(struct kioku_kernel *kernel, int64_t utc)
{
	time_t seconds = utc / 1000000000;
	struct tm tm;
	char text[32];

	if (!gmtime_r(&seconds, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm))
		return NULL;
	return arena_format(&kernel->arena, "%s.%09" PRId64 "Z", text, utc % 1000000000);
}

static void add_times(struct kioku_kernel *kernel)
{
	if (!kernel->boot_offset_known) {
		add(kernel, "boot_time", NULL, "the timekeeper or its type was not found");
		add(kernel, "wall_time", NULL, "the timekeeper or its type was not found");
		return;
	}
	add(kernel, "boot_time", format_time(kernel, kernel->boot_offset), "timekeeper");
	add(kernel, "wall_time", format_time(kernel, kernel->wall_time), "timekeeper");
}

static void add_self_description(struct kioku_kernel *kernel)
{
	if (kernel->vmcoreinfo_size)
		add(kernel, "vmcoreinfo",
		    arena_format(&kernel->arena, "%zu bytes", kernel->vmcoreinfo_size),
		    kernel->vmcoreinfo_evidence);
	else
		add(kernel, "vmcoreinfo", NULL, "none in the image file or in memory");
	if (kernel->symbols)
		add(kernel, "symbols",
		    arena_format(&kernel->arena, "%zu", kioku_symbols_count(kernel->symbols)),
		    kernel->symbols_evidence);
	else
		add(kernel, "symbols", NULL, "no kallsyms tables in the kernel image");
	if (kernel->types)
		add(kernel, "types",
		    arena_format(&kernel->arena, "%u", kioku_types_count(kernel->types)),
		    kernel->types_evidence);
	else
		add(kernel, "types", NULL,
		    kernel->types_problem ? kernel->types_problem : "no BTF in the kernel image");
	if (kernel->init_task)
		add_address(kernel, "init_task", kernel->init_task, kernel->init_task_evidence);
	else
		add(kernel, "init_task", NULL, "neither a symbol nor its name in the data");
	if (kernel->forced)
		add(kernel, "forced", kernel->forced, "--force");
}

void kernel_collect_facts(struct kioku_kernel *kernel)
{
	find_vmcoreinfo(kernel);
	add_identity(kernel);
	add_build_id(kernel);
	add_placement(kernel);
	add_direct_map(kernel);
	add_times(kernel);
	add_self_description(kernel);
}
