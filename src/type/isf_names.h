/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Types as volatility3's Intermediate Symbol Format has them (its schema 6.2.0): JSON objects of base types, of
 * structs and unions, and of enumerations, each under a name of its own.
 *
 * A type has its name, and one that shares its name with an earlier one, or has none, a name with a dot and
 * its number: what is referred to is always the very type that BTF refers to. A typedef of a struct or union
 * is listed like one, for some have no other name, and readers ask for both; other typedefs are resolved.
 */
#ifndef TYPE_ISF_NAMES_H
#define TYPE_ISF_NAMES_H

#include "base/cleanup.h"
#include "format/json_writer.h"
#include "type/types.h"

struct isf_names;

/* Names them all. types are borrowed. Errors: NO_MEMORY. */
enum kioku_status isf_names_open(const struct kioku_types *types, struct isf_names **out,
				 struct kioku_error *error);

/* Writes "base_types", "user_types" and "enums" into the object that is open. */
void isf_names_write(struct isf_names *isf, struct json_writer *json);

/* Writes what a member or symbol of that type has as its "type". What is no type, or an endless one, is void. */
void isf_names_put_reference(struct isf_names *isf, struct json_writer *json, const char *key,
			     uint32_t id);

/* Bytes of a base type that is written under that name; 0: there is none. */
uint64_t isf_names_base_size(struct isf_names *isf, const char *name);

/* How many members and constants were left out, so far, that this format or C cannot have: damage. */
uint64_t isf_names_lost(const struct isf_names *isf);

/* Whether a name is one that C allows, or, with spaces, one of C's own types. */
bool isf_is_identifier(const char *name);

void isf_names_close(struct isf_names *isf); /* NULL is fine */
DEFINE_CLEANUP(isf_names, struct isf_names, isf_names_close)
#define AUTO_ISF_TYPES CLEANUP(cleanup_isf_names)

#endif
