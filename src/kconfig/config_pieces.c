/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kconfig/config_pieces.h"

#include <stdlib.h>

#include "base/growing.h"
#include "base/name_index.h"
#include "base/scan.h"
#include "source/source.h"

#define ALONE_LEAST 16         /* lines of what does not reach the border of a page */
#define WORD_LIMIT  (1u << 22) /* of all names */
#define PREFIX      "CONFIG_"

/* --- pages to pieces */

static bool is_text(struct bytes bytes)
{
	for (size_t i = 0; i < bytes.size; i++)
		if (bytes.data[i] < 0x20 || bytes.data[i] > 0x7e)
			return false;
	return true;
}

static enum kioku_status add_known(struct config_pieces *pieces, struct bytes name,
				   struct bytes value)
{
	if (pieces->known_count == CONFIG_LINE_LIMIT)
		return KIOKU_OK;
	if (!GROW(pieces->known, pieces->known_count, pieces->known_capacity))
		return KIOKU_ERROR_NO_MEMORY;
	pieces->known[pieces->known_count++] = (struct config_known){
		.name = name, .value = value, .count = 1, .is_agreed = true
	};
	return KIOKU_OK;
}

/* Counts the whole lines of a piece that are options, and notes these. */
static enum kioku_status note_lines(struct config_pieces *pieces, struct config_piece *piece,
				    size_t *count)
{
	struct kconfig_line line;
	size_t offset = piece->head.size, end = piece->text.size - piece->tail.size;
	struct bytes whole = { piece->text.data, end }, text;

	*count = 0;
	while (scan_line(whole, &offset, &text)) {
		enum kconfig_line_kind kind = kconfig_line_decode(text, &line);
		piece->is_start |= kind == KCONFIG_START;
		if (kind != KCONFIG_OPTION)
			continue;
		TRY(add_known(pieces, line.name, line.value));
		++*count;
	}
	return KIOKU_OK;
}

static enum kioku_status add_piece(struct config_pieces *pieces, struct bytes page,
				   uint64_t physical, size_t start, size_t end)
{
	struct config_piece piece = {
		.physical = physical + start,
		.text = { page.data + start, end - start },
		.begins_page = start == 0,
		.ends_page = end == page.size,
	};
	size_t options, names = pieces->known_count;
	const uint8_t *first = memchr(piece.text.data, '\n', piece.text.size);
	const uint8_t *last = memrchr(piece.text.data, '\n', piece.text.size);

	if (!first)
		return KIOKU_OK;
	if (piece.begins_page)
		piece.head = (struct bytes){ piece.text.data, (size_t)(first - piece.text.data) };
	if (piece.ends_page)
		piece.tail = (struct bytes){ last + 1, page.size - (size_t)(last + 1 - page.data) };
	TRY(note_lines(pieces, &piece, &options));
	if (options == 0 || (options < ALONE_LEAST && !piece.begins_page && !piece.ends_page)) {
		pieces->known_count = names;
		return KIOKU_OK;
	}
	if (!GROW(pieces->list, pieces->count, pieces->capacity))
		return KIOKU_ERROR_NO_MEMORY;
	pieces->list[pieces->count++] = piece;
	return KIOKU_OK;
}

/* Where a line of a configuration starts in what came before the first line feed: archives put names before files. */
static size_t behind_zeros(struct bytes bytes)
{
	const uint8_t *zero = memrchr(bytes.data, '\0', bytes.size);
	struct kconfig_line line;

	if (!zero)
		return SIZE_MAX;
	size_t start = (size_t)(zero + 1 - bytes.data);
	struct bytes rest = { zero + 1, bytes.size - start };
	return rest.size > 0 && kconfig_line_decode(rest, &line) != KCONFIG_NONE ? start : SIZE_MAX;
}

static enum kioku_status cut_page(struct config_pieces *pieces, struct bytes page,
				  uint64_t physical)
{
	size_t start = SIZE_MAX, at = 0;
	struct kconfig_line line;

	while (at < page.size) {
		const uint8_t *feed = memchr(page.data + at, '\n', page.size - at);
		size_t end = feed ? (size_t)(feed - page.data) : page.size;
		struct bytes text = { page.data + at, end - at };
		/* Of the first and the last line, any part may be there. */
		bool fits = at == 0 || !feed ? is_text(text) && text.size <= KCONFIG_LINE_LIMIT
					     : kconfig_line_decode(text, &line) != KCONFIG_NONE;
		if (fits && start == SIZE_MAX)
			start = at;
		if (!fits && start != SIZE_MAX) {
			TRY(add_piece(pieces, page, physical, start, at));
			start = SIZE_MAX;
		}
		if (!fits && feed) {
			size_t behind = behind_zeros(text);
			start = behind == SIZE_MAX ? SIZE_MAX : at + behind;
		}
		at = end + (feed != NULL);
	}
	return start == SIZE_MAX ? KIOKU_OK : add_piece(pieces, page, physical, start, page.size);
}

