/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/isf_format.h"
#include "format/json_cursor.h"

struct reader {
	struct json_cursor json;
	const struct isf_handler *handler;
	void *user;
	bool stopped;
};

static bool stop_unless(struct reader *reader, bool goes_on)
{
	reader->stopped |= !goes_on;
	return goes_on || cursor_fail(&reader->json, "stopped");
}

static enum isf_kind kind_of(struct bytes name)
{
	static const struct {
		const char *name;
		enum isf_kind kind;
	} kinds[] = {
		{ "base", ISF_BASE },   { "struct", ISF_STRUCT },     { "class", ISF_STRUCT },
		{ "union", ISF_UNION }, { "enum", ISF_ENUM },         { "pointer", ISF_POINTER },
		{ "array", ISF_ARRAY }, { "function", ISF_FUNCTION }, { "bitfield", ISF_BIT_FIELD },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (name.size == strlen(kinds[i].name) &&
		    memcmp(name.data, kinds[i].name, name.size) == 0)
			return kinds[i].kind;
	return ISF_UNKNOWN;
}

static bool take_kind(struct json_cursor *json, enum isf_kind *out)
{
	struct bytes name;

	if (!cursor_take_string(json, &name))
		return false;
	*out = kind_of(name);
	return true;
}

/* A type and, in it, what it is made of: { "kind": "array", "count": 2, "subtype": { ... } }. */
static bool take_type(struct json_cursor *json, struct isf_type *out)
{
	struct bytes key;

	if (out->count == ISF_CHAIN_LIMIT)
		return cursor_fail(json, "a type is nested too deeply");
	struct isf_step *step = &out->steps[out->count++];
	*step = (struct isf_step){ 0 };
	if (!cursor_enter(json, '{'))
		return false;
	while (cursor_next_key(json, &key)) {
		if (json_is(key, "kind"))
			take_kind(json, &step->kind);
		else if (json_is(key, "name"))
			cursor_take_string(json, &step->name);
		else if (json_is(key, "count"))
			cursor_take_natural(json, &step->count);
		else if (json_is(key, "bit_position"))
			cursor_take_natural(json, &step->bit_position);
		else if (json_is(key, "bit_length"))
			cursor_take_natural(json, &step->bit_length);
		else if ((json_is(key, "subtype") || json_is(key, "type")) &&
			 step == &out->steps[out->count - 1])
			take_type(json, out);
		else
			cursor_skip(json);
	}
	return !json->problem;
}

static bool take_base(struct reader *reader, struct bytes name)
{
	struct json_cursor *json = &reader->json;
	struct isf_base base = { .name = name };
	struct bytes key, endian;

	if (!cursor_enter(json, '{'))
		return false;
	while (cursor_next_key(json, &key)) {
		if (json_is(key, "size"))
			cursor_take_natural(json, &base.size);
		else if (json_is(key, "signed"))
			cursor_take_flag(json, &base.is_signed);
		else if (json_is(key, "kind"))
			cursor_take_string(json, &base.kind);
		else if (json_is(key, "endian") && cursor_take_string(json, &endian))
			base.is_big_endian = json_is(endian, "big");
		else
			cursor_skip(json);
	}
	return !json->problem && stop_unless(reader, reader->handler->base(reader->user, &base));
}

static bool take_field(struct reader *reader, struct bytes name)
{
	struct json_cursor *json = &reader->json;
	struct isf_field field = { .name = name };
	struct bytes key;

	if (!cursor_enter(json, '{'))
		return false;
	while (cursor_next_key(json, &key)) {
		if (json_is(key, "offset")) {
			cursor_take_natural(json, &field.offset);
		} else if (json_is(key, "anonymous")) {
			cursor_take_flag(json, &field.is_anonymous);
		} else if (json_is(key, "type")) {
			field.type.count = 0;
			take_type(json, &field.type);
		} else {
			cursor_skip(json);
		}
	}
	return !json->problem && stop_unless(reader, reader->handler->field(reader->user, &field));
}

static bool take_user_type(struct reader *reader, struct bytes name)
{
	struct json_cursor *json = &reader->json;
	enum isf_kind kind = ISF_UNKNOWN;
	uint64_t size = 0;
	struct bytes key, field;
	bool has_fields = false;

	if (!cursor_enter(json, '{'))
		return false;
	while (cursor_next_key(json, &key)) {
		if (json_is(key, "kind")) {
			take_kind(json, &kind);
		} else if (json_is(key, "size")) {
			cursor_take_natural(json, &size);
		} else if (json_is(key, "fields") && !has_fields) {
			has_fields = true;
			if (cursor_enter(json, '{'))
				while (cursor_next_key(json, &field))
					take_field(reader, field);
		} else {
			cursor_skip(json);
		}
	}
	return !json->problem &&
	       stop_unless(reader, reader->handler->user_type(reader->user, name, kind, size));
}

static bool take_constants(struct reader *reader)
{
	struct json_cursor *json = &reader->json;
	struct bytes name;
	bool is_negative;
	uint64_t value;

	if (!cursor_enter(json, '{'))
		return false;
	while (cursor_next_key(json, &name))
		if (cursor_take_integer(json, &value, &is_negative))
			stop_unless(reader, reader->handler->constant(reader->user, name, value,
								      is_negative));
	return !json->problem;
}

static bool take_enum(struct reader *reader, struct bytes name)
{
	struct json_cursor *json = &reader->json;
	bool has_constants = false;
	uint64_t size = 0;
	struct bytes key;

	if (!cursor_enter(json, '{'))
		return false;
	while (cursor_next_key(json, &key)) {
		if (json_is(key, "size")) {
			cursor_take_natural(json, &size);
		} else if (json_is(key, "constants") && !has_constants) {
			has_constants = true;
			take_constants(reader);
		} else {
			cursor_skip(json);
		}
	}
	return !json->problem &&
	       stop_unless(reader, reader->handler->enumeration(reader->user, name, size));
}

static bool take_symbol(struct reader *reader, struct bytes name)
{
	struct json_cursor *json = &reader->json;
	struct isf_symbol symbol = { .name = name };
	struct bytes key;

	if (!cursor_enter(json, '{'))
		return false;
	while (cursor_next_key(json, &key)) {
		if (json_is(key, "address")) {
			cursor_take_natural(json, &symbol.address);
		} else if (json_is(key, "constant_data") && cursor_peek(json) == '"') {
			cursor_take_string(json, &symbol.constant_data);
		} else if (json_is(key, "type") && cursor_peek(json) == '{') {
			symbol.type.count = 0;
			symbol.has_type = take_type(json, &symbol.type);
		} else {
			cursor_skip(json);
		}
	}
	return !json->problem &&
	       stop_unless(reader, reader->handler->symbol(reader->user, &symbol));
}

static void take_dictionary(struct reader *reader,
			    bool (*take)(struct reader *reader, struct bytes name))
{
	struct bytes name;

	if (cursor_enter(&reader->json, '{'))
		while (cursor_next_key(&reader->json, &name))
			take(reader, name);
}

enum isf_status isf_read(struct bytes text, const struct isf_handler *handler, void *user,
			 struct isf_problem *problem)
{
	struct reader reader = { .json = { .text = text }, .handler = handler, .user = user };
	struct json_cursor *json = &reader.json;
	bool has_bases = false, has_types = false;
	struct bytes key;

