/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <endian.h>
#include <string.h>

#include "kernel/record.h"

/* Members closer than this are fetched together; over a link, all that one request may ask for. */
#define GAP_LIMIT    64
#define CLUSTER_SIZE 512
#define REQUEST_SIZE 512

struct record_cache {
	struct record_cache *next;
	struct binding binding;
};

/* What a member holds: through typedefs and qualifiers, and structs that wrap a single scalar. */
static uint32_t resolve(const struct kioku_types *types, uint32_t id)
{
	for (unsigned depth = 0; depth < 32; depth++) {
		struct kioku_member inner, more;
		id = types_resolve(types, id);
		if (kioku_type_kind(types, id) != KIOKU_TYPE_STRUCT ||
		    !kioku_type_member_at(types, id, 0, &inner) ||
		    kioku_type_member_at(types, id, 1, &more) || inner.bit_size)
			return id;
		id = inner.type;
	}
	return 0;
}

/* Enumerations count as unsigned: none that is read has negative values. */
static bool is_signed(const struct kioku_types *types, uint32_t id)
{
	struct btf_record record;

	return types_record(types, id, &record) && record.kind == KIOKU_TYPE_INT &&
	       (btf_int(&record).encoding & 1);
}

static bool bind_member(const struct kioku_types *types, const struct member *member,
			const struct kioku_member *found, struct bound_member *out)
{
	uint32_t type = resolve(types, found->type);
	enum kioku_type_kind kind = kioku_type_kind(types, type);
	uint64_t size = kioku_type_size(types, type);

	*out = (struct bound_member){ .offset = found->bit_offset / 8 };
	if (found->bit_size) {
		out->bit_shift = (uint8_t)(found->bit_offset % 8);
		out->bit_size = (uint8_t)found->bit_size;
		size = ((uint64_t)out->bit_shift + found->bit_size + 7) / 8;
	}
	switch (kind) {
	case KIOKU_TYPE_INT:
	case KIOKU_TYPE_ENUM:
	case KIOKU_TYPE_ENUM64: out->is_signed = is_signed(types, type); break;
	case KIOKU_TYPE_POINTER: break;
	case KIOKU_TYPE_ARRAY:
		out->is_array = true;
		if (size == 0) /* a flexible array: as much of it as is asked for */
			size = member->size;
		break;
	default: return false;
	}
	if (size == 0 || (!out->is_array &&
			  (size > 8 || (member->size & (member->size - 1)) || member->size > 8)))
		return false;
	out->size = (uint32_t)(out->is_array && size > member->size ? member->size : size);
	return true;
}

static void sort_members(struct binding *binding)
{
	for (size_t i = 0; i < binding->record->count; i++) {
		if (binding->members[i].size == 0)
			continue;
		size_t at = binding->present++;
		for (; at > 0 &&
		       binding->members[binding->order[at - 1]].offset > binding->members[i].offset;
		     at--)
			binding->order[at] = binding->order[at - 1];
		binding->order[at] = (uint8_t)i;
	}
}

enum kioku_status record_bind_types(const struct kioku_types *types, const struct record *record,
				    struct binding *out, struct kioku_error *error)
{
	uint32_t id;

	*out = (struct binding){ .record = record };
	char name[128] = "struct ";
	strncat(name, record->type, sizeof(name) - 8);
	if (!types || kioku_types_find(types, name, &id, NULL) != KIOKU_OK)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "the type %s is not known", name);
	for (size_t i = 0; i < record->count; i++) {
		const struct member *member = &record->members[i];
		bool bound = false;
		for (size_t n = 0; n < MEMBER_NAMES && member->names[n] && !bound; n++) {
			struct kioku_member found;
			bound = kioku_type_member(types, id, member->names[n], &found, NULL) ==
					KIOKU_OK &&
				bind_member(types, member, &found, &out->members[i]);
		}
		if (!bound && !member->optional)
			return error_set(error, KIOKU_ERROR_UNSUPPORTED,
					 "struct %s has no member %s that can be read",
					 record->type, member->names[0]);
		if (!bound)
			out->members[i].size = 0;
	}
	sort_members(out);
	return KIOKU_OK;
}

enum kioku_status record_bind(struct kioku_kernel *kernel, const struct record *record,
			      const struct binding **out, struct kioku_error *error)
{
	kernel->was_read = true;
	for (struct record_cache *cached = kernel->records; cached; cached = cached->next) {
		if (cached->binding.record == record) {
			*out = &cached->binding;
			return KIOKU_OK;
		}
	}

	if (!kernel->types)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "%s: its types are missing",
				 record->type);
	return record_bind_cached(kernel, kernel->types, record, out, error);
}

