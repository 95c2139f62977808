/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/btf_format.h"

/* The largest header that makes sense: every version so far only appended fields. */
#define HEADER_LIMIT 4096

/* Sizes of what follows the fixed part, once and for each of the `length` elements. */
static const struct {
	uint8_t once, each;
} sizes[BTF_KIND_KNOWN + 1] = {
	[KIOKU_TYPE_INT] = { 4, 0 },
	[KIOKU_TYPE_ARRAY] = { 12, 0 },
	[KIOKU_TYPE_STRUCT] = { 0, 12 },
	[KIOKU_TYPE_UNION] = { 0, 12 },
	[KIOKU_TYPE_ENUM] = { 0, 8 },
	[KIOKU_TYPE_FUNCTION_PROTOTYPE] = { 0, 8 },
	[KIOKU_TYPE_VARIABLE] = { 4, 0 },
	[KIOKU_TYPE_DATA_SECTION] = { 0, 12 },
	[KIOKU_TYPE_DECLARATION_TAG] = { 4, 0 },
	[KIOKU_TYPE_ENUM64] = { 0, 12 },
};

struct header {
	uint32_t size;
	uint32_t types, types_size, strings, strings_size, layout, layout_size;
};

static bool parse_header(struct bytes data, struct header *out)
{
	struct header header = { 0 };

	/* Flags (the byte after the version) have no meaning yet. */
	if (!bytes_match(data, 0, BTF_MAGIC) || data.size < BTF_HEADER_SIZE)
		return false;
	header.size = load_le32(data.data + 4);
	header.types = load_le32(data.data + 8);
	header.types_size = load_le32(data.data + 12);
	header.strings = load_le32(data.data + 16);
	header.strings_size = load_le32(data.data + 20);
	if (header.size < BTF_HEADER_SIZE || header.size > HEADER_LIMIT || header.types % 4 ||
	    header.types_size == 0 || header.strings_size == 0)
		return false;
	if (header.size >= 32 && data.size >= 32) {
		header.layout = load_le32(data.data + 24);
		header.layout_size = load_le32(data.data + 28);
	}
	*out = header;
	return true;
}

/* The end of a header's farthest section. */
static uint64_t claimed_end(const struct header *header)
{
	const uint64_t ends[] = { (uint64_t)header->types + header->types_size,
				  (uint64_t)header->strings + header->strings_size,
				  (uint64_t)header->layout + header->layout_size };
	uint64_t end = 0;

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (ends[i] > end)
			end = ends[i];
	return header->size + end;
}

uint64_t btf_claimed_size(struct bytes data)
{
	struct header header;

	return parse_header(data, &header) ? claimed_end(&header) : 0;
}

bool btf_parse_split(struct bytes data, struct btf_sections *out)
{
	struct btf_sections sections = { 0 };
	struct header header;
	struct bytes body;

	/* Offsets count from the end of the header. */
	if (!parse_header(data, &header) ||
	    !bytes_slice(data, header.size, data.size - (data.size < header.size ? 0 : header.size),
			 &body) ||
	    !bytes_slice(body, header.types, header.types_size, &sections.types) ||
	    !bytes_slice(body, header.strings, header.strings_size, &sections.strings))
		return false;
	/* Useful if there, no loss if not. */
	if (!bytes_slice(body, header.layout, header.layout_size, &sections.layout))
		sections.layout.size = 0;
	if (sections.strings.data[sections.strings.size - 1] != 0)
		return false;
	sections.size = claimed_end(&header);
	*out = sections;
	return true;
}

bool btf_parse(struct bytes data, struct btf_sections *out)
{
	struct btf_sections sections;

	if (!btf_parse_split(data, &sections) || sections.strings.data[0] != 0)
		return false;
	*out = sections;
	return true;
}

/*
 * Kind and length had 5 and 16 bits, with unused ones (0) beside them, until the layout section
 * came: since then they have 7 and 24 bits (include/uapi/linux/btf.h).
 */
enum btf_status btf_record_at(const struct btf_sections *sections, uint64_t *offset,
			      struct btf_record *out)
{
	struct bytes fixed;

	if (*offset == sections->types.size)
		return BTF_END;
	if (!bytes_slice(sections->types, *offset, BTF_RECORD_SIZE, &fixed))
		return BTF_CUT_OFF;
	uint32_t info = load_le32(fixed.data + 4);
	uint32_t last = load_le32(fixed.data + 8);
	*out = (struct btf_record){ .kind = info >> 24 & 0x7f,
				    .flag = info >> 31,
				    .name = load_le32(fixed.data),
				    .length = info & 0xffffff,
				    .size = last,
				    .type = last };

	uint64_t more;
	uint8_t once, each;
	if (out->kind >= 1 && out->kind <= BTF_KIND_KNOWN)
		more = sizes[out->kind].once + (uint64_t)sizes[out->kind].each * out->length;
	else if (out->kind != 0 && bytes_u8(sections->layout, 4 * (uint64_t)out->kind, &once) &&
		 bytes_u8(sections->layout, 4 * (uint64_t)out->kind + 1, &each))
		more = once + (uint64_t)each * out->length;
	else
		return BTF_UNKNOWN_KIND;
	if (!bytes_slice(sections->types, *offset + BTF_RECORD_SIZE, more, &out->more))
		return BTF_CUT_OFF;
	*offset += BTF_RECORD_SIZE + more;
	return BTF_OK;
}

