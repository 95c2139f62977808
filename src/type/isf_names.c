/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "base/error.h"
#include "base/key_table.h"
#include "type/isf_labels.h"

const struct isf_c_type isf_c_types[ISF_C_TYPES] = {
	{ "char", 1, true },
	{ "signed char", 1, true },
	{ "unsigned char", 1, false },
	{ "short int", 2, true },
	{ "short unsigned int", 2, false },
	{ "int", 4, true },
	{ "unsigned int", 4, false },
	{ "long int", 8, true },
	{ "long unsigned int", 8, false },
	{ "long long int", 8, true },
	{ "long long unsigned int", 8, false },
};

/* --- names */

bool isf_is_name(const char *name, bool spaces)
{
	size_t size = 0;

	for (; name[size]; size++) {
		char c = name[size];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
		bool later = (c >= '0' && c <= '9') || (spaces && c == ' ');
		if (size == ISF_NAME_LIMIT || (!letter && !(size > 0 && later)))
			return false;
	}
	return size > 0;
}

bool isf_is_identifier(const char *name)
{
	return isf_is_name(name, false);
}

static struct bytes name_of(const void *user, uint32_t item)
{
	return bytes_of_text(kioku_type_name(user, item));
}

/* Which of two types of a name is the one that is asked for by it; as kioku_types_find() has it. */
static unsigned rank(unsigned kind)
{
	return kind == KIOKU_TYPE_STRUCT ? 0 : kind == KIOKU_TYPE_UNION ? 1 : 2;
}

static void claim(struct isf_names *isf, struct key_table *table, uint32_t id, unsigned kind)
{
	const char *name = kioku_type_name(isf->types, id);
	bool is_typedef = kind == KIOKU_TYPE_TYPEDEF;

	if (!isf_is_name(name, false)) {
		isf->labels[id] = is_typedef ? LABEL_NONE : LABEL_UNNAMED;
		return;
	}
	uint32_t *owner = key_table_at(table, bytes_of_text(name));
	if (*owner) {
		uint32_t before = *owner - 1;
		unsigned other = kioku_type_kind(isf->types, before);
		if (rank(other) <= rank(kind)) {
			isf->labels[id] = is_typedef ? LABEL_NONE : LABEL_NUMBERED;
			if (!is_typedef)
				isf->labels[before] = LABEL_SHARED;
			return;
		}
		isf->labels[before] = other == KIOKU_TYPE_TYPEDEF ? LABEL_NONE : LABEL_NUMBERED;
	}
	*owner = id + 1;
	isf->labels[id] = LABEL_OWN;
}

/* Size and sign decide what a base type is; one of a few bits is read by its bit field. */
static bool same_base(const struct btf_record *a, const struct btf_record *b)
{
	unsigned first = a->kind == KIOKU_TYPE_INT ? btf_int(a).encoding : 0;
	unsigned second = b->kind == KIOKU_TYPE_INT ? btf_int(b).encoding : 0;

	return a->kind == b->kind && a->size == b->size &&
	       (first & (INT_SIGNED | INT_BOOL)) == (second & (INT_SIGNED | INT_BOOL));
}

static void claim_base(struct isf_names *isf, uint32_t id, const struct btf_record *record)
{
	const char *name = types_string(isf->types, record->name);
	struct btf_record other;

	isf->labels[id] = LABEL_UNNAMED;
	if (!isf_is_name(name, true) || strcmp(name, "void") == 0 || strcmp(name, "pointer") == 0)
		return;
	uint32_t *owner = key_table_at(&isf->bases, bytes_of_text(name));
	if (!*owner) {
		*owner = id + 1;
		isf->labels[id] = LABEL_OWN;
	} else if (types_record(isf->types, *owner - 1, &other)) {
		/* The one that is there serves for both: it is not written twice. */
		isf->labels[id] = same_base(record, &other) ? LABEL_SHARED : LABEL_NUMBERED;
	}
}

bool isf_is_aggregate(unsigned kind)
{
	return kind == KIOKU_TYPE_STRUCT || kind == KIOKU_TYPE_UNION;
}

