/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Layouts of the kernel's C types. Whatever they come from, they are held as BTF
 * (Documentation/bpf/btf.rst): ids number the types from 1, and 0 is void.
 */
#ifndef KIOKU_TYPE_H
#define KIOKU_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kioku/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kioku_types;

/* The values are BTF's own. */
enum kioku_type_kind {
	KIOKU_TYPE_VOID = 0,
	KIOKU_TYPE_INT = 1,
	KIOKU_TYPE_POINTER = 2,
	KIOKU_TYPE_ARRAY = 3,
	KIOKU_TYPE_STRUCT = 4,
	KIOKU_TYPE_UNION = 5,
	KIOKU_TYPE_ENUM = 6,
	KIOKU_TYPE_FORWARD = 7,
	KIOKU_TYPE_TYPEDEF = 8,
	KIOKU_TYPE_VOLATILE = 9,
	KIOKU_TYPE_CONST = 10,
	KIOKU_TYPE_RESTRICT = 11,
	KIOKU_TYPE_FUNCTION = 12,
	KIOKU_TYPE_FUNCTION_PROTOTYPE = 13,
	KIOKU_TYPE_VARIABLE = 14,
	KIOKU_TYPE_DATA_SECTION = 15,
	KIOKU_TYPE_FLOAT = 16,
	KIOKU_TYPE_DECLARATION_TAG = 17,
	KIOKU_TYPE_TYPE_TAG = 18,
	KIOKU_TYPE_ENUM64 = 19,
};

/* The number of types, void not counted: valid ids are 0..count. */
KIOKU_PUBLIC uint32_t kioku_types_count(const struct kioku_types *types);

KIOKU_PUBLIC enum kioku_type_kind kioku_type_kind(const struct kioku_types *types, uint32_t id);

/* "" for an anonymous type; borrowed until the types close. */
KIOKU_PUBLIC const char *kioku_type_name(const struct kioku_types *types, uint32_t id);

/*
 * Finds a type by kind and name. name may carry its keyword ("struct page", "union x", "enum y");
 * without one, struct, union, enum and typedef are tried in this order. Errors: NOT_FOUND.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status kioku_types_find(const struct kioku_types *types,
							    const char *name, uint32_t *out,
							    struct kioku_error *error);

/* Bytes; 0 where a type has none (void, functions, forward declarations, damaged types). */
KIOKU_PUBLIC uint64_t kioku_type_size(const struct kioku_types *types, uint32_t id);

struct kioku_member {
	const char *name; /* "" for an anonymous struct or union */
	uint32_t type;
	uint64_t bit_offset; /* from the start of the type asked about */
	uint32_t bit_size;   /* of a bit field; 0 for an ordinary member */
};

/*
 * Finds a member by a path such as "se.sum_exec_runtime", also through anonymous members.
 * Errors: NOT_FOUND.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status kioku_type_member(const struct kioku_types *types,
							     uint32_t id, const char *path,
							     struct kioku_member *out,
							     struct kioku_error *error);

/* The members of a struct or union, in order; index from 0. false when there are no more. */
KIOKU_PUBLIC bool kioku_type_member_at(const struct kioku_types *types, uint32_t id, uint32_t index,
				       struct kioku_member *out);

/*
 * Writes a C declaration of a type as pahole prints it, offsets and sizes in comments, to a string
 * that the caller frees. Errors: NO_MEMORY, UNSUPPORTED (no layout to print), LIMIT.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status kioku_type_print(const struct kioku_types *types,
							    uint32_t id, char **out,
							    struct kioku_error *error);

#ifdef __cplusplus
}
#endif
#endif