	*problem = (struct isf_problem){ 0 };
	if (cursor_peek(json) != '{')
		return ISF_NO_ISF;
	cursor_enter(json, '{');
	while (cursor_next_key(json, &key)) {
		if (json_is(key, "base_types")) {
			has_bases = true;
			take_dictionary(&reader, take_base);
		} else if (json_is(key, "user_types")) {
			has_types = true;
			take_dictionary(&reader, take_user_type);
		} else if (json_is(key, "enums")) {
			take_dictionary(&reader, take_enum);
		} else if (json_is(key, "symbols")) {
			take_dictionary(&reader, take_symbol);
		} else {
			cursor_skip(json);
		}
	}
	if (reader.stopped)
		return ISF_STOPPED;
	if (!json->problem && !cursor_at_end(json))
		cursor_fail(json, "something follows the end");
	*problem = (struct isf_problem){ json->problem, json->at };
	if (!has_bases && !has_types)
		return ISF_NO_ISF;
	return json->problem ? ISF_CORRUPT : ISF_OK;
}

size_t isf_decode_data(struct bytes base64, uint8_t *out, size_t room)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	unsigned count = 0;
	size_t used = 0;

	for (size_t i = 0; i < base64.size; i++) {
		char c = (char)base64.data[i];
		if (c == '\\') /* as JSON may write a slash */
			continue;
		const char *at = c ? strchr(alphabet, c) : NULL;
		if (!at)
			break;
		bits = (bits << 6 | (uint32_t)(at - alphabet)) & 0xfffff;
		count += 6;
		if (count < 8)
			continue;
		count -= 8;
		if (used == room)
			break;
		out[used++] = (uint8_t)(bits >> count);
	}
	return used;
}
