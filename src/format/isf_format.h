/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ISF, the "intermediate symbol format" of volatility3 (volatility3/schemas/schema-6.2.0.json): one JSON object
 * of base_types, user_types, enums and symbols, each a dictionary by name. Types refer to each other by kind and
 * name, in any order; there are no typedefs.
 */
#ifndef FORMAT_ISF_FORMAT_H
#define FORMAT_ISF_FORMAT_H

#include "base/bytes.h"

#define ISF_CHAIN_LIMIT 24 /* arrays of pointers to arrays ... */

enum isf_kind {
	ISF_UNKNOWN,
	ISF_BASE,
	ISF_STRUCT, /* a class is one, too */
	ISF_UNION,
	ISF_ENUM,
	ISF_POINTER,
	ISF_ARRAY,
	ISF_FUNCTION,
	ISF_BIT_FIELD,
};

/* A step of a type, from the outside in; only the last one has a name. */
struct isf_step {
	enum isf_kind kind;
	struct bytes name;
	uint64_t count;                    /* of ISF_ARRAY */
	uint64_t bit_position, bit_length; /* of ISF_BIT_FIELD */
};

struct isf_type {
	struct isf_step steps[ISF_CHAIN_LIMIT];
	size_t count; /* 0: the file does not say */
};

struct isf_base {
	struct bytes name, kind; /* kind: "int", "char", "bool", "float", "void" */
	uint64_t size;
	bool is_signed, is_big_endian;
};

struct isf_field {
	struct bytes name;
	uint64_t offset;
	bool is_anonymous; /* the name was made up */
	struct isf_type type;
};

struct isf_symbol {
	struct bytes name;
	uint64_t address;
	struct bytes constant_data; /* base64; size 0: none */
	bool has_type;
	struct isf_type type;
};

/*
 * Names are borrowed from the text, and escapes in them are as they are there. False ends the reading. Fields come
 * before the type that they are of, constants before their enumeration.
 */
struct isf_handler {
	bool (*base)(void *user, const struct isf_base *base);
	bool (*field)(void *user, const struct isf_field *field);
	bool (*user_type)(void *user, struct bytes name, enum isf_kind kind, uint64_t size);
	bool (*constant)(void *user, struct bytes name, uint64_t value, bool is_negative);
	bool (*enumeration)(void *user, struct bytes name, uint64_t size);
	bool (*symbol)(void *user, const struct isf_symbol *symbol);
};

enum isf_status {
	ISF_OK,
	ISF_STOPPED, /* by the handler */
	ISF_NO_ISF,  /* no JSON object, or one without user_types and base_types */
	ISF_CORRUPT,
};

struct isf_problem {
	const char *what;
	size_t at; /* in the text */
};

enum isf_status isf_read(struct bytes text, const struct isf_handler *handler, void *user,
			 struct isf_problem *problem);

/* Decodes base64 (RFC 4648) up to what does not belong to it; returns how many bytes it gave. */
size_t isf_decode_data(struct bytes base64, uint8_t *out, size_t room);

#endif