static void claim_type(struct isf_names *isf, uint32_t id)
{
	struct btf_record record, target;

	if (!types_record(isf->types, id, &record))
		return;
	switch (record.kind) {
	case KIOKU_TYPE_INT:
	case KIOKU_TYPE_FLOAT: claim_base(isf, id, &record); break;
	case KIOKU_TYPE_ENUM:
	case KIOKU_TYPE_ENUM64:
		isf->signs_are_said |= record.flag;
		claim(isf, &isf->enumerations, id, record.kind);
		break;
	case KIOKU_TYPE_TYPEDEF:
		if (!types_record(isf->types, record.type, &target) ||
		    !isf_is_aggregate(target.kind))
			break;
		/* fallthrough */
	case KIOKU_TYPE_STRUCT:
	case KIOKU_TYPE_UNION: claim(isf, &isf->aggregates, id, record.kind); break;
	default: break;
	}
}

enum kioku_status isf_names_open(const struct kioku_types *types, struct isf_names **out,
				 struct kioku_error *error)
{
	AUTO_ISF_TYPES struct isf_names *isf = calloc(1, sizeof(*isf));
	size_t counts[3] = { ISF_C_TYPES };

	if (!isf)
		return error_no_memory(error);
	isf->types = types;
	uint32_t count = kioku_types_count(types);
	for (uint32_t id = 1; id <= count; id++) {
		enum kioku_type_kind kind = kioku_type_kind(types, id);
		counts[0] += kind == KIOKU_TYPE_INT || kind == KIOKU_TYPE_FLOAT;
		counts[1] += isf_is_aggregate(kind) || kind == KIOKU_TYPE_TYPEDEF;
		counts[2] += kind == KIOKU_TYPE_ENUM || kind == KIOKU_TYPE_ENUM64;
	}
	isf->labels = calloc((size_t)count + 1, sizeof(*isf->labels));
	isf->flat = calloc((size_t)count + 1, sizeof(*isf->flat));
	if (!isf->labels || !isf->flat ||
	    !key_table_begin(&isf->bases, counts[0], name_of, types) ||
	    !key_table_begin(&isf->aggregates, counts[1], name_of, types) ||
	    !key_table_begin(&isf->enumerations, counts[2], name_of, types))
		return error_no_memory(error);
	for (uint32_t id = 1; id <= count; id++)
		claim_type(isf, id);
	*out = TAKE(isf);
	return KIOKU_OK;
}

void isf_names_close(struct isf_names *isf)
{
	if (!isf)
		return;
	key_table_release(&isf->bases);
	key_table_release(&isf->aggregates);
	key_table_release(&isf->enumerations);
	free(isf->labels);
	free(isf->flat);
	free(isf);
}

uint64_t isf_names_lost(const struct isf_names *isf)
{
	return isf->lost;
}

const char *isf_label(const struct isf_names *isf, uint32_t id, struct isf_label_text *room)
{
	const char *name = kioku_type_name(isf->types, id);

	switch (isf->labels[id]) {
	case LABEL_OWN:
	case LABEL_SHARED: return name;
	case LABEL_NUMBERED:
		snprintf(room->text, sizeof(room->text), "%s.%" PRIu32, name, id);
		return room->text;
	default:
		snprintf(room->text, sizeof(room->text), "unnamed.%" PRIu32, id);
		return room->text;
	}
}

/* --- what others ask for */

uint32_t isf_definition(struct isf_names *isf, const struct btf_record *forward)
{
	const char *name = types_string(isf->types, forward->name);
	unsigned kind = forward->flag ? KIOKU_TYPE_UNION : KIOKU_TYPE_STRUCT;

	if (!isf_is_name(name, false))
		return 0;
	uint32_t owner = key_table_find(&isf->aggregates, bytes_of_text(name));
	return owner && kioku_type_kind(isf->types, owner - 1) == kind &&
			       isf->labels[owner - 1] == LABEL_OWN
		       ? owner - 1
		       : 0;
}

bool isf_is_c_type(struct isf_names *isf, const struct isf_c_type *type)
{
	uint32_t owner = key_table_find(&isf->bases, bytes_of_text(type->name));
	struct btf_record record;

	return !owner || (types_record(isf->types, owner - 1, &record) &&
			  record.kind == KIOKU_TYPE_INT && record.size == type->size &&
			  (btf_int(&record).encoding & INT_SIGNED) == type->is_signed);
}

uint64_t isf_names_base_size(struct isf_names *isf, const char *name)
{
	for (size_t i = 0; i < ISF_C_TYPES; i++)
		if (strcmp(isf_c_types[i].name, name) == 0 && isf_is_c_type(isf, &isf_c_types[i]))
			return isf_c_types[i].size;
	return 0;
}
