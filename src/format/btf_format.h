/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * BTF, the BPF Type Format (Documentation/bpf/btf.rst, include/uapi/linux/btf.h), little-endian:
 * a header, records of types that are numbered from 1 in their order, and strings.
 */
#ifndef FORMAT_BTF_FORMAT_H
#define FORMAT_BTF_FORMAT_H

#include <kioku/type.h>

#include "base/bytes.h"

#define BTF_MAGIC       "\x9f\xeb\x01" /* and the version */
#define BTF_HEADER_SIZE 24             /* the least; 32 with a layout section */
#define BTF_KIND_KNOWN  19

struct btf_sections {
	struct bytes types, strings;
	struct bytes layout; /* sizes of records by kind, for kinds that are not known here */
	uint64_t size;       /* from the header up to the end of the last section */
};

/*
 * Finds the sections by the header. False if there is no header, a section is not inside, or the
 * strings do not begin and end with a NUL.
 */
bool btf_parse(struct bytes data, struct btf_sections *out);

/*
 * The same for "split" BTF, a module's: types and strings are counted on from those of the kernel's, so that
 * its strings need not begin with the empty one.
 */
bool btf_parse_split(struct bytes data, struct btf_sections *out);

/* The size that a header claims, sections included, or 0; for a header whose rest is not there. */
uint64_t btf_claimed_size(struct bytes header);

struct btf_record {
	unsigned kind;
	bool flag;     /* "kind_flag": bit fields in a struct, a union's forward declaration ... */
	uint32_t name; /* offset in the strings */
	uint32_t length;   /* "vlen": members, parameters, values ... */
	uint32_t size;     /* in bytes, of the kinds that have one; else */
	uint32_t type;     /* what it refers to: the same field */
	struct bytes more; /* what follows the fixed part */
};

enum btf_status { BTF_OK, BTF_END, BTF_UNKNOWN_KIND, BTF_CUT_OFF };

/* Reads the record at *offset of the types and moves *offset after it. */
enum btf_status btf_record_at(const struct btf_sections *sections, uint64_t *offset,
			      struct btf_record *out);

/* A string by its offset; "" if that is out of bounds. */
const char *btf_string(const struct btf_sections *sections, uint32_t offset);

struct btf_member {
	uint32_t name, type;
	uint32_t bit_offset, bit_size;
};

/* A member of a struct or union record; index < length. */
struct btf_member btf_member(const struct btf_record *record, uint32_t index);

/* Encodings. */
#define BTF_INT_SIGNED 1u
#define BTF_INT_CHAR   2u
#define BTF_INT_BOOL   4u

struct btf_int {
	unsigned encoding, bit_offset, bits;
};
struct btf_int btf_int(const struct btf_record *record);

struct btf_array {
	uint32_t type, count;
};
struct btf_array btf_array(const struct btf_record *record);

/* A parameter of a function prototype; index < length. Name and type 0: "...". */
struct btf_parameter {
	uint32_t name, type;
};
struct btf_parameter btf_parameter(const struct btf_record *record, uint32_t index);

/* A variable of a data section; index < length. */
struct btf_variable {
	uint32_t type;   /* of the record of kind VARIABLE */
	uint32_t offset; /* in bytes, from the start of the section */
};
struct btf_variable btf_variable(const struct btf_record *record, uint32_t index);

/* A value of an enumeration of either size; index < length. Signed ones are sign-extended. */
struct btf_value {
	uint32_t name;
	uint64_t value;
};
struct btf_value btf_value(const struct btf_record *record, uint32_t index);

/* --- the way back: what the above is decoded from; the sizes are those of the arrays */

#define BTF_RECORD_SIZE    12 /* the fixed part */
#define BTF_MEMBER_SIZE    12
#define BTF_ARRAY_SIZE     12
#define BTF_INT_SIZE       4
#define BTF_PARAMETER_SIZE 8
#define BTF_ENUM_SIZE      8  /* a value of an ENUM, */
#define BTF_ENUM64_SIZE    12 /* of an ENUM64 */

void btf_header_encode(uint32_t types_size, uint32_t strings_size, uint8_t out[BTF_HEADER_SIZE]);

/* Without what follows; kind <= BTF_KIND_KNOWN, length < 2^24. */
void btf_record_encode(const struct btf_record *record, uint8_t out[BTF_RECORD_SIZE]);

/* flag: that of the record, for a struct with bit fields; the offset is below 2^24 then, the size below 2^8. */
void btf_member_encode(const struct btf_member *member, bool flag, uint8_t out[BTF_MEMBER_SIZE]);
void btf_int_encode(const struct btf_int *from, uint8_t out[BTF_INT_SIZE]);

/* index: the type of its index, which readers do not ask for, but some want to be there. */
void btf_array_encode(const struct btf_array *array, uint32_t index, uint8_t out[BTF_ARRAY_SIZE]);
void btf_parameter_encode(const struct btf_parameter *parameter, uint8_t out[BTF_PARAMETER_SIZE]);
void btf_enum_encode(const struct btf_value *value, uint8_t out[BTF_ENUM_SIZE]);
void btf_enum64_encode(const struct btf_value *value, uint8_t out[BTF_ENUM64_SIZE]);

#endif
