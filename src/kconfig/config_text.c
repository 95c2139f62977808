/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kconfig/config_text.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/growing.h"
#include "base/scan.h"

static void text_free(struct config_text *text)
{
	free(text->lines);
	free(text->by_name);
	free(text);
}

struct config_text *config_texts_add(struct config_texts *texts, enum config_origin origin)
{
	if (texts->count == CONFIG_TEXT_LIMIT) {
		texts->is_full = true;
		return NULL;
	}
	if (!GROW(texts->list, texts->count, texts->capacity))
		return NULL;
	struct config_text *text = calloc(1, sizeof(*text));
	if (!text)
		return NULL;
	text->origin = origin;
	texts->list[texts->count++] = text;
	return text;
}

void config_texts_drop(struct config_texts *texts, size_t index)
{
	texts->line_count -= texts->list[index]->count;
	text_free(texts->list[index]);
	texts->count--;
	memmove(texts->list + index, texts->list + index + 1,
		(texts->count - index) * sizeof(*texts->list));
}

void config_texts_release(struct config_texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		text_free(texts->list[i]);
	free(texts->list);
	arena_release(&texts->arena);
	*texts = (struct config_texts){ 0 };
}

/* What tells whose it is. */
static void note_identity(struct config_text *text, const struct config_line *line)
{
	static const struct {
		const char *name;
		size_t member;
	} told[] = {
		{ "CONFIG_CC_VERSION_TEXT", offsetof(struct config_text, compiler) },
		{ "CONFIG_BUILD_SALT", offsetof(struct config_text, salt) },
		{ "CONFIG_LOCALVERSION", offsetof(struct config_text, local_version) },
	};
	struct bytes value = kconfig_unquoted(line->value);

	for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++)
		if (bytes_equal(line->name, bytes_of_text(told[i].name)))
			memcpy((char *)text + told[i].member, &value, sizeof(value));
}

