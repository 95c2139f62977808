/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/maps_format.h"

#include <sys/mman.h>

/* A line, and how far it has been read. */
struct line {
	const uint8_t *at, *end;
};

/* Without its newline; false at the end of the text. */
static bool next_line(struct bytes text, uint64_t *offset, struct line *out)
{
	if (*offset >= text.size)
		return false;
	const uint8_t *start = text.data + *offset, *limit = text.data + text.size;
	const uint8_t *end = memchr(start, '\n', (size_t)(limit - start));
	*out = (struct line){ start, end ? end : limit };
	*offset = (uint64_t)((end ? end + 1 : limit) - text.data);
	return true;
}

static bool take(struct line *line, uint8_t wanted)
{
	if (line->at == line->end || *line->at != wanted)
		return false;
	line->at++;
	return true;
}

static void skip_blanks(struct line *line)
{
	while (take(line, ' '))
		;
}

static int digit(uint8_t character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	return character >= 'a' && character <= 'f' ? character - 'a' + 10 : 16;
}

/* At least one digit; false also where it does not fit. */
static bool take_number(struct line *line, unsigned base, uint64_t *out)
{
	const uint8_t *start = line->at;

	*out = 0;
	for (; line->at < line->end; line->at++) {
		unsigned value = (unsigned)digit(*line->at);
		if (value >= base)
			break;
		if (*out > (UINT64_MAX - value) / base)
			return false;
		*out = *out * base + value;
	}
	return line->at > start;
}

static bool take_permission(struct line *line, char letter, uint32_t bit, uint32_t *out)
{
	if (take(line, (uint8_t)letter)) {
		*out |= bit;
		return true;
	}
	return take(line, '-');
}

/* "START-END rwxp OFFSET MAJOR:MINOR INODE   NAME" */
static bool decode_head(struct line line, struct mapping *out)
{
	uint64_t major, minor;

	*out = (struct mapping){ 0 };
	if (!take_number(&line, 16, &out->start) || !take(&line, '-') ||
	    !take_number(&line, 16, &out->end) || !take(&line, ' ') || out->start >= out->end ||
	    !take_permission(&line, 'r', PROT_READ, &out->permissions) ||
	    !take_permission(&line, 'w', PROT_WRITE, &out->permissions) ||
	    !take_permission(&line, 'x', PROT_EXEC, &out->permissions))
		return false;
	out->is_shared = take(&line, 's');
	if ((!out->is_shared && !take(&line, 'p')) || !take(&line, ' ') ||
	    !take_number(&line, 16, &out->file_offset) || !take(&line, ' ') ||
	    !take_number(&line, 16, &major) || !take(&line, ':') ||
	    !take_number(&line, 16, &minor) || !take(&line, ' ') ||
	    !take_number(&line, 10, &out->inode) || major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	out->device_major = (uint32_t)major;
	out->device_minor = (uint32_t)minor;
	skip_blanks(&line);
	out->name = (struct bytes){ line.at, (size_t)(line.end - line.at) };
	return true;
}

static bool take_word(struct line *line, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(line->end - line->at) < length || memcmp(line->at, word, length) != 0)
		return false;
	line->at += length;
	return true;
}

static void decode_flags(struct line line, struct mapping *out)
{
	static const struct {
		char letters[3];
		uint32_t flag;
	} known[] = {
		{ "io", MAPPING_IO },        { "pf", MAPPING_PFN },
		{ "dc", MAPPING_DONTFORK },  { "wf", MAPPING_WIPEONFORK },
		{ "ht", MAPPING_HUGETLB },   { "um", MAPPING_USERFAULT },
		{ "uw", MAPPING_USERFAULT }, { "ui", MAPPING_USERFAULT },
		{ "lo", MAPPING_LOCKED },    { "ss", MAPPING_SHADOW_STACK },
	};

	for (; line.end - line.at >= 2; skip_blanks(&line)) {
		for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
			if (memcmp(line.at, known[i].letters, 2) == 0)
				out->flags |= known[i].flag;
		line.at += 2;
	}
}

/* "Rss:   12 kB" and the like. False if it is not a line of smaps but the next mapping. */
static bool decode_detail(struct line line, struct mapping *out)
{
	static const struct {
		const char *name;
		size_t offset;
	} sizes[] = {
		{ "Rss:", offsetof(struct mapping, resident) },
		{ "Swap:", offsetof(struct mapping, swapped) },
		{ "Anonymous:", offsetof(struct mapping, anonymous) },
		{ "AnonHugePages:", offsetof(struct mapping, anonymous_huge) },
	};
	uint64_t kibibytes;

	/* Names of lines begin with a capital letter, and numbers of mappings have none. */
	if (line.at == line.end || *line.at < 'A' || *line.at > 'Z')
		return false;
	if (take_word(&line, "VmFlags:")) {
		skip_blanks(&line);
		decode_flags(line, out);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		if (!take_word(&line, sizes[i].name))
			continue;
		skip_blanks(&line);
		if (take_number(&line, 10, &kibibytes) && kibibytes <= UINT64_MAX / 1024)
			*(uint64_t *)((char *)out + sizes[i].offset) = kibibytes * 1024;
	}
	return true;
}

bool mapping_decode(struct bytes text, uint64_t *offset, struct mapping *out)
{
	uint64_t next = *offset;
	struct line line;

	if (!next_line(text, &next, &line) || !decode_head(line, out))
		return false;
	do {
		*offset = next;
	} while (next_line(text, &next, &line) && decode_detail(line, out));
	return true;
}
