/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/task_format.h"

#include <elf.h>

#include "base/scan.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AUXV_TYPES   1024 /* more than any kernel has */

#define FIELD(number, name)                              \
	{                                                \
		number, offsetof(struct task_stat, name) \
	}

/* Ascending; the third field is the state. */
static const struct {
	unsigned number;
	size_t offset;
} fields[] = {
	FIELD(4, parent),      FIELD(5, group),      FIELD(6, session),
	FIELD(9, flags),       FIELD(14, user_time), FIELD(15, system_time),
	FIELD(18, priority),   FIELD(19, nice),      FIELD(20, threads),
	FIELD(22, start_time), FIELD(39, processor), FIELD(40, realtime_priority),
	FIELD(41, policy),
};

/* The last closing parenthesis ends the name, which may have some of its own. */
static bool find_name_end(struct bytes text, size_t *out)
{
	for (size_t i = text.size; i > 0; i--) {
		if (text.data[i - 1] == ')') {
			*out = i - 1;
			return true;
		}
	}
	return false;
}

bool task_stat_decode(struct bytes text, struct task_stat *out)
{
	struct task_stat stat = { 0 };
	struct bytes word;
	size_t offset = 0, end = 0;
	unsigned number = 4;

	if (!scan_signed(text, &offset, &stat.pid) || !scan_text(text, &offset, " (") ||
	    !find_name_end(text, &end) || end < offset)
		return false;
	stat.name = (struct bytes){ text.data + offset, end - offset };
	offset = end + 1;
	if (!scan_word(text, &offset, &word) || word.size != 1)
		return false;
	stat.state = (char)word.data[0];
	for (size_t i = 0; i < COUNT(fields); number++) {
		int64_t value;
		if (!scan_word(text, &offset, &word))
			return false;
		if (number != fields[i].number)
			continue;
		size_t position = 0;
		if (!scan_signed(word, &position, &value))
			return false;
		memcpy((uint8_t *)&stat + fields[i++].offset, &value, sizeof(value));
	}
	*out = stat;
	return true;
}

bool task_status_find(struct bytes text, const char *key, struct bytes *out)
{
	struct bytes line;

	for (size_t offset = 0; scan_line(text, &offset, &line);) {
		size_t start = 0;
		if (!scan_text(line, &start, key) || !scan_text(line, &start, ":"))
			continue;
		scan_blanks(line, &start);
		size_t end = line.size;
		while (end > start && scan_is_blank(line.data[end - 1]))
			end--;
		*out = (struct bytes){ line.data + start, end - start };
		return true;
	}
	return false;
}

size_t task_status_numbers(struct bytes text, const char *key, uint64_t *out, size_t count)
{
	struct bytes value, word;
	size_t offset = 0, found = 0;

	memset(out, 0, count * sizeof(*out));
	if (!task_status_find(text, key, &value))
		return 0;
	for (; found < count && scan_word(value, &offset, &word); found++) {
		size_t position = 0;
		uint64_t number;
		if (!scan_decimal(word, &position, &number))
			break;
		out[found] = number;
	}
	return found;
}

bool task_status_bits(struct bytes text, const char *key, uint64_t *out)
{
	struct bytes value;
	size_t offset = 0;

	return task_status_find(text, key, &value) && scan_hex(value, &offset, out) &&
	       offset == value.size;
}

/* Whether these are pairs of words of that size, with AT_PAGESZ among them, up to AT_NULL. */
static bool is_auxv(struct bytes auxv, size_t word)
{
	bool has_page_size = false;

	for (size_t at = 0; bytes_has(auxv, at, 2 * word); at += 2 * word) {
		uint64_t type = word == 8 ? load_le64(auxv.data + at) : load_le32(auxv.data + at);
		has_page_size |= type == AT_PAGESZ;
		if (type == AT_NULL)
			return has_page_size;
		if (type > AUXV_TYPES)
			return false;
	}
	return false;
}

uint32_t auxv_word_size(struct bytes auxv)
{
	return is_auxv(auxv, 8) ? 8 : is_auxv(auxv, 4) ? 4 : 0;
}
