/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/vmcoreinfo_format.h"

/* The first line in every version since the note exists (fd59d231f81c, v2.6.24). */
#define FIRST_KEY "OSRELEASE="

bool vmcoreinfo_find(struct bytes text, const char *key, struct bytes *value)
{
	const uint8_t *line = text.data;
	const uint8_t *end = text.data + text.size;
	size_t key_size = strlen(key);

	while (line < end) {
		const uint8_t *stop = memchr(line, '\n', (size_t)(end - line));
		if (!stop)
			stop = end;
		size_t size = (size_t)(stop - line);
		if (size > key_size && line[key_size] == '=' && memcmp(line, key, key_size) == 0) {
			*value = (struct bytes){ line + key_size + 1, size - key_size - 1 };
			return true;
		}
		line = stop == end ? end : stop + 1;
	}
	return false;
}

static bool parse_number(struct bytes digits, unsigned base, uint64_t *out)
{
	uint64_t number = 0;

	for (size_t i = 0; i < digits.size; i++) {
		uint8_t byte = digits.data[i];
		unsigned digit = 16;
		if (byte >= '0' && byte <= '9')
			digit = (unsigned)byte - '0';
		else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f')
			digit = ((unsigned)byte | 0x20) - 'a' + 10;
		if (digit >= base || __builtin_mul_overflow(number, base, &number) ||
		    __builtin_add_overflow(number, digit, &number))
			return false;
	}
	*out = number;
	return digits.size > 0;
}

bool vmcoreinfo_hex(struct bytes text, const char *key, uint64_t *out)
{
	struct bytes value;

	return vmcoreinfo_find(text, key, &value) && parse_number(value, 16, out);
}

bool vmcoreinfo_decimal(struct bytes text, const char *key, int64_t *out)
{
	struct bytes value;
	uint64_t number;

	if (!vmcoreinfo_find(text, key, &value))
		return false;
	bool negative = value.size > 0 && value.data[0] == '-';
	if (negative)
		value = (struct bytes){ value.data + 1, value.size - 1 };
	if (!parse_number(value, 10, &number) || number > (uint64_t)INT64_MAX + negative)
		return false;
	*out = (int64_t)(negative ? 0 - number : number);
	return true;
}

size_t vmcoreinfo_length(struct bytes bytes)
{
	size_t size = 0;

	if (!bytes_match(bytes, 0, FIRST_KEY))
		return 0;
	while (size < bytes.size &&
	       (bytes.data[size] == '\n' || (bytes.data[size] >= ' ' && bytes.data[size] < 0x7f)))
		size++;
	return size;
}