const char *btf_string(const struct btf_sections *sections, uint32_t offset)
{
	/* The strings end in a NUL, so that every offset inside is a string. */
	return offset < sections->strings.size ? (const char *)sections->strings.data + offset : "";
}

struct btf_member btf_member(const struct btf_record *record, uint32_t index)
{
	const uint8_t *raw = record->more.data + 12 * (size_t)index;
	uint32_t offset = load_le32(raw + 8);

	return (struct btf_member){
		.name = load_le32(raw),
		.type = load_le32(raw + 4),
		.bit_offset = record->flag ? offset & 0xffffff : offset,
		.bit_size = record->flag ? offset >> 24 : 0,
	};
}

struct btf_int btf_int(const struct btf_record *record)
{
	uint32_t raw = load_le32(record->more.data);

	return (struct btf_int){ raw >> 24 & 0xf, raw >> 16 & 0xff, raw & 0xff };
}

struct btf_array btf_array(const struct btf_record *record)
{
	/* In between is the type of its index, which C does not have. */
	return (struct btf_array){ load_le32(record->more.data), load_le32(record->more.data + 8) };
}

struct btf_parameter btf_parameter(const struct btf_record *record, uint32_t index)
{
	const uint8_t *raw = record->more.data + 8 * (size_t)index;

	return (struct btf_parameter){ load_le32(raw), load_le32(raw + 4) };
}

struct btf_variable btf_variable(const struct btf_record *record, uint32_t index)
{
	const uint8_t *raw = record->more.data + 12 * (size_t)index;

	return (struct btf_variable){ load_le32(raw), load_le32(raw + 4) };
}

struct btf_value btf_value(const struct btf_record *record, uint32_t index)
{
	if (record->kind == KIOKU_TYPE_ENUM64) {
		const uint8_t *raw = record->more.data + 12 * (size_t)index;
		return (struct btf_value){ load_le32(raw), load_le64(raw + 4) };
	}
	const uint8_t *raw = record->more.data + 8 * (size_t)index;
	uint32_t value = load_le32(raw + 4);
	/* The flag says "signed" since v6.0; before it, values were always shown so. */
	return (struct btf_value){ load_le32(raw), (uint64_t)(int64_t)(int32_t)value };
}

void btf_header_encode(uint32_t types_size, uint32_t strings_size, uint8_t out[BTF_HEADER_SIZE])
{
	memset(out, 0, BTF_HEADER_SIZE);
	memcpy(out, BTF_MAGIC, sizeof(BTF_MAGIC) - 1);
	store_le32(out + 4, BTF_HEADER_SIZE);
	store_le32(out + 12, types_size);
	store_le32(out + 16, types_size);
	store_le32(out + 20, strings_size);
}

void btf_record_encode(const struct btf_record *record, uint8_t out[BTF_RECORD_SIZE])
{
	bool sized = record->kind == KIOKU_TYPE_INT || record->kind == KIOKU_TYPE_STRUCT ||
		     record->kind == KIOKU_TYPE_UNION || record->kind == KIOKU_TYPE_ENUM ||
		     record->kind == KIOKU_TYPE_ENUM64 || record->kind == KIOKU_TYPE_FLOAT ||
		     record->kind == KIOKU_TYPE_DATA_SECTION;

	store_le32(out, record->name);
	store_le32(out + 4, (uint32_t)record->flag << 31 | record->kind << 24 | record->length);
	store_le32(out + 8, sized ? record->size : record->type);
}

void btf_member_encode(const struct btf_member *member, bool flag, uint8_t out[BTF_MEMBER_SIZE])
{
	store_le32(out, member->name);
	store_le32(out + 4, member->type);
	store_le32(out + 8,
		   flag ? member->bit_size << 24 | member->bit_offset : member->bit_offset);
}

void btf_int_encode(const struct btf_int *from, uint8_t out[BTF_INT_SIZE])
{
	store_le32(out, from->encoding << 24 | from->bit_offset << 16 | from->bits);
}

void btf_array_encode(const struct btf_array *array, uint32_t index, uint8_t out[BTF_ARRAY_SIZE])
{
	store_le32(out, array->type);
	store_le32(out + 4, index);
	store_le32(out + 8, array->count);
}

void btf_parameter_encode(const struct btf_parameter *parameter, uint8_t out[BTF_PARAMETER_SIZE])
{
	store_le32(out, parameter->name);
	store_le32(out + 4, parameter->type);
}

void btf_enum_encode(const struct btf_value *value, uint8_t out[BTF_ENUM_SIZE])
{
	store_le32(out, value->name);
	store_le32(out + 4, (uint32_t)value->value);
}

void btf_enum64_encode(const struct btf_value *value, uint8_t out[BTF_ENUM64_SIZE])
{
	store_le32(out, value->name);
	store_le64(out + 4, value->value);
}
