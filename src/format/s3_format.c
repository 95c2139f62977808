/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/s3_format.h"

#include <stdlib.h>

#define DEPTH 32 /* of elements */

struct scanner {
	struct bytes text;
	size_t offset;
	unsigned depth; /* elements that are open */
};

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.' || c == ':';
}

static bool equals(struct bytes bytes, const char *text)
{
	return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

/* Moves behind the next such text. */
static bool skip_past(struct scanner *scanner, const char *end)
{
	struct bytes left = { scanner->text.data + scanner->offset,
			      scanner->text.size - scanner->offset };
	const uint8_t *found = left.size ? memmem(left.data, left.size, end, strlen(end)) : NULL;

	if (!found)
		return false;
	scanner->offset += (size_t)(found - left.data) + strlen(end);
	return true;
}

/* Behind "<" or "</": a name. */
static bool take_name(struct scanner *scanner, struct bytes *name)
{
	size_t start = scanner->offset;

	while (scanner->offset < scanner->text.size && is_name(scanner->text.data[scanner->offset]))
		scanner->offset++;
	return bytes_slice(scanner->text, start, scanner->offset - start, name) && name->size > 0;
}

/* Behind the name of a tag: what follows up to ">", which attributes may have in quotes. */
static bool take_tag_end(struct scanner *scanner, bool *is_empty)
{
	uint8_t quote = 0, before = 0, c;

	for (; bytes_u8(scanner->text, scanner->offset, &c); before = c) {
		scanner->offset++;
		if (quote) {
			quote = c == quote ? 0 : quote;
		} else if (c == '"' || c == '\'') {
			quote = c;
		} else if (c == '<') {
			return false;
		} else if (c == '>') {
			*is_empty = before == '/';
			return true;
		}
	}
	return false;
}

/* The character that an entity like "&quot;" or "&#34;" stands for; '?': none that is known. */
static char entity(struct bytes name)
{
	static const struct {
		const char *name;
		char c;
	} known[] = {
		{ "quot", '"' }, { "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "apos", '\'' },
	};
	char digits[8] = "";

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (equals(name, known[i].name))
			return known[i].c;
	}
	if (name.size < 2 || name.size >= sizeof(digits) || name.data[0] != '#')
		return '?';
	memcpy(digits, name.data + 1, name.size - 1);
	bool is_hex = digits[0] == 'x';
	long value = strtol(digits + is_hex, NULL, is_hex ? 16 : 10);
	return value > ' ' && value < 0x7f ? (char)value : '?';
}

/*
 * A text as it is meant, in printable ASCII. False: it was cut, or had something else in it.
 */
static bool copy_text(struct bytes text, char *out, size_t size)
{
	bool whole = true;
	size_t used = 0;

	for (size_t i = 0; i < text.size; i++) {
		char c = (char)text.data[i];
		if (c == '&') {
			const uint8_t *start = text.data + i + 1;
			const uint8_t *end = memchr(start, ';', text.size - i - 1);
			if (end) {
				c = entity((struct bytes){ start, (size_t)(end - start) });
				i += (size_t)(end - start) + 1;
				whole &= c != '?';
			}
		} else if (c < ' ' || c > '~') {
			whole = false;
			c = is_space(text.data[i]) ? ' ' : '?';
		}
		if (used + 1 == size) {
			whole = false;
			break;
		}
		out[used++] = c;
	}
	out[used] = '\0';
	return whole;
}

/* Keeps the text of a child of the root. The first one of a name counts. */
static void keep(struct s3_answer *out, struct bytes name, struct bytes text)
{
	const struct {
		const char *name;
		char *out;
		size_t size;
		bool is_exact;
	} kept[] = {
		{ "UploadId", out->upload_id, sizeof(out->upload_id), true },
		{ "ETag", out->etag, sizeof(out->etag), true },
		{ "Code", out->code, sizeof(out->code), true },
		{ "Message", out->message, sizeof(out->message), false },
	};

	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		if (equals(name, kept[i].name) && !kept[i].out[0] &&
		    !copy_text(text, kept[i].out, kept[i].size) && kept[i].is_exact)
			kept[i].out[0] = '\0';
	}
}

/* Behind a start tag. False: too deep. */
static bool open_element(struct scanner *scanner, struct s3_answer *out, struct bytes name)
{
	if (scanner->depth == 0)
		copy_text(name, out->root, sizeof(out->root));
	if (scanner->depth == 1) {
		const uint8_t *start = scanner->text.data + scanner->offset;
		size_t left = scanner->text.size - scanner->offset;
		const uint8_t *end = left ? memchr(start, '<', left) : NULL;
		if (end)
			keep(out, name, (struct bytes){ start, (size_t)(end - start) });
	}
	return ++scanner->depth < DEPTH;
}

/* One thing that begins with "<", which the offset is behind. */
static bool take_markup(struct scanner *scanner, struct s3_answer *out)
{
	bool is_empty = false;
	struct bytes name;

	if (bytes_match(scanner->text, scanner->offset, "?"))
		return skip_past(scanner, "?>");
	if (bytes_match(scanner->text, scanner->offset, "!--"))
		return skip_past(scanner, "-->");
	bool is_end = bytes_match(scanner->text, scanner->offset, "/");
	scanner->offset += is_end;
	if (!take_name(scanner, &name) || !take_tag_end(scanner, &is_empty))
		return false;
	if (is_end && scanner->depth == 0)
		return false;
	if (is_end) {
		scanner->depth--;
		return true;
	}
	return is_empty ? scanner->depth > 0 : open_element(scanner, out, name);
}

bool s3_answer_decode(struct bytes text, struct s3_answer *out)
{
	struct scanner scanner = { text, 0, 0 };
	uint8_t c;

	*out = (struct s3_answer){ 0 };
	if (bytes_match(text, 0, "\xef\xbb\xbf")) /* a byte order mark */
		scanner.offset = 3;
	while (bytes_u8(text, scanner.offset, &c)) {
		scanner.offset++;
		if (c != '<') {
			if (scanner.depth == 0 && !is_space(c))
				return false;
			continue;
		}
		if (!take_markup(&scanner, out))
			return false;
		if (scanner.depth == 0 && out->root[0])
			return true;
	}
	return false;
}
