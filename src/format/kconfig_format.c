/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/kconfig_format.h"

#include "base/scan.h"

#define PREFIX    "CONFIG_"
#define NOT_SET   " is not set"
#define TITLE     "# Linux/"
#define TITLE_END " Kernel Configuration"
#define START     "# Automatically generated file; DO NOT EDIT."

static bool is_printable(struct bytes text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] < 0x20 || text.data[i] > 0x7e)
			return false;
	return true;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex_digit(uint8_t c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_name_character(uint8_t c)
{
	return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* CONFIG_ and a name, from *offset on. */
static bool take_name(struct bytes line, size_t *offset, struct bytes *name)
{
	size_t start = *offset;

	if (!scan_text(line, offset, PREFIX))
		return false;
	size_t first = *offset;
	while (*offset < line.size && is_name_character(line.data[*offset]))
		++*offset;
	*name = (struct bytes){ line.data + start, *offset - start };
	return *offset > first && name->size <= KCONFIG_NAME_LIMIT;
}

/* A string ends with its only quote that has no backslash before it. */
static bool is_string(struct bytes value)
{
	if (value.size < 2 || value.data[0] != '"')
		return false;
	for (size_t i = 1; i < value.size; i++) {
		if (value.data[i] == '\\')
			i++;
		else if (value.data[i] == '"')
			return i == value.size - 1;
	}
	return false;
}

static bool is_number(struct bytes value)
{
	bool is_hex = value.size > 2 && value.data[0] == '0' &&
		      (value.data[1] == 'x' || value.data[1] == 'X');
	size_t start = is_hex ? 2 : value.size > 1 && value.data[0] == '-' ? 1 : 0;

	for (size_t i = start; i < value.size; i++)
		if (is_hex ? !is_hex_digit(value.data[i]) : !is_digit(value.data[i]))
			return false;
	return value.size > start && value.size <= 20;
}

static bool is_value(struct bytes value)
{
	if (value.size == 1 &&
	    (value.data[0] == 'y' || value.data[0] == 'm' || value.data[0] == 'n'))
		return true;
	return is_number(value) || is_string(value);
}

static bool decode_option(struct bytes line, struct kconfig_line *out)
{
	size_t offset = 0;

	if (scan_text(line, &offset, "# ")) {
		out->value = SCAN_LITERAL("n");
		return take_name(line, &offset, &out->name) && scan_text(line, &offset, NOT_SET) &&
		       offset == line.size;
	}
	offset = 0;
	if (!take_name(line, &offset, &out->name) || !scan_text(line, &offset, "="))
		return false;
	out->value = (struct bytes){ line.data + offset, line.size - offset };
	return is_value(out->value);
}

/* "# Linux/x86 6.1.192 Kernel Configuration" */
static bool decode_title(struct bytes line, struct bytes *version)
{
	struct bytes architecture;
	size_t offset = 0, end = sizeof(TITLE_END) - 1;

	if (!scan_text(line, &offset, TITLE) || !scan_word(line, &offset, &architecture) ||
	    !scan_word(line, &offset, version))
		return false;
	return line.size - offset == end && memcmp(line.data + offset, TITLE_END, end) == 0;
}

enum kconfig_line_kind kconfig_line_decode(struct bytes line, struct kconfig_line *out)
{
	*out = (struct kconfig_line){ .kind = KCONFIG_NONE };
	if (line.size == 0)
		return out->kind = KCONFIG_COMMENT;
	if (line.size > KCONFIG_LINE_LIMIT || !is_printable(line))
		return KCONFIG_NONE;
	if (decode_option(line, out))
		return out->kind = KCONFIG_OPTION;
	out->name = out->value = (struct bytes){ 0 };
	if (decode_title(line, &out->value))
		return out->kind = KCONFIG_TITLE;
	out->value = (struct bytes){ 0 };
	if (bytes_equal(line, SCAN_LITERAL(START)))
		return out->kind = KCONFIG_START;
	return out->kind = line.data[0] == '#' ? KCONFIG_COMMENT : KCONFIG_NONE;
}

struct bytes kconfig_unquoted(struct bytes value)
{
	return is_string(value) ? (struct bytes){ value.data + 1, value.size - 2 } : value;
}

bool ikconfig_packed(struct bytes bytes, struct bytes *packed)
{
	size_t start = IKCONFIG_MARK_SIZE;

	if (!bytes_match(bytes, 0, IKCONFIG_START) || !bytes_match(bytes, start, "\x1f\x8b\x08"))
		return false;
	const uint8_t *end =
		memmem(bytes.data + start, bytes.size - start, IKCONFIG_END, IKCONFIG_MARK_SIZE);
	if (end)
		*packed = (struct bytes){ bytes.data + start, (size_t)(end - bytes.data) - start };
	return end;
}
