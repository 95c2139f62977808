/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What types are called in a symbol table: what those who name them and those who write them share. */
#ifndef TYPE_ISF_LABELS_H
#define TYPE_ISF_LABELS_H

#include "base/key_table.h"
#include "type/isf_names.h"

#define ISF_NAME_LIMIT 255 /* of an identifier; the kernel's longest has about 60 */
#define ISF_C_TYPES    11

enum {
	INT_SIGNED = 1,
	INT_BOOL = 4,
};

/* How a type is written. */
enum label {
	LABEL_NONE, /* not at all: it is none that is listed, or a typedef that is resolved */
	LABEL_OWN,
	LABEL_SHARED, /* by its own name, which others have, too: these are */
	LABEL_NUMBERED,
	LABEL_UNNAMED,
};

struct isf_names {
	const struct kioku_types *types;
	uint8_t *labels; /* enum label of each type, by number */
	uint32_t *flat;  /* of isf_write.c: how many members each has, see there */
	struct key_table bases, aggregates, enumerations;
	bool signs_are_said; /* the flag of an enumeration means something: BTF since v6.0 */
	uint64_t lost;
};

/* What C has on x86-64 and arm64, by the names that GCC gives them in debug information. */
struct isf_c_type {
	const char *name;
	uint64_t size;
	bool is_signed;
};
extern const struct isf_c_type isf_c_types[ISF_C_TYPES];

bool isf_is_name(const char *name, bool spaces);
bool isf_is_aggregate(unsigned kind);

/* The name that a type is written under. */
struct isf_label_text {
	char text[ISF_NAME_LIMIT + 16];
};
const char *isf_label(const struct isf_names *isf, uint32_t id, struct isf_label_text *room);

/* The only definition of what BTF has a forward declaration of; 0: none, or more than one. */
uint32_t isf_definition(struct isf_names *isf, const struct btf_record *forward);

/* Whether a name is C's own, and this kernel's type of that name is no other. */
bool isf_is_c_type(struct isf_names *isf, const struct isf_c_type *type);

#endif
