/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/transfer_format.h"

enum {
	FIELD_END,
	FIELD_RESERVED, /* u32 that is 0 */
	FIELD_VERSION,  /* u32; what follows is of another version if it is not ours */
	FIELD_FLAGS,    /* u32 with no bit outside the layout's */
	FIELD_U32,
	FIELD_U64,
	FIELD_BYTES, /* as many as the member has */
	FIELD_TEXT,
	FIELD_DATA, /* all that is left, and not nothing */
};

struct field {
	uint8_t kind;
	uint8_t size; /* of FIELD_BYTES */
	uint16_t offset;
};

/* A message's payload: the columns of the table in docs/transfer.md. */
struct layout {
	uint32_t flags, limit;
	struct field fields[12];
};

#define FIELD(kind, member)                                                            \
	{                                                                              \
		FIELD_##kind, (uint8_t)sizeof(((struct transfer_message *)0)->member), \
			(uint16_t)offsetof(struct transfer_message, member)            \
	}
/* clang-format off */
#define RESERVED { FIELD_RESERVED, 0, 0 }
/* clang-format on */
#define TEXT (2 + TRANSFER_TEXT_LIMIT)

static const struct layout ping = { 0 }, bye = { 0 };

static const struct layout hello = {
	.limit = TRANSFER_HELLO_LIMIT,
	.fields = { FIELD(VERSION, version), FIELD(FLAGS, flags), FIELD(BYTES, token),
		    FIELD(BYTES, session), FIELD(BYTES, secret), FIELD(U64, expected),
		    FIELD(TEXT, host), FIELD(TEXT, name), FIELD(TEXT, tool) },
};

static const struct layout resume = {
	.limit = TRANSFER_HELLO_LIMIT,
	.fields = { FIELD(VERSION, version), FIELD(FLAGS, flags), FIELD(BYTES, session),
		    FIELD(BYTES, secret) },
};

static const struct layout create = {
	.limit = 8 + TEXT,
	.fields = { FIELD(U32, file), FIELD(FLAGS, flags), FIELD(TEXT, name) },
};

static const struct layout write = {
	.limit = 16 + TRANSFER_DATA_LIMIT,
	.fields = { FIELD(U32, file), FIELD(FLAGS, flags), FIELD(U64, offset), FIELD(DATA, data) },
};

static const struct layout hole = {
	.limit = 24,
	.fields = { FIELD(U32, file), FIELD(FLAGS, flags), FIELD(U64, offset), FIELD(U64, size) },
};

static const struct layout close = {
	.flags = TRANSFER_COMPARE | TRANSFER_ANSWER,
	.limit = 48,
	.fields = { FIELD(U32, file), FIELD(FLAGS, flags), FIELD(U64, size), FIELD(BYTES, sha256) },
};

static const struct layout replace = {
	.limit = 2 * TEXT,
	.fields = { FIELD(TEXT, name), FIELD(TEXT, to) },
};

static const struct layout removal = {
	.limit = TEXT,
	.fields = { FIELD(TEXT, name) },
};

static const struct layout end = {
	.flags = TRANSFER_COMPLETE,
	.limit = 16,
	.fields = { FIELD(FLAGS, flags), RESERVED, FIELD(U64, lost) },
};

static const struct layout welcome = {
	.limit = 16 + TEXT,
	.fields = { FIELD(VERSION, version), FIELD(FLAGS, flags), FIELD(U64, position),
		    FIELD(TEXT, folder) },
};

static const struct layout ack = {
	.limit = 8,
	.fields = { FIELD(U64, position) },
};

static const struct layout digest = {
	.limit = 56,
	.fields = { FIELD(U32, file), RESERVED, FIELD(BYTES, md5), FIELD(BYTES, sha256) },
};

static const struct layout done = {
	.limit = TEXT,
	.fields = { FIELD(TEXT, folder) },
};

static const struct layout refused = {
	.limit = 8 + TEXT,
	.fields = { FIELD(U32, code), RESERVED, FIELD(TEXT, reason) },
};

static const struct layout *find_layout(uint32_t type)
{
	switch (type) {
	case TRANSFER_HELLO: return &hello;
	case TRANSFER_RESUME: return &resume;
	case TRANSFER_PING: return &ping;
	case TRANSFER_BYE: return &bye;
	case TRANSFER_CREATE: return &create;
	case TRANSFER_WRITE: return &write;
	case TRANSFER_HOLE: return &hole;
	case TRANSFER_CLOSE: return &close;
	case TRANSFER_REPLACE: return &replace;
	case TRANSFER_REMOVE: return &removal;
	case TRANSFER_END: return &end;
	case TRANSFER_WELCOME: return &welcome;
	case TRANSFER_ACK: return &ack;
	case TRANSFER_DIGEST: return &digest;
	case TRANSFER_DONE: return &done;
	case TRANSFER_REFUSED: return &refused;
	}
	return NULL;
}

enum kioku_status transfer_header_decode(const uint8_t header[TRANSFER_HEADER_SIZE],
					 enum transfer_type *type, uint32_t *size,
					 struct kioku_error *error)
{
	uint32_t found = load_le32(header);
	const struct layout *layout = find_layout(found);

	if (!layout)
		return error_set(error, KIOKU_ERROR_CORRUPT, "there is no message of type %u",
				 found);
	*type = (enum transfer_type)found;
	*size = load_le32(header + 4);
	if (*size > layout->limit)
		return error_set(error, KIOKU_ERROR_CORRUPT,
				 "a message of type %u claims %u bytes of at most %u", found, *size,
				 layout->limit);
	return KIOKU_OK;
}

