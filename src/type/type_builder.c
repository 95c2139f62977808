/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "base/growing.h"
#include "base/key_table.h"
#include "type/type_builder.h"

#define SIZE_LIMIT   (1u << 30) /* of all records, and of all strings: BTF counts in 32 bits */
#define LENGTH_LIMIT ((1u << 24) - 1)
#define ARRAY_INDEX  "__ARRAY_SIZE_TYPE__" /* pahole's name for what C does not have */

/* Where a record is among those that were made; size 0: reserved, and not made so far. */
struct place {
	uint32_t start, size;
};

struct type_builder {
	enum kioku_status status;
	uint8_t *records; /* in the order in which they were made */
	size_t records_size, records_capacity;
	char *strings;
	size_t strings_size, strings_capacity;
	struct place *places; /* of type 1, 2 ... */
	size_t count, places_capacity;
	struct key_table known_strings; /* by their offset */
	struct key_table known_types;   /* by their number: those without parts */
	uint32_t defined;               /* the number that the next type gets; 0: a new one */
	uint32_t array_index;           /* what arrays say they are indexed by; 0: none so far */
	/* The last type, as long as parts may follow; 0: none may. */
	uint32_t open;
	struct btf_record record; /* of it */
	bool is_wide;             /* an enumeration, with a value that takes 64 bits */
};

static struct bytes string_of(const void *user, uint32_t offset)
{
	const struct type_builder *builder = user;

	return bytes_of_text(builder->strings + offset);
}

static struct bytes record_of(const void *user, uint32_t id)
{
	const struct type_builder *builder = user;
	const struct place *place = &builder->places[id - 1];

	return (struct bytes){ builder->records + place->start, place->size };
}

struct type_builder *type_builder_new(void)
{
	struct type_builder *builder = calloc(1, sizeof(*builder));

	if (!builder)
		return NULL;
	builder->strings = calloc(1, 64);
	builder->strings_capacity = 64;
	builder->strings_size = 1; /* the empty one */
	if (builder->strings && key_table_begin(&builder->known_strings, 0, string_of, builder) &&
	    key_table_begin(&builder->known_types, 0, record_of, builder))
		return builder;
	type_builder_close(builder);
	return NULL;
}

void type_builder_close(struct type_builder *builder)
{
	if (!builder)
		return;
	free(builder->records);
	free(builder->strings);
	free(builder->places);
	key_table_release(&builder->known_strings);
	key_table_release(&builder->known_types);
	free(builder);
}

static void fail(struct type_builder *builder, enum kioku_status status)
{
	if (builder->status == KIOKU_OK)
		builder->status = status;
}

/* Room for more bytes at the end of an array; false, and said: there is none. */
static bool make_room(struct type_builder *builder, void *array, size_t used, size_t *capacity,
		      size_t more)
{
	void *old, *grown;
	size_t wanted = *capacity ? *capacity : 4096;

	if (used + more > SIZE_LIMIT) {
		fail(builder, KIOKU_ERROR_LIMIT);
		return false;
	}
	if (used + more <= *capacity)
		return true;
	while (wanted < used + more)
		wanted *= 2;
	memcpy(&old, array, sizeof(old));
	grown = realloc(old, wanted);
	if (!grown) {
		fail(builder, KIOKU_ERROR_NO_MEMORY);
		return false;
	}
	memcpy(array, &grown, sizeof(grown));
	*capacity = wanted;
	return true;
}

/* The offset of a string, which is added if it is new. */
static uint32_t intern_string(struct type_builder *builder, const char *text)
{
	size_t size = text ? strlen(text) : 0;

	if (size == 0 || builder->status != KIOKU_OK)
		return 0;
	uint32_t *known = key_table_at(&builder->known_strings, bytes_of_text(text));
	if (!known)
		fail(builder, KIOKU_ERROR_NO_MEMORY);
	if (known && *known)
		return *known - 1;
	if (!known || !make_room(builder, &builder->strings, builder->strings_size,
				 &builder->strings_capacity, size + 1))
		return 0;
	uint32_t at = (uint32_t)builder->strings_size;
	memcpy(builder->strings + at, text, size + 1);
	builder->strings_size += size + 1;
	*known = at + 1;
	return at;
}

/* --- records */