static enum kioku_status cut_pages(struct kioku_source *source, const struct config_scan *scan,
				   struct arena *arena, struct config_pieces *pieces)
{
	for (size_t i = 0; i < scan->count; i++) {
		uint64_t physical = scan->pages[i].physical;
		if (scan->pages[i].inode)
			continue;
		uint8_t *page = arena_allocate(arena, PAGE_SIZE);
		if (!page)
			return KIOKU_ERROR_NO_MEMORY;
		if (kioku_source_read(source, physical, page, PAGE_SIZE, NULL) == KIOKU_OK)
			TRY(cut_page(pieces, (struct bytes){ page, PAGE_SIZE }, physical));
	}
	return KIOKU_OK;
}

/* --- what is known */

static int compare_known(const void *first, const void *second)
{
	const struct config_known *one = first, *two = second;

	return config_name_compare(one->name, two->name);
}

static int compare_counts(const void *one, const void *two)
{
	uint32_t first = *(const uint32_t *)one, second = *(const uint32_t *)two;

	return (first > second) - (first < second);
}

/* One entry for each name. */
static void sort_known(struct config_pieces *pieces)
{
	size_t count = 0;

	if (pieces->known_count)
		qsort(pieces->known, pieces->known_count, sizeof(*pieces->known), compare_known);
	for (size_t i = 0; i < pieces->known_count; i++) {
		struct config_known *entry = &pieces->known[i];
		struct config_known *before = count ? &pieces->known[count - 1] : NULL;
		if (!before || !bytes_equal(before->name, entry->name)) {
			pieces->known[count++] = *entry;
			continue;
		}
		before->count++;
		before->is_agreed &= bytes_equal(before->value, entry->value);
	}
	pieces->known_count = count;
}

/* Of ten options nine are in so many configurations, or fewer. */
static enum kioku_status count_copies(struct config_pieces *pieces)
{
	AUTO_FREE uint32_t *counts = calloc(pieces->known_count + 1, sizeof(*counts));

	if (!counts)
		return KIOKU_ERROR_NO_MEMORY;
	for (size_t i = 0; i < pieces->known_count; i++)
		counts[i] = pieces->known[i].count;
	qsort(counts, pieces->known_count, sizeof(*counts), compare_counts);
	pieces->copies = pieces->known_count ? counts[pieces->known_count * 9 / 10] : 0;
	return KIOKU_OK;
}

/* The word around a place in a name: where it starts, and its size. */
static struct bytes word_at(struct bytes name, size_t place)
{
	size_t start = place, end = place;

	while (start > 0 && name.data[start - 1] != '_')
		start--;
	while (end < name.size && name.data[end] != '_')
		end++;
	return (struct bytes){ name.data + start, end - start };
}

static uint32_t word_hash(struct bytes word)
{
	return name_hash((const char *)word.data, word.size);
}

static enum kioku_status index_words(struct config_pieces *pieces)
{
	for (size_t i = 0; i < pieces->known_count; i++) {
		struct bytes name = pieces->known[i].name;
		for (size_t at = sizeof(PREFIX) - 1; at < name.size;) {
			struct bytes word = word_at(name, at);
			at += word.size + 1;
			if (pieces->word_count == WORD_LIMIT)
				break;
			if (!GROW(pieces->words, pieces->word_count, pieces->word_capacity))
				return KIOKU_ERROR_NO_MEMORY;
			pieces->words[pieces->word_count++] = word;
		}
	}
	pieces->head_count = name_index_heads((uint32_t)pieces->word_count);
	pieces->heads = calloc(pieces->head_count, sizeof(*pieces->heads));
	pieces->following = calloc(pieces->word_count + 1, sizeof(*pieces->following));
	if (!pieces->heads || !pieces->following)
		return KIOKU_ERROR_NO_MEMORY;
	for (size_t i = pieces->word_count; i-- > 0;)
		name_index_add(pieces->heads, pieces->head_count, pieces->following,
			       word_hash(pieces->words[i]), (uint32_t)i);
	return KIOKU_OK;
}

