/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the parts share that make types of DWARF: what entries say of themselves, and which of them are built.
 * libdw has bounds for the bytes; what is bounded here is the time that lies can cost: siblings come later in the file
 * than what they follow, and all work is counted.
 */
#ifndef TYPE_DWARF_READER_H
#define TYPE_DWARF_READER_H

#include <dwarf.h>
#include <elfutils/libdw.h>

#include "type/dwarf_types.h"
#include "type/type_builder.h"

/* What an entry says of itself, in one pass over its attributes. */
struct die_facts {
	const char *name; /* NULL: none */
	Dwarf_Word size, line;
	bool has_size, is_declaration;
};

/* A definition or another type of which every unit need not have its own. */
struct dwarf_item {
	Dwarf_Die die;
	const char *name; /* as the file has it; NULL: known by its place alone */
	uint32_t hash;
	uint32_t next; /* of its hash, from 1 on; 0: the last */
	uint64_t size, line;
	const char *first; /* the name of its first member; "" if it has none */
	uint32_t users;    /* units that have it */
	uint32_t id;
	int tag;
};

struct dwarf_reader {
	struct type_builder *builder;
	struct dwarf_item *items;
	size_t count, capacity;
	uint32_t *heads; /* items by hash, from 1 on */
	uint64_t seed;   /* of the hash */
	uint32_t head_count;
	uint64_t budget;
	struct dwarf_summary *summary;
	enum kioku_status status;
};

/* Says what was not understood, of the first such entry. */
void dwarf_reader_flaw(struct dwarf_reader *reader, Dwarf_Die *die, const char *what);

/* Counts a piece of work; false: there was enough, or something went wrong. */
bool dwarf_reader_spend(struct dwarf_reader *reader);

/* --- entries */

bool die_first_child(struct dwarf_reader *reader, Dwarf_Die *die, Dwarf_Die *out);

/* A sibling that does not come later in the file is a lie, and would be one without end. */
bool die_next_sibling(struct dwarf_reader *reader, Dwarf_Die *die);

struct die_facts die_facts(Dwarf_Die *die);
bool die_number(Dwarf_Die *die, unsigned which, Dwarf_Word *out);

/* Where a type that an attribute names is; a signature leads on to a type unit. */
bool die_reference(Dwarf_Die *die, unsigned which, Dwarf_Die *out);

/* Of its first child; "" if it has none, or that no name. */
const char *die_first_name(struct dwarf_reader *reader, Dwarf_Die *die);

/* --- items */

bool dwarf_is_aggregate(int tag);

/* Of the definitions of a name the one that most units have; NULL: there is none. */
struct dwarf_item *dwarf_item_named(struct dwarf_reader *reader, int tag, const char *name);

/* The item of an aggregate with a name and a layout; NULL: no memory, or too many. */
struct dwarf_item *dwarf_item_defined(struct dwarf_reader *reader, Dwarf_Die *die, int tag,
				      const struct die_facts *facts);

/* The item of an entry that is known by its place alone. NULL: likewise. */
struct dwarf_item *dwarf_item_at(struct dwarf_reader *reader, Dwarf_Die *die, int tag);

/* Makes the type of an item; others that it refers to may be added behind it. */
void dwarf_build_item(struct dwarf_reader *reader, size_t index);

#endif
