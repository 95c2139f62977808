/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "type/dwarf_reader.h"

void dwarf_reader_flaw(struct dwarf_reader *reader, Dwarf_Die *die, const char *what)
{
	if (!reader->summary->flaw[0])
		snprintf(reader->summary->flaw, sizeof(reader->summary->flaw),
			 "DWARF at 0x%llx: %s", (unsigned long long)dwarf_dieoffset(die), what);
}

bool dwarf_reader_spend(struct dwarf_reader *reader)
{
	if (reader->status == KIOKU_OK && reader->budget-- == 0)
		reader->status = KIOKU_ERROR_LIMIT;
	return reader->status == KIOKU_OK;
}

bool die_first_child(struct dwarf_reader *reader, Dwarf_Die *die, Dwarf_Die *out)
{
	return dwarf_reader_spend(reader) && dwarf_child(die, out) == 0;
}

bool die_next_sibling(struct dwarf_reader *reader, Dwarf_Die *die)
{
	const void *before = die->addr;

	return dwarf_reader_spend(reader) && dwarf_siblingof(die, die) == 0 && die->addr > before;
}

/* --- attributes */

static int take_fact(Dwarf_Attribute *attribute, void *user)
{
	struct die_facts *facts = user;

	switch (dwarf_whatattr(attribute)) {
	case DW_AT_name: facts->name = dwarf_formstring(attribute); break;
	case DW_AT_byte_size:
		facts->has_size = dwarf_formudata(attribute, &facts->size) == 0;
		break;
	case DW_AT_decl_line: dwarf_formudata(attribute, &facts->line); break;
	case DW_AT_declaration: facts->is_declaration = true; break;
	}
	return DWARF_CB_OK;
}

struct die_facts die_facts(Dwarf_Die *die)
{
	struct die_facts facts = { 0 };

	dwarf_getattrs(die, take_fact, &facts, 0);
	if (facts.name && !*facts.name)
		facts.name = NULL;
	return facts;
}

bool die_number(Dwarf_Die *die, unsigned which, Dwarf_Word *out)
{
	Dwarf_Attribute attribute;

	return dwarf_attr(die, which, &attribute) && dwarf_formudata(&attribute, out) == 0;
}

bool die_reference(Dwarf_Die *die, unsigned which, Dwarf_Die *out)
{
	Dwarf_Attribute attribute;

	if (!dwarf_attr(die, which, &attribute) || !dwarf_formref_die(&attribute, out))
		return false;
	if (dwarf_attr(out, DW_AT_signature, &attribute)) {
		Dwarf_Die meant;
		if (dwarf_formref_die(&attribute, &meant))
			*out = meant;
	}
	return true;
}

const char *die_first_name(struct dwarf_reader *reader, Dwarf_Die *die)
{
	Dwarf_Die child;
	const char *name = die_first_child(reader, die, &child) ? dwarf_diename(&child) : NULL;

	return name ? name : "";
}