static void append(struct type_builder *builder, const void *data, size_t size)
{
	if (!make_room(builder, &builder->records, builder->records_size,
		       &builder->records_capacity, size))
		return;
	memcpy(builder->records + builder->records_size, data, size);
	builder->records_size += size;
}

/* Values are kept in 64 bits until it is known that all of them take 32. */
static void narrow_values(struct type_builder *builder, uint32_t start)
{
	const uint8_t *from = builder->records + start + BTF_RECORD_SIZE;
	uint8_t *to = builder->records + start + BTF_RECORD_SIZE;

	for (uint32_t i = 0; i < builder->record.length; i++) {
		struct btf_value value = { load_le32(from), load_le64(from + 4) };
		from += BTF_ENUM64_SIZE;
		btf_enum_encode(&value, to);
		to += BTF_ENUM_SIZE;
	}
	builder->records_size = (size_t)(to - builder->records);
}

/* Members are kept as they are without bit fields, their sizes beside them, until the last one is known. */
#define RAW_MEMBER_SIZE 16

static void pack_members(struct type_builder *builder, uint32_t start)
{
	const uint8_t *from = builder->records + start + BTF_RECORD_SIZE;
	uint8_t *to = builder->records + start + BTF_RECORD_SIZE;

	for (uint32_t i = 0; i < builder->record.length; i++, from += RAW_MEMBER_SIZE) {
		struct btf_member member = { load_le32(from), load_le32(from + 4),
					     load_le32(from + 8), load_le32(from + 12) };
		if (!type_builder_holds(member.bit_offset, member.bit_size, builder->record.flag))
			fail(builder, KIOKU_ERROR_LIMIT);
		btf_member_encode(&member, builder->record.flag, to);
		to += BTF_MEMBER_SIZE;
	}
	builder->records_size = (size_t)(to - builder->records);
}

/* No more parts follow: the record gets its final form. */
static void close_type(struct type_builder *builder)
{
	if (builder->open && builder->status == KIOKU_OK) {
		struct place *place = &builder->places[builder->open - 1];
		bool is_enum = builder->record.kind == KIOKU_TYPE_ENUM;
		if (is_enum && builder->is_wide)
			builder->record.kind = KIOKU_TYPE_ENUM64;
		else if (is_enum)
			narrow_values(builder, place->start);
		else if (builder->record.kind != KIOKU_TYPE_FUNCTION_PROTOTYPE)
			pack_members(builder, place->start);
		btf_record_encode(&builder->record, builder->records + place->start);
		place->size = (uint32_t)builder->records_size - place->start;
	}
	builder->open = 0;
}

static uint32_t new_number(struct type_builder *builder)
{
	uint32_t id = builder->defined;

	builder->defined = 0;
	if (id)
		return id;
	if (builder->count == SIZE_LIMIT ||
	    !GROW(builder->places, builder->count, builder->places_capacity)) {
		fail(builder, KIOKU_ERROR_NO_MEMORY);
		return 0;
	}
	builder->places[builder->count] = (struct place){ 0 };
	return (uint32_t)++builder->count;
}

uint32_t type_builder_reserve(struct type_builder *builder)
{
	uint32_t kept = builder->defined;

	if (builder->status != KIOKU_OK)
		return 0;
	builder->defined = 0;
	uint32_t id = new_number(builder);
	builder->defined = kept;
	return id;
}

void type_builder_define(struct type_builder *builder, uint32_t id)
{
	if (builder->status != KIOKU_OK)
		return;
	if (id == 0 || id > builder->count || builder->places[id - 1].size || id == builder->open)
		fail(builder, KIOKU_ERROR_ARGUMENT);
	else
		builder->defined = id;
}

/* Starts a type with what follows its fixed part, as far as it is known. */
static uint32_t begin(struct type_builder *builder, struct btf_record record, const char *name,
		      const void *more, size_t more_size)
{
	uint8_t fixed[BTF_RECORD_SIZE];

	close_type(builder);
	record.name = intern_string(builder, name);
	if (builder->status != KIOKU_OK)
		return 0;
	uint32_t start = (uint32_t)builder->records_size;
	btf_record_encode(&record, fixed);
	append(builder, fixed, sizeof(fixed));
	if (more_size)
		append(builder, more, more_size);
	uint32_t id = builder->status == KIOKU_OK ? new_number(builder) : 0;
	if (id)
		builder->places[id - 1] =
			(struct place){ start, (uint32_t)builder->records_size - start };
	builder->record = record;
	return id;
}