/* The next bytes of a payload, or NULL. */
static const uint8_t *take(struct bytes *payload, size_t size)
{
	const uint8_t *data = payload->data;

	if (size > payload->size)
		return NULL;
	*payload = (struct bytes){ payload->data + size, payload->size - size };
	return data;
}

static bool take_u32(struct bytes *payload, uint32_t *out)
{
	const uint8_t *data = take(payload, 4);

	if (data)
		*out = load_le32(data);
	return data != NULL;
}

static bool take_text(struct bytes *payload, struct bytes *out)
{
	const uint8_t *length = take(payload, 2);
	size_t size = length ? load_le16(length) : SIZE_MAX;
	const uint8_t *data = size <= TRANSFER_TEXT_LIMIT ? take(payload, size) : NULL;

	if (!data || memchr(data, 0, size))
		return false;
	*out = (struct bytes){ data, size };
	return true;
}

static bool take_field(struct bytes *payload, const struct field *field, uint32_t flags, void *out)
{
	const uint8_t *data;
	uint32_t reserved;

	switch (field->kind) {
	case FIELD_RESERVED: return take_u32(payload, &reserved) && reserved == 0;
	case FIELD_FLAGS: return take_u32(payload, out) && !(*(uint32_t *)out & ~flags);
	case FIELD_VERSION:
	case FIELD_U32: return take_u32(payload, out);
	case FIELD_U64:
		data = take(payload, 8);
		if (data)
			*(uint64_t *)out = load_le64(data);
		return data != NULL;
	case FIELD_BYTES:
		data = take(payload, field->size);
		if (data)
			memcpy(out, data, field->size);
		return data != NULL;
	case FIELD_TEXT: return take_text(payload, out);
	default: /* FIELD_DATA */
		*(struct bytes *)out = *payload;
		return take(payload, payload->size) && ((struct bytes *)out)->size > 0;
	}
}

/* What a file cannot hold: its offsets are signed. */
static bool has_range(const struct transfer_message *message)
{
	uint64_t size = message->size + message->data.size;

	return size >= message->size && size <= INT64_MAX && message->offset <= INT64_MAX - size &&
	       (message->type != TRANSFER_HOLE || size > 0);
}

enum kioku_status transfer_decode(enum transfer_type type, struct bytes payload,
				  struct transfer_message *message, struct kioku_error *error)
{
	const struct layout *layout = find_layout(type);

	*message = (struct transfer_message){ .type = type };
	for (const struct field *field = layout->fields; field->kind; field++) {
		void *out = (uint8_t *)message + field->offset;
		if (!take_field(&payload, field, layout->flags, out))
			return error_set(error, KIOKU_ERROR_CORRUPT,
					 "a message of type %u has a bad payload", type);
		if (field->kind == FIELD_VERSION && message->version != TRANSFER_VERSION)
			return KIOKU_OK;
	}
	if (payload.size > 0 || !has_range(message))
		return error_set(error, KIOKU_ERROR_CORRUPT, "a message of type %u has %s", type,
				 payload.size > 0 ? "bytes left" : "an impossible range");
	return KIOKU_OK;
}

/* Appends a field and returns its size, which is limited; SIZE_MAX: it is too large. */
static size_t put_field(const struct field *field, const void *value, uint8_t *out)
{
	const struct bytes *bytes = value;

	switch (field->kind) {
	case FIELD_RESERVED: store_le32(out, 0); return 4;
	case FIELD_FLAGS:
	case FIELD_VERSION:
	case FIELD_U32: store_le32(out, *(const uint32_t *)value); return 4;
	case FIELD_U64: store_le64(out, *(const uint64_t *)value); return 8;
	case FIELD_BYTES: memcpy(out, value, field->size); return field->size;
	case FIELD_TEXT:
		if (bytes->size > TRANSFER_TEXT_LIMIT)
			return SIZE_MAX;
		store_le16(out, (uint16_t)bytes->size);
		if (bytes->size > 0)
			memcpy(out + 2, bytes->data, bytes->size);
		return 2 + bytes->size;
	default: return 0; /* FIELD_DATA: the caller lets it follow */
	}
}

size_t transfer_encode(const struct transfer_message *message, uint8_t *out)
{
	const struct layout *layout = find_layout(message->type);
	size_t size = TRANSFER_HEADER_SIZE;

	if (message->data.size > TRANSFER_DATA_LIMIT)
		return 0;
	for (const struct field *field = layout->fields; field->kind; field++) {
		const void *value = (const uint8_t *)message + field->offset;
		size_t added = put_field(field, value, out + size);
		if (added == SIZE_MAX)
			return 0;
		size += added;
	}
	store_le32(out, message->type);
	store_le32(out + 4, (uint32_t)(size - TRANSFER_HEADER_SIZE + message->data.size));
	return size;
}

bool transfer_is_stream(enum transfer_type type)
{
	return type >= TRANSFER_CREATE && type <= TRANSFER_END;
}

static bool is_word(uint8_t byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
	       (byte >= 'A' && byte <= 'Z');
}

bool transfer_name_is_valid(struct bytes name, const char *image)
{
	size_t length = image ? strlen(image) : 0;

	if (name.size < 1 || name.size > TRANSFER_NAME_LIMIT || !is_word(name.data[0]))
		return false;
	for (size_t i = 0; i < name.size; i++) {
		uint8_t byte = name.data[i];
		if (!is_word(byte) && byte != '.' && byte != '_' && byte != '-')
			return false;
	}
	return !image || (name.size >= length && memcmp(name.data, image, length) == 0 &&
			  (name.size == length || name.data[length] == '.'));
}