enum kioku_status record_bind_cached(struct kioku_kernel *kernel, const struct kioku_types *types,
				     const struct record *record, const struct binding **out,
				     struct kioku_error *error)
{
	kernel->was_read = true;
	AUTO_FREE struct record_cache *cached = malloc(sizeof(*cached));
	if (!cached)
		return error_no_memory(error);
	TRY(record_bind_types(types, record, &cached->binding, error));
	cached->next = kernel->records;
	kernel->records = cached;
	*out = &TAKE(cached)->binding;
	return KIOKU_OK;
}

void record_cache_release(struct kioku_kernel *kernel)
{
	while (kernel->records) {
		struct record_cache *next = kernel->records->next;
		free(kernel->records);
		kernel->records = next;
	}
}

const struct bound_member *binding_member(const struct binding *binding, size_t c_offset)
{
	static const struct bound_member none;

	for (size_t i = 0; i < binding->record->count; i++)
		if (binding->record->members[i].offset == c_offset)
			return &binding->members[i];
	return &none;
}

static void store(const struct bound_member *bound, const struct member *member,
		  const uint8_t *bytes, uint8_t *out)
{
	uint64_t value = 0;
	unsigned bits = bound->bit_size ? bound->bit_size : bound->size * 8;

	if (bound->is_array) {
		memcpy(out + member->offset, bytes, bound->size);
		return;
	}
	memcpy(&value, bytes, bound->size);
	value = le64toh(value) >> bound->bit_shift;
	if (bits < 64) {
		value &= (1ull << bits) - 1;
		if (bound->is_signed && value >> (bits - 1))
			value |= ~0ull << bits;
	}
	memcpy(out + member->offset, &value, member->size);
}

size_t record_spans(const struct binding *binding, uint64_t virtual, struct span *out, size_t limit)
{
	size_t count = 0;

	for (size_t i = 0; i < binding->present; i++) {
		const struct bound_member *member = &binding->members[binding->order[i]];
		uint64_t start = virtual + member->offset, end = start + member->size;
		struct span *last = count ? &out[count - 1] : NULL;
		if (last && end - last->start <= REQUEST_SIZE)
			last->size =
				end - last->start > last->size ? end - last->start : last->size;
		else if (count < limit)
			out[count++] = (struct span){ start, member->size };
	}
	return count;
}

enum kioku_status record_read(struct kioku_kernel *kernel, const struct binding *binding,
			      uint64_t virtual, void *out, struct kioku_error *error)
{
	const struct record *record = binding->record;

	kernel->was_read = true;
	memset(out, 0, record->size);
	for (size_t first = 0; first < binding->present;) {
		const struct bound_member *start = &binding->members[binding->order[first]];
		uint64_t end = start->offset + start->size;
		size_t next = first + 1;
		uint8_t cluster[CLUSTER_SIZE];

		if (start->size > sizeof(cluster))
			return error_set(error, KIOKU_ERROR_LIMIT, "%s: a member of %u bytes",
					 record->type, start->size);
		for (; next < binding->present; next++) {
			const struct bound_member *member = &binding->members[binding->order[next]];
			uint64_t member_end = member->offset + member->size;
			if (member->offset > end + GAP_LIMIT ||
			    member_end - start->offset > sizeof(cluster))
				break;
			end = member_end > end ? member_end : end;
		}
		enum kioku_status status = kernel_read(kernel, virtual + start->offset, cluster,
						       end - start->offset, error);
		if (status != KIOKU_OK) {
			error_prefix(error, "cannot read the %s at 0x%llx", record->type,
				     (unsigned long long)virtual);
			return status;
		}
		for (; first < next; first++) {
			size_t index = binding->order[first];
			store(&binding->members[index], &record->members[index],
			      cluster + (binding->members[index].offset - start->offset), out);
		}
	}
	return KIOKU_OK;
}

enum kioku_status record_read_at(struct kioku_kernel *kernel, const struct record *record,
				 uint64_t pointer, void *out)
{
	const struct binding *binding = NULL;

	TRY(record_bind(kernel, record, &binding, NULL));
	if (pointer % 8 || !kernel_is_pointer(kernel, pointer))
		return KIOKU_ERROR_CORRUPT;
	return record_read(kernel, binding, pointer, out, NULL);
}