/* The limit is on how many words are compared: one word may be in each name. */
static bool is_word(const struct config_pieces *pieces, struct bytes word)
{
	uint32_t state = 0, item, left = 64;

	while (left-- > 0 &&
	       name_index_next((const uint8_t *)pieces->heads, pieces->head_count,
			       (const uint8_t *)pieces->following, (uint32_t)pieces->word_count,
			       word_hash(word), &state, &item))
		if (bytes_equal(pieces->words[item], word))
			return true;
	return false;
}

const struct config_known *config_pieces_find(const struct config_pieces *pieces, struct bytes name)
{
	struct config_known wanted = { .name = name };

	return pieces->known_count ? bsearch(&wanted, pieces->known, pieces->known_count,
					     sizeof(*pieces->known), compare_known)
				   : NULL;
}

enum kioku_status config_pieces_cut(struct kioku_source *source, const struct config_scan *scan,
				    struct config_texts *texts, struct config_pieces *out)
{
	TRY(cut_pages(source, scan, &texts->arena, out));
	if (out->count == 0)
		return KIOKU_OK;
	for (size_t i = 0; i < texts->count; i++)
		for (size_t j = 0; j < texts->list[i]->count; j++)
			TRY(add_known(out, texts->list[i]->lines[j].name,
				      texts->list[i]->lines[j].value));
	sort_known(out);
	TRY(count_copies(out));
	return index_words(out);
}

void config_pieces_release(struct config_pieces *pieces)
{
	free(pieces->list);
	free(pieces->known);
	free(pieces->words);
	free(pieces->heads);
	free(pieces->following);
}

/* --- what goes on in what */

/*
 * Whether what begins a page looks like the end of a line that was cut inside of CONFIG_, and what ends the one before
 * is not the beginning of it, so that both together make a longer name. A short end is one of other words, too.
 */
static enum config_fit fit_of_prefix(struct bytes tail, struct bytes head)
{
	for (size_t cut = 1; cut + 2 <= sizeof(PREFIX) - 1; cut++) {
		size_t offset = 0;
		if (!scan_text(head, &offset, &PREFIX[cut]))
			continue;
		size_t before = tail.size >= 2 && tail.data[0] == '#' ? 2 : 0;
		if (tail.size == before + cut && memcmp(tail.data + before, PREFIX, cut) == 0)
			return FIT_LIKELY;
		return cut <= 3 ? FIT_NOT : FIT_POSSIBLE;
	}
	return FIT_LIKELY;
}

/* name: of the line that both are together. */
static enum config_fit fit_of_option(const struct config_pieces *pieces, struct bytes name,
				     struct bytes tail, struct bytes head)
{
	const struct config_known *known = config_pieces_find(pieces, name);
	size_t before = tail.size >= 2 && tail.data[0] == '#' ? 2 : 0;

	enum config_fit prefix = fit_of_prefix(tail, head);

	/* Each configuration has an option once. */
	if (prefix == FIT_NOT || (known && known->count >= pieces->copies))
		return FIT_NOT;
	if (known)
		return FIT_KNOWN;
	if (prefix == FIT_POSSIBLE)
		return FIT_POSSIBLE;
	/* Nothing was cut in two, or not the name. */
	if (tail.size < before + sizeof(PREFIX) - 1)
		return FIT_LIKELY;
	size_t place = tail.size - before;
	struct bytes word = word_at(name, place < name.size ? place : name.size);
	return place < name.size && name.data[place] != '_' && name.data[place - 1] != '_' &&
			       is_word(pieces, word)
		       ? FIT_LIKELY
		       : FIT_POSSIBLE;
}

enum config_fit config_pieces_fit(const struct config_pieces *pieces,
				  const struct config_piece *one, const struct config_piece *two)
{
	uint8_t text[KCONFIG_LINE_LIMIT];
	struct kconfig_line line;
	size_t size = one->tail.size + two->head.size;

	if (!one->ends_page || !two->begins_page || size > sizeof(text))
		return FIT_NOT;
	memcpy(text, one->tail.data, one->tail.size);
	memcpy(text + one->tail.size, two->head.data, two->head.size);
	switch (kconfig_line_decode((struct bytes){ text, size }, &line)) {
	case KCONFIG_NONE: return FIT_NOT;
	case KCONFIG_OPTION: return fit_of_option(pieces, line.name, one->tail, two->head);
	default: return FIT_POSSIBLE;
	}
}