/* A type without parts; the same as one before, if there was one. */
static uint32_t simple(struct type_builder *builder, struct btf_record record, const char *name,
		       const void *more, size_t more_size)
{
	bool anew = builder->defined != 0;
	uint32_t id = begin(builder, record, name, more, more_size);

	if (!id || anew)
		return id;
	uint32_t *known = key_table_at(&builder->known_types, record_of(builder, id));
	if (known && *known) {
		builder->records_size = builder->places[id - 1].start;
		builder->count--;
		return *known - 1;
	}
	if (known)
		*known = id + 1;
	else
		fail(builder, KIOKU_ERROR_NO_MEMORY);
	return id;
}

static uint32_t with_parts(struct type_builder *builder, struct btf_record record, const char *name)
{
	close_type(builder); /* which asks whether the last one is wide */
	builder->is_wide = record.size > 4;
	builder->open = begin(builder, record, name, NULL, 0);
	return builder->open;
}

/* Whether a part of such a kind may follow now; counts it. */
static bool next_part(struct type_builder *builder, bool fits)
{
	if (builder->status != KIOKU_OK)
		return false;
	if (!builder->open || !fits)
		fail(builder, KIOKU_ERROR_ARGUMENT);
	else if (builder->record.length == LENGTH_LIMIT)
		fail(builder, KIOKU_ERROR_LIMIT);
	else
		builder->record.length++;
	return builder->status == KIOKU_OK;
}

/* --- types */

uint32_t type_builder_int(struct type_builder *builder, const char *name, uint32_t size,
			  unsigned encoding)
{
	struct btf_int more = { .encoding = encoding & 0xf, .bits = size * 8 & 0xff };
	uint8_t raw[BTF_INT_SIZE];

	if (size == 0 || size > 16) /* __int128 */
		fail(builder, KIOKU_ERROR_LIMIT);
	btf_int_encode(&more, raw);
	return simple(builder, (struct btf_record){ .kind = KIOKU_TYPE_INT, .size = size }, name,
		      raw, sizeof(raw));
}

uint32_t type_builder_float(struct type_builder *builder, const char *name, uint32_t size)
{
	return simple(builder, (struct btf_record){ .kind = KIOKU_TYPE_FLOAT, .size = size }, name,
		      NULL, 0);
}

uint32_t type_builder_pointer(struct type_builder *builder, uint32_t target)
{
	return simple(builder, (struct btf_record){ .kind = KIOKU_TYPE_POINTER, .type = target },
		      NULL, NULL, 0);
}

uint32_t type_builder_array(struct type_builder *builder, uint32_t element, uint32_t count)
{
	struct btf_array array = { element, count };
	uint8_t raw[BTF_ARRAY_SIZE];
	uint32_t defined = builder->defined;

	if (!builder->array_index) {
		builder->defined = 0;
		builder->array_index = type_builder_int(builder, ARRAY_INDEX, 4, 0);
		builder->defined = defined;
	}
	btf_array_encode(&array, builder->array_index, raw);
	return simple(builder, (struct btf_record){ .kind = KIOKU_TYPE_ARRAY }, NULL, raw,
		      sizeof(raw));
}

uint32_t type_builder_forward(struct type_builder *builder, const char *name, bool is_union)
{
	return simple(builder, (struct btf_record){ .kind = KIOKU_TYPE_FORWARD, .flag = is_union },
		      name, NULL, 0);
}

uint32_t type_builder_typedef(struct type_builder *builder, const char *name, uint32_t target)
{
	return simple(builder, (struct btf_record){ .kind = KIOKU_TYPE_TYPEDEF, .type = target },
		      name, NULL, 0);
}

uint32_t type_builder_qualifier(struct type_builder *builder, enum kioku_type_kind kind,
				uint32_t target)
{
	return simple(builder, (struct btf_record){ .kind = kind, .type = target }, NULL, NULL, 0);
}

uint32_t type_builder_function_prototype(struct type_builder *builder, uint32_t result)
{
	struct btf_record record = { .kind = KIOKU_TYPE_FUNCTION_PROTOTYPE, .type = result };

	return with_parts(builder, record, NULL);
}

