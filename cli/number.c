/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

static bool parse_digits(const char *text, size_t length, unsigned base, uint64_t *out)
{
	uint64_t value = 0;

	if (length == 0)
		return false;
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];
		unsigned digit = isdigit(c)    ? c - '0' + 0u
				 : isxdigit(c) ? (unsigned)tolower(c) - 'a' + 10
					       : base;
		if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return false;
	}
	*out = value;
	return true;
}

bool number_parse(const char *text, uint64_t *out)
{
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return parse_digits(text + 2, strlen(text + 2), 16, out);
	return parse_digits(text, strlen(text), 10, out);
}

bool address_parse(const char *text, uint64_t *out)
{
	size_t length = strlen(text);

	if (strpbrk(text, "abcdefABCDEF") || length == 16) {
		if (parse_digits(text, length, 16, out))
			return true;
	}
	return number_parse(text, out);
}

bool size_parse(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	size_t length = strlen(text);
	const char *unit =
		length > 0 ? strchr(units, toupper((unsigned char)text[length - 1])) : NULL;

	if (!unit)
		return number_parse(text, out);
	unsigned shift = 10 * (unsigned)(unit - units + 1);
	if (!parse_digits(text, length - 1, 10, out) || *out > UINT64_MAX >> shift)
		return false;
	*out <<= shift;
	return true;
}

/* Digits with or without a point, up to *rest. */
static bool parse_decimal(const char *text, double *out, const char **rest)
{
	size_t length = strspn(text, "0123456789."), digits = strspn(text, "0123456789");

	*rest = text + length;
	if (digits == 0 || length > 20 || length - digits == 1 ||
	    memchr(text + digits + (length > digits), '.', length - digits - (length > digits)))
		return false;
	*out = strtod(text, NULL); /* LC_NUMERIC is never set, so that a point is one */
	return true;
}

bool percent_parse(const char *text, double *out)
{
	const char *rest;

	return parse_decimal(text, out, &rest) && *rest == '\0' && *out <= 100;
}

bool time_parse(const char *text, uint64_t *out)
{
	static const struct {
		const char *name;
		double nanoseconds;
	} units[] = { { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 } };
	const double day = 86400 * 1e9;
	const char *rest;
	double value;

	if (!parse_decimal(text, &value, &rest))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(rest, units[i].name) != 0)
			continue;
		value *= units[i].nanoseconds;
		*out = value < day ? (uint64_t)(value + 0.5) : 0;
		return value < day;
	}
	return false;
}

bool device_parse(const char *text, uint16_t *out)
{
	uint64_t bus, function;

	if (strlen(text) != 5 || text[2] != ':' || !parse_digits(text, 2, 16, &bus) ||
	    !parse_digits(text + 3, 2, 16, &function))
		return false;
	*out = (uint16_t)(bus << 8 | function);
	return true;
}

bool pid_parse(const char *text, int32_t *out)
{
	uint64_t value;

	if (!number_parse(text, &value) || value > INT32_MAX)
		return false;
	*out = (int32_t)value;
	return true;
}
