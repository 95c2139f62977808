/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BTF, opened: types by number and by name. */
#ifndef TYPE_TYPES_H
#define TYPE_TYPES_H

#include <kioku/type.h>

#include "base/cleanup.h"
#include "base/window.h"
#include "format/btf_format.h"

/*
 * Takes data, which was malloc'ed, in any case. Should the BTF go on with what is not understood,
 * the types up to there count, and types_flaw() says so.
 * Errors: CORRUPT (no BTF, or no type in it), NO_MEMORY.
 */
enum kioku_status types_from_btf(void *data, size_t size, struct kioku_types **out,
				 struct kioku_error *error);

/*
 * The same for a module's BTF, which counts types and strings on from those of the kernel's, base; what there
 * is by number or name is in both. base is borrowed and must outlive the types, which have no types_blob().
 * Errors: as above; CORRUPT too if types of base are missing, for then all numbers mean others.
 */
enum kioku_status types_from_split_btf(const struct kioku_types *base, void *data, size_t size,
				       struct kioku_types **out, struct kioku_error *error);

/*
 * Finds the kernel's BTF by its header: the sections must be inside the window, and there must be a
 * struct task_struct. Of several, one with the DATASEC .data..percpu counts, which only the
 * kernel's own has.
 */
bool btf_locate(struct window *window, uint64_t *offset, uint64_t *size);

/* Why some types are missing; NULL if none are. */
const char *types_flaw(const struct kioku_types *types);

/* The BTF itself, borrowed. */
struct bytes types_btf(const struct kioku_types *types);

/*
 * The BTF with the indexes that are built for it, as one block without pointers, borrowed; and the
 * way back, which takes no time and trusts nothing: every access checks its own bounds. The block
 * is borrowed and must outlive the types. Errors: CORRUPT (not such a block), NO_MEMORY.
 */
struct bytes types_blob(const struct kioku_types *types);
enum kioku_status types_from_blob(struct bytes blob, struct kioku_types **out,
				  struct kioku_error *error);

/* All types of a name (structs, unions, enums, typedefs, forward declarations), by number; a module's first. */
struct type_cursor {
	uint32_t state;
	bool in_base;
};
bool types_next_named(const struct kioku_types *types, const char *name, struct type_cursor *cursor,
		      uint32_t *id);

/* A type's record; false for void and numbers that there are not. */
bool types_record(const struct kioku_types *types, uint32_t id, struct btf_record *out);

/* A string by the number that records have for it. */
const char *types_string(const struct kioku_types *types, uint32_t offset);

/* A constant of an enumeration, by the name of both ("pageflags", "PG_uptodate"). */
bool types_enum_value(const struct kioku_types *types, const char *enumeration, const char *name,
		      uint64_t *out);

/* Where a member of a struct is, by the names of both ("struct page", "lru"), and its size; in bytes. */
struct type_place {
	uint64_t offset, size;
};
bool types_find_place(const struct kioku_types *types, const char *type, const char *path,
		      struct type_place *out);

/* Bytes of a type by its name, as in "struct page"; 0: there is none. */
uint64_t types_size_of(const struct kioku_types *types, const char *name);

/* The first constant of an enumeration that has a value; NULL: none has. */
const char *types_enum_name(const struct kioku_types *types, const char *enumeration,
			    uint64_t value);

/* What is left of a type without typedefs and qualifiers; 0 (void) for an endless chain. */
uint32_t types_resolve(const struct kioku_types *types, uint32_t id);

/* Member of a struct or union record, in the terms of the public API. */
struct kioku_member types_member(const struct kioku_types *types, const struct btf_record *record,
				 uint32_t index);

void types_close(struct kioku_types *types); /* NULL is fine */
DEFINE_CLEANUP(types, struct kioku_types, types_close)
#define AUTO_TYPES CLEANUP(cleanup_types)

#endif
