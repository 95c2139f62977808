/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two passes. The survey goes over what is at the top of every unit and keeps the first of each definition. Then
 * these, and what they refer to and has no name, are built one after the other from a queue, so that nothing but
 * chains of pointers and the like is followed by recursion. libdw has bounds for the bytes; what is bounded here
 * is the time that lies can cost: siblings come later in the file than what they follow, chains are short,
 * and all work is counted.
 */
#include <elfutils/libdwfl.h>
#include <gelf.h>
#include <unistd.h>

#include "base/error.h"
#include "base/key_table.h"
#include "type/dwarf_reader.h"

#define ENTRY_LIMIT (1u << 28) /* looked at in all; Debian's 6.1 has 4 million at the top */

/* --- the survey */

static bool is_c(Dwarf_Die *unit)
{
	switch (dwarf_srclang(unit)) {
	case DW_LANG_C:
	case DW_LANG_C89:
	case DW_LANG_C99:
	case DW_LANG_C11: return true;
	case -1: /* a type unit need not say */ return true;
	default: return false;
	}
}

static void survey_unit(struct dwarf_reader *reader, Dwarf_Die *unit)
{
	Dwarf_Die die;

	if (!is_c(unit) || !die_first_child(reader, unit, &die))
		return;
	do {
		int tag = dwarf_tag(&die);
		if (!dwarf_is_aggregate(tag) && tag != DW_TAG_typedef)
			continue;
		struct die_facts facts = die_facts(&die);
		if (!facts.name || facts.is_declaration ||
		    (dwarf_is_aggregate(tag) && !facts.has_size))
			continue;
		struct dwarf_item *item = dwarf_item_defined(reader, &die, tag, &facts);
		if (item)
			item->users++;
	} while (die_next_sibling(reader, &die));
}

static void survey(struct dwarf_reader *reader, Dwarf *dwarf)
{
	Dwarf_CU *unit = NULL;
	Dwarf_Die die, sub;
	Dwarf_Half version;
	uint8_t kind;

	while (dwarf_reader_spend(reader) &&
	       dwarf_get_units(dwarf, unit, &unit, &version, &kind, &die, &sub) == 0) {
		reader->summary->units++;
		if (kind == DW_UT_skeleton)
			dwarf_reader_flaw(reader, &die, "its types are in another file (.dwo)");
		survey_unit(reader, &die);
	}
}

/* Numbers for what the survey found, so that of one name the definition that most units have comes first. */
static void number_items(struct dwarf_reader *reader)
{
	size_t surveyed = reader->count;

	for (size_t i = 0; i < surveyed && reader->status == KIOKU_OK; i++) {
		struct dwarf_item *item = &reader->items[i];
		struct dwarf_item *best = dwarf_item_named(reader, item->tag, item->name);
		if (best && !best->id)
			best->id = type_builder_reserve(reader->builder);
		if (!item->id)
			item->id = type_builder_reserve(reader->builder);
	}
}

static void release_reader(struct dwarf_reader *reader)
{
	type_builder_close(reader->builder);
	free(reader->items);
	free(reader->heads);
}

static enum kioku_status read_types(Dwarf *dwarf, struct kioku_types **out,
				    struct dwarf_summary *summary, struct kioku_error *error)
{
	CLEANUP(release_reader)
	struct dwarf_reader reader = { .builder = type_builder_new(),
				       .seed = key_seed(),
				       .budget = ENTRY_LIMIT,
				       .summary = summary };

	if (!reader.builder)
		return error_no_memory(error);
	survey(&reader, dwarf);
	/* What dwz moved to a file that several share. */
	Dwarf *shared = dwarf_getalt(dwarf);
	if (shared)
		survey(&reader, shared);
	number_items(&reader);
	for (size_t i = 0; i < reader.count && reader.status == KIOKU_OK; i++)
		dwarf_build_item(&reader, i);
	if (reader.status != KIOKU_OK)
		return error_set(error, reader.status, "cannot read its DWARF: %s",
				 kioku_status_name(reader.status));
	if (reader.count == 0)
		return error_set(error, KIOKU_ERROR_NOT_FOUND,
				 "it has no DWARF that says of types");
	return type_builder_finish(reader.builder, out, error);
}

/* --- files */

/* Debug information is where the caller says, and nowhere else: nothing is searched or fetched. */
static int find_nothing(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
			const char *file, const char *link, GElf_Word crc, char **found)
{
	return -1;
}

static void end_dwfl(Dwfl **dwfl)
{
	dwfl_end(*dwfl);
}

/* A module's file: what its debug information refers to has to be relocated first. */
static enum kioku_status read_relocatable(int descriptor, struct kioku_types **out,
					  struct dwarf_summary *summary, struct kioku_error *error)
{
	static const Dwfl_Callbacks callbacks = { .find_debuginfo = find_nothing,
						  .section_address = dwfl_offline_section_address };
	CLEANUP(end_dwfl) Dwfl *dwfl = dwfl_begin(&callbacks);
	int own = dup(descriptor); /* which it closes, if it takes it */
	Dwarf_Addr bias;

	if (!dwfl || own < 0) {
		if (own >= 0)
			close(own);
		return error_no_memory(error);
	}
	Dwfl_Module *module = dwfl_report_offline(dwfl, "types", "types", own);
	if (!module) {
		close(own);
		return error_set(error, KIOKU_ERROR_CORRUPT, "cannot read its DWARF: %s",
				 dwfl_errmsg(-1));
	}
	dwfl_report_end(dwfl, NULL, NULL);
	Dwarf *dwarf = dwfl_module_getdwarf(module, &bias);
	if (!dwarf)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "it has no DWARF: %s",
				 dwfl_errmsg(-1));
	return read_types(dwarf, out, summary, error);
}

static void end_elf(Elf **elf)
{
	elf_end(*elf);
}

static void end_dwarf(Dwarf **dwarf)
{
	dwarf_end(*dwarf);
}

bool dwarf_is_readable(void)
{
	return true;
}

enum kioku_status types_from_dwarf(int descriptor, struct kioku_types **out,
				   struct dwarf_summary *summary, struct kioku_error *error)
{
	GElf_Ehdr header;

	*summary = (struct dwarf_summary){ 0 };
	elf_version(EV_CURRENT);
	CLEANUP(end_elf) Elf *elf = elf_begin(descriptor, ELF_C_READ_MMAP, NULL);
	if (!elf || !gelf_getehdr(elf, &header))
		return error_set(error, KIOKU_ERROR_CORRUPT, "it is no ELF file: %s",
				 elf_errmsg(-1));
	if (header.e_type == ET_REL)
		return read_relocatable(descriptor, out, summary, error);
	CLEANUP(end_dwarf) Dwarf *dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	if (!dwarf)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "it has no DWARF: %s",
				 dwarf_errmsg(-1));
	return read_types(dwarf, out, summary, error);
}
