/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Types out of a volatility3 symbol table, and who wants what else is in it. */
#ifndef TYPE_ISF_TYPES_H
#define TYPE_ISF_TYPES_H

#include "format/isf_format.h"
#include "type/types.h"

struct isf_summary {
	unsigned pointer_size; /* bytes; 0: it does not say */
	bool is_big_endian;
	/* Something was not understood, and what depends on it is void or missing: what; "" if all was. */
	char flaw[96];
};

/*
 * Reads the types. Each symbol is given to the function, unless that is NULL; false ends all with NO_MEMORY.
 * Errors: NOT_FOUND (the text is no ISF), CORRUPT, LIMIT, NO_MEMORY.
 */
enum kioku_status types_from_isf(struct bytes text,
				 bool (*symbol)(void *user, const struct isf_symbol *symbol),
				 void *user, struct kioku_types **out, struct isf_summary *summary,
				 struct kioku_error *error);

#endif
