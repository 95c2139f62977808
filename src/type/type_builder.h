/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes types out of pieces: whatever they come from, DWARF or a guess, they end as BTF. Each call gives
 * the number of a type, from 1 on; 0 is void. The same piece asked for twice is the same type, if it
 * has no parts of its own (members, constants, parameters).
 *
 * What refers to itself, or to what comes later, has its number reserved:
 *
 *	uint32_t node = type_builder_reserve(builder);
 *	uint32_t pointer = type_builder_pointer(builder, node);
 *	type_builder_define(builder, node);
 *	type_builder_struct(builder, KIOKU_TYPE_STRUCT, "node", 8);
 *	type_builder_member(builder, "next", pointer, 0, 0);
 *
 * Errors are kept until type_builder_finish(), and numbers mean nothing from then on.
 */
#ifndef TYPE_TYPE_BUILDER_H
#define TYPE_TYPE_BUILDER_H

#include "type/types.h"

struct type_builder;

struct type_builder *type_builder_new(void);           /* NULL: no memory */
void type_builder_close(struct type_builder *builder); /* NULL is fine */
DEFINE_CLEANUP(type_builder, struct type_builder, type_builder_close)
#define AUTO_TYPE_BUILDER CLEANUP(cleanup_type_builder)

/* A number for a type that comes later; if it never does, the number is one for void. */
uint32_t type_builder_reserve(struct type_builder *builder);

/* The next type that is made, which must be a new one, gets this reserved number. */
void type_builder_define(struct type_builder *builder, uint32_t id);

/* Names may be NULL or "" where C has none; sizes are in bytes. encoding: BTF_INT_SIGNED ... or 0. */
uint32_t type_builder_int(struct type_builder *builder, const char *name, uint32_t size,
			  unsigned encoding);
uint32_t type_builder_float(struct type_builder *builder, const char *name, uint32_t size);
uint32_t type_builder_pointer(struct type_builder *builder, uint32_t target);
uint32_t type_builder_array(struct type_builder *builder, uint32_t element, uint32_t count);
uint32_t type_builder_forward(struct type_builder *builder, const char *name, bool is_union);
uint32_t type_builder_typedef(struct type_builder *builder, const char *name, uint32_t target);

/* kind: KIOKU_TYPE_CONST, KIOKU_TYPE_VOLATILE or KIOKU_TYPE_RESTRICT. */
uint32_t type_builder_qualifier(struct type_builder *builder, enum kioku_type_kind kind,
				uint32_t target);

/* Parts follow with type_builder_parameter(), before any other type is made. */
uint32_t type_builder_function_prototype(struct type_builder *builder, uint32_t result);
/* No name, and void for the type: "...". */
void type_builder_parameter(struct type_builder *builder, const char *name, uint32_t type);

/*
 * kind: KIOKU_TYPE_STRUCT or KIOKU_TYPE_UNION. Members follow with type_builder_member(), before any other type
 * is made. Offsets are from the start of the struct; bit_size is 0 for what is no bit field.
 */
uint32_t type_builder_struct(struct type_builder *builder, enum kioku_type_kind kind,
			     const char *name, uint32_t size);
void type_builder_member(struct type_builder *builder, const char *name, uint32_t type,
			 uint64_t bit_offset, uint32_t bit_size);

/* Whether BTF can say this of a member of a struct that has bit fields, or has none: LIMIT otherwise. */
bool type_builder_holds(uint64_t bit_offset, uint32_t bit_size, bool has_bit_fields);

/*
 * Constants follow with type_builder_constant(), before any other type is made. It becomes an ENUM64 if its size
 * or one of them asks for that.
 */
uint32_t type_builder_enum(struct type_builder *builder, const char *name, uint32_t size,
			   bool is_signed);
void type_builder_constant(struct type_builder *builder, const char *name, uint64_t value);

/*
 * What was made; the builder is good for nothing but type_builder_close() then.
 * Errors: NO_MEMORY; LIMIT (BTF has no room for it); CORRUPT (no type was made).
 */
enum kioku_status type_builder_finish(struct type_builder *builder, struct kioku_types **out,
				      struct kioku_error *error);

#endif