void type_builder_parameter(struct type_builder *builder, const char *name, uint32_t type)
{
	struct btf_parameter parameter = { intern_string(builder, name), type };
	uint8_t raw[BTF_PARAMETER_SIZE];

	if (!next_part(builder, builder->record.kind == KIOKU_TYPE_FUNCTION_PROTOTYPE))
		return;
	btf_parameter_encode(&parameter, raw);
	append(builder, raw, sizeof(raw));
}

uint32_t type_builder_struct(struct type_builder *builder, enum kioku_type_kind kind,
			     const char *name, uint32_t size)
{
	return with_parts(builder, (struct btf_record){ .kind = kind, .size = size }, name);
}

bool type_builder_holds(uint64_t bit_offset, uint32_t bit_size, bool has_bit_fields)
{
	return bit_size < 1u << 8 && bit_offset <= (has_bit_fields ? (1u << 24) - 1 : UINT32_MAX);
}

void type_builder_member(struct type_builder *builder, const char *name, uint32_t type,
			 uint64_t bit_offset, uint32_t bit_size)
{
	uint32_t name_at = intern_string(builder, name);
	uint8_t raw[RAW_MEMBER_SIZE];

	if (!next_part(builder, builder->record.kind == KIOKU_TYPE_STRUCT ||
					builder->record.kind == KIOKU_TYPE_UNION))
		return;
	if (!type_builder_holds(bit_offset, bit_size, false)) {
		fail(builder, KIOKU_ERROR_LIMIT);
		return;
	}
	builder->record.flag |= bit_size != 0;
	store_le32(raw, name_at);
	store_le32(raw + 4, type);
	store_le32(raw + 8, (uint32_t)bit_offset);
	store_le32(raw + 12, bit_size);
	append(builder, raw, sizeof(raw));
}

uint32_t type_builder_enum(struct type_builder *builder, const char *name, uint32_t size,
			   bool is_signed)
{
	struct btf_record record = { .kind = KIOKU_TYPE_ENUM, .flag = is_signed, .size = size };

	return with_parts(builder, record, name);
}

void type_builder_constant(struct type_builder *builder, const char *name, uint64_t value)
{
	struct btf_value constant = { intern_string(builder, name), value };
	uint8_t raw[BTF_ENUM64_SIZE];

	if (!next_part(builder, builder->record.kind == KIOKU_TYPE_ENUM))
		return;
	builder->is_wide |=
		builder->record.flag ? (int64_t)value != (int32_t)value : value > UINT32_MAX;
	btf_enum64_encode(&constant, raw);
	append(builder, raw, sizeof(raw));
}

/* --- the end */

/* Reserved, and never made: "const void". */
static const struct btf_record nothing = { .kind = KIOKU_TYPE_CONST };

static uint64_t size_in_all(const struct type_builder *builder)
{
	uint64_t size = 0;

	for (size_t i = 0; i < builder->count; i++)
		size += builder->places[i].size ? builder->places[i].size : BTF_RECORD_SIZE;
	return size;
}

enum kioku_status type_builder_finish(struct type_builder *builder, struct kioku_types **out,
				      struct kioku_error *error)
{
	close_type(builder);
	uint64_t types_size = size_in_all(builder);
	if (builder->status == KIOKU_OK && types_size > SIZE_LIMIT)
		builder->status = KIOKU_ERROR_LIMIT;
	if (builder->status != KIOKU_OK)
		return error_set(error, builder->status, "cannot make types: %s",
				 kioku_status_name(builder->status));
	if (builder->count == 0)
		return error_set(error, KIOKU_ERROR_CORRUPT, "there is no type");

	size_t size = BTF_HEADER_SIZE + types_size + builder->strings_size;
	AUTO_FREE uint8_t *data = malloc(size);
	if (!data)
		return error_no_memory(error);
	btf_header_encode((uint32_t)types_size, (uint32_t)builder->strings_size, data);
	uint8_t *at = data + BTF_HEADER_SIZE;
	for (size_t i = 0; i < builder->count; i++) {
		struct place place = builder->places[i];
		if (place.size)
			memcpy(at, builder->records + place.start, place.size);
		else
			btf_record_encode(&nothing, at);
		at += place.size ? place.size : BTF_RECORD_SIZE;
	}
	memcpy(at, builder->strings, builder->strings_size);
	/* What it was made of is as large again. */
	free(TAKE(builder->records));
	builder->records_size = builder->records_capacity = 0;
	builder->status = KIOKU_ERROR_ARGUMENT;
	return types_from_btf(TAKE(data), size, out, error);
}
