/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Members by path, also through anonymous structs and unions. */
#include "base/error.h"
#include "type/types.h"

#define DEPTH_LIMIT  32         /* anonymous members in anonymous members */
#define MEMBER_LIMIT (1u << 16) /* looked at for one path: a bound for types made of themselves */

struct search {
	const struct kioku_types *types;
	const char *name;
	size_t size;
	unsigned budget;
};

struct kioku_member types_member(const struct kioku_types *types, const struct btf_record *record,
				 uint32_t index)
{
	struct btf_member raw = btf_member(record, index);
	struct kioku_member member = {
		.name = types_string(types, raw.name),
		.type = raw.type,
		.bit_offset = raw.bit_offset,
		.bit_size = raw.bit_size,
	};
	struct btf_record type;

	/* Without the flag a bit field shows in its type: an INT of fewer bits than its size has. */
	if (!record->flag && types_record(types, types_resolve(types, raw.type), &type) &&
	    type.kind == KIOKU_TYPE_INT) {
		struct btf_int bits = btf_int(&type);
		if (bits.bit_offset || bits.bits != type.size * 8) {
			member.bit_offset += bits.bit_offset;
			member.bit_size = bits.bits;
		}
	}
	return member;
}

static bool aggregate(const struct kioku_types *types, uint32_t id, struct btf_record *out)
{
	return types_record(types, types_resolve(types, id), out) &&
	       (out->kind == KIOKU_TYPE_STRUCT || out->kind == KIOKU_TYPE_UNION);
}

bool kioku_type_member_at(const struct kioku_types *types, uint32_t id, uint32_t index,
			  struct kioku_member *out)
{
	struct btf_record record;

	if (!aggregate(types, id, &record) || index >= record.length)
		return false;
	*out = types_member(types, &record, index);
	return true;
}

static bool find_member(struct search *search, uint32_t id, unsigned depth,
			struct kioku_member *out)
{
	struct btf_record record;

	if (depth == DEPTH_LIMIT || !aggregate(search->types, id, &record))
		return false;
	for (uint32_t i = 0; i < record.length && search->budget > 0; i++) {
		search->budget--;
		*out = types_member(search->types, &record, i);
		uint64_t base = out->bit_offset;
		if (*out->name) {
			if (strncmp(out->name, search->name, search->size) == 0 &&
			    out->name[search->size] == '\0')
				return true;
		} else if (find_member(search, out->type, depth + 1, out)) {
			out->bit_offset += base;
			return true;
		}
	}
	return false;
}

enum kioku_status kioku_type_member(const struct kioku_types *types, uint32_t id, const char *path,
				    struct kioku_member *out, struct kioku_error *error)
{
	struct search search = { .types = types, .name = path, .budget = MEMBER_LIMIT };
	struct kioku_member member = { .type = id };
	uint64_t base = 0;

	for (;; search.name += search.size + 1) {
		search.size = strcspn(search.name, ".");
		if (search.size == 0 || !find_member(&search, member.type, 0, &member))
			return error_set(error, KIOKU_ERROR_NOT_FOUND, "%s has no member %s",
					 kioku_type_name(types, id), path);
		base += member.bit_offset;
		if (search.name[search.size] == '\0')
			break;
	}
	*out = member;
	out->bit_offset = base;
	return KIOKU_OK;
}