enum kioku_status config_text_add(struct config_texts *texts, struct config_text *text,
				  const struct config_line *line)
{
	if (texts->line_count >= CONFIG_LINE_LIMIT) {
		texts->is_full = true;
		return KIOKU_OK;
	}
	if (!GROW(text->lines, text->count, text->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	text->lines[text->count++] = *line;
	texts->line_count++;
	free(TAKE(text->by_name));
	note_identity(text, line);
	return KIOKU_OK;
}

/* --- by name */

int config_name_compare(struct bytes one, struct bytes two)
{
	size_t size = one.size < two.size ? one.size : two.size;
	int order = memcmp(one.data, two.data, size);

	return order ? order : (one.size > two.size) - (one.size < two.size);
}

static int compare_lines(const void *one, const void *two, void *user)
{
	const struct config_line *lines = user;
	uint32_t first = *(const uint32_t *)one, second = *(const uint32_t *)two;
	int order = config_name_compare(lines[first].name, lines[second].name);

	return order ? order : (first > second) - (first < second);
}

enum kioku_status config_text_sort(struct config_text *text)
{
	if (text->by_name)
		return KIOKU_OK;
	text->by_name = calloc(text->count + 1, sizeof(*text->by_name));
	if (!text->by_name)
		return KIOKU_ERROR_NO_MEMORY;
	for (size_t i = 0; i < text->count; i++)
		text->by_name[i] = (uint32_t)i;
	qsort_r(text->by_name, text->count, sizeof(*text->by_name), compare_lines, text->lines);
	text->distinct = 0;
	for (size_t i = 0; i < text->count; i++) {
		uint32_t line = text->by_name[i];
		if (text->distinct > 0 &&
		    bytes_equal(text->lines[text->by_name[text->distinct - 1]].name,
				text->lines[line].name))
			text->distinct--;
		text->by_name[text->distinct++] = line;
	}
	return KIOKU_OK;
}

const struct config_line *config_text_find(const struct config_text *text, struct bytes name)
{
	size_t low = 0, high = text->distinct;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct config_line *line = &text->lines[text->by_name[middle]];
		int order = config_name_compare(name, line->name);
		if (order == 0)
			return line;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

bool config_text_is_whole(const struct config_text *text)
{
	return text->is_started && text->lost_pages == 0 && text->lost_lines == 0 &&
	       text->foreign == 0;
}

/* --- reading */

void config_reader_begin(struct config_reader *reader, struct config_texts *texts,
			 struct config_text *text, bool is_start)
{
	reader->texts = texts;
	reader->text = text;
	reader->partial_size = 0;
	reader->is_inside = !is_start;
	reader->is_joining = reader->is_doubtful = false;
	reader->has_physical = true;
}

/* A second configuration in the same file, an archive's for one, is one of its own. */
static enum kioku_status begin_another(struct config_reader *reader)
{
	struct config_text *before = reader->text;

	if (before->count == 0 && !before->is_started)
		return KIOKU_OK;
	struct config_text *text = config_texts_add(reader->texts, before->origin);
	if (!text)
		return reader->texts->is_full ? KIOKU_OK : KIOKU_ERROR_NO_MEMORY;
	text->path = before->path;
	reader->text = text;
	return KIOKU_OK;
}

/* A copy in the arena; data NULL: no memory. */
static struct bytes keep(struct config_reader *reader, struct bytes bytes)
{
	char *copy = arena_copy(&reader->texts->arena, bytes.data, bytes.size);

	return (struct bytes){ (const uint8_t *)copy, bytes.size };
}

static enum kioku_status take_option(struct config_reader *reader, const struct kconfig_line *found,
				     uint64_t physical)
{
	struct config_line line = {
		.name = keep(reader, found->name),
		.value = keep(reader, found->value),
		.physical = physical,
		.has_physical = reader->has_physical,
		.is_joined = reader->is_joining,
		.is_doubtful = reader->is_doubtful,
	};

	if (!line.name.data || !line.value.data)
		return KIOKU_ERROR_NO_MEMORY;
	return config_text_add(reader->texts, reader->text, &line);
}

static enum kioku_status take_line(struct config_reader *reader, struct bytes bytes,
				   uint64_t physical)
{
	struct kconfig_line line;

	switch (kconfig_line_decode(bytes, &line)) {
	case KCONFIG_OPTION: return take_option(reader, &line, physical);
	case KCONFIG_NONE: reader->text->foreign++; return KIOKU_OK;
	case KCONFIG_COMMENT: return KIOKU_OK;
	case KCONFIG_START:
		TRY(begin_another(reader));
		reader->text->is_started = true;
		return KIOKU_OK;
	case KCONFIG_TITLE:
		if (reader->text->version.size || reader->text->count > 0)
			TRY(begin_another(reader));
		reader->text->version = keep(reader, line.value);
		return reader->text->version.data ? KIOKU_OK : KIOKU_ERROR_NO_MEMORY;
	}
	return KIOKU_OK;
}

/* Keeps what has no end yet; what is too long is no line. */
static void keep_partial(struct config_reader *reader, struct bytes piece, uint64_t physical)
{
	if (reader->partial_size == 0)
		reader->partial_physical = physical;
	if (piece.size > sizeof(reader->partial) - reader->partial_size) {
		reader->text->foreign++;
		reader->is_inside = true;
		reader->partial_size = 0;
		return;
	}
	memcpy(reader->partial + reader->partial_size, piece.data, piece.size);
	reader->partial_size += piece.size;
}

enum kioku_status config_reader_feed(struct config_reader *reader, struct bytes piece,
				     uint64_t physical)
{
	for (size_t at = 0; at < piece.size;) {
		struct bytes rest = { piece.data + at, piece.size - at };
		const uint8_t *end = memchr(rest.data, '\n', rest.size);
		size_t size = end ? (size_t)(end - rest.data) : rest.size;
		struct bytes line = { rest.data, size };
		uint64_t start = physical + at;
		at += size + (end != NULL);
		if (!end) {
			if (!reader->is_inside)
				keep_partial(reader, line, start);
			continue;
		}
		/* Of a line that began before, what is here may be whole by itself, and cannot be more. */
		if (reader->is_inside) {
			struct kconfig_line whole;
			reader->is_inside = false;
			if (kconfig_line_decode(line, &whole) == KCONFIG_OPTION &&
			    line.data[0] == 'C')
				TRY(take_line(reader, line, start));
			else
				reader->text->lost_lines += size > 0 && line.data[0] != '#';
			continue;
		}
		if (reader->partial_size > 0) {
			keep_partial(reader, line, start);
			line = (struct bytes){ (const uint8_t *)reader->partial,
					       reader->partial_size };
			start = reader->partial_physical;
			if (reader->is_inside) { /* it was too long */
				reader->is_inside = false;
				continue;
			}
		}
		TRY(take_line(reader, line, start));
		reader->partial_size = 0;
		reader->is_joining = false;
	}
	return KIOKU_OK;
}

void config_reader_break(struct config_reader *reader)
{
	reader->text->lost_lines += reader->partial_size > 0;
	reader->partial_size = 0;
	reader->is_joining = false;
	reader->is_inside = true;
}

enum kioku_status config_reader_end(struct config_reader *reader)
{
	struct bytes line = { (const uint8_t *)reader->partial, reader->partial_size };

	if (line.size > 0)
		TRY(take_line(reader, line, reader->partial_physical));
	reader->partial_size = 0;
	return KIOKU_OK;
}
