/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kconfig/config_pages.h"

#include <stdlib.h>

#include "base/scan.h"
#include "kconfig/config_pieces.h"

#define ROW_LEAST   8   /* borders in a row that fit */
#define ENDS_LIMIT  512 /* pieces whose neighbours are looked for everywhere */
#define MERGE_LIMIT 512 /* chains that are put together */

/* --- which piece goes on in which */

static void link_pieces(struct config_piece *one, struct config_piece *two, enum config_fit fit)
{
	one->next = two;
	one->fit = fit;
	two->previous = one;
}

/* The piece at the start of a page. */
static struct config_piece *piece_at(const struct config_pieces *pieces, uint64_t page)
{
	size_t low = 0, high = pieces->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (pieces->list[middle].physical < page)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == pieces->count || pieces->list[low].physical != page)
		return NULL;
	return pieces->list[low].begins_page ? &pieces->list[low] : NULL;
}

/* The piece on the page behind that of a piece, or on the page before it, if it may go on there. */
static struct config_piece *neighbour(const struct config_pieces *pieces,
				      const struct config_piece *piece, bool is_forward,
				      enum config_fit *fit)
{
	uint64_t page = piece->physical / PAGE_SIZE * PAGE_SIZE;

	if (piece->next || !piece->ends_page || (!is_forward && page == 0))
		return NULL;
	struct config_piece *next =
		piece_at(pieces, is_forward ? page + PAGE_SIZE : page - PAGE_SIZE);
	if (!next || next->previous || next == piece)
		return NULL;
	*fit = config_pieces_fit(pieces, piece, next);
	return *fit == FIT_NOT ? NULL : next;
}

static bool is_file(const struct config_piece *first, const struct config_piece *last)
{
	return first->is_start && !first->previous && !last->ends_page;
}

/*
 * Files are read into pages that often lie in a row, upwards or downwards. One border that fits may do so by
 * chance, a row of them does not, nor do all pieces that there are, from the
 * start of a file to its end.
 */
static void link_rows(struct config_pieces *pieces, bool is_forward)
{
	enum config_fit fit;

	for (size_t i = 0; i < pieces->count; i++)
		pieces->list[i].is_seen = false;
	for (size_t i = 0; i < pieces->count; i++) {
		struct config_piece *start = &pieces->list[is_forward ? i : pieces->count - 1 - i];
		struct config_piece *piece = start, *next;
		size_t length = 0;
		if (start->is_seen)
			continue;
		for (; (next = neighbour(pieces, piece, is_forward, &fit)); piece = next, length++)
			next->is_seen = true;
		bool is_row = length >= ROW_LEAST ||
			      (length + 1 == pieces->count && is_file(start, piece));
		for (piece = start; (next = neighbour(pieces, piece, is_forward, &fit));
		     piece = next)
			if (is_row || fit == FIT_KNOWN)
				link_pieces(piece, next, fit);
	}
}

/* The only piece that fits behind another one as what is known, or before it. */
static struct config_piece *only_fit(const struct config_pieces *pieces,
				     struct config_piece *const *ends, size_t count,
				     struct config_piece *piece, bool is_next)
{
	struct config_piece *only = NULL;

	for (size_t i = 0; i < count; i++) {
		struct config_piece *other = ends[i];
		if (other == piece || (is_next ? other->previous : other->next) ||
		    config_pieces_fit(pieces, is_next ? piece : other, is_next ? other : piece) !=
			    FIT_KNOWN)
			continue;
		if (only)
			return NULL;
		only = other;
	}
	return only;
}

static enum kioku_status link_ends(struct config_pieces *pieces)
{
	AUTO_FREE struct config_piece **ends = calloc(ENDS_LIMIT, sizeof(*ends));
	size_t count = 0;

	if (!ends)
		return KIOKU_ERROR_NO_MEMORY;
	for (size_t i = 0; i < pieces->count && count < ENDS_LIMIT; i++)
		if (!pieces->list[i].next || !pieces->list[i].previous)
			ends[count++] = &pieces->list[i];
	for (size_t i = 0; i < count; i++) {
		struct config_piece *next = ends[i]->next || !ends[i]->ends_page
						    ? NULL
						    : only_fit(pieces, ends, count, ends[i], true);
		if (next && only_fit(pieces, ends, count, next, false) == ends[i])
			link_pieces(ends[i], next, FIT_KNOWN);
	}
	return KIOKU_OK;
}

/* Where a chain is not all of a file, what may be chance does not hold it together. */
static void cut_chain(struct config_piece *first, size_t all)
{
	struct config_piece *last = first;
	size_t count = 1;

	for (; last->next && last->next != first; last = last->next)
		count++;
	if (is_file(first, last) && (count > ROW_LEAST || count == all))
		return;
	for (struct config_piece *piece = first, *next; piece; piece = next) {
		next = piece == last ? NULL : piece->next;
		if (!piece->next || piece->fit > FIT_POSSIBLE)
			continue;
		piece->next->previous = NULL;
		piece->next = NULL;
	}
}

static void cut_chains(struct config_pieces *pieces)
{
	for (size_t i = 0; i < pieces->count; i++)
		pieces->list[i].is_seen = !pieces->list[i].previous;
	for (size_t i = 0; i < pieces->count; i++)
		if (pieces->list[i].is_seen)
			cut_chain(&pieces->list[i], pieces->count);
}

/* --- pieces to texts */

static enum kioku_status give_chain(struct config_texts *texts, struct config_piece *piece)
{
	struct config_text *text = config_texts_add(texts, CONFIG_PAGES);
	AUTO_FREE struct config_reader *reader = malloc(sizeof(*reader));
	bool is_open = false;

	if (!text || !reader)
		return texts->is_full ? KIOKU_OK : KIOKU_ERROR_NO_MEMORY;
	config_reader_begin(reader, texts, text, !piece->begins_page);
	text->is_cut = piece->begins_page;
	for (; piece && !piece->is_given; piece = piece->next) {
		piece->is_given = true;
		TRY(config_reader_feed(reader, piece->text, piece->physical));
		reader->is_joining = reader->partial_size > 0;
		/* It goes on, nobody knows where. */
		is_open = !piece->next && piece->ends_page;
	}
	config_reader_break(reader);
	reader->text->lost_lines += is_open && reader->text->lost_lines == 0;
	return KIOKU_OK;
}

static enum kioku_status give_chains(struct config_pieces *pieces, struct config_texts *texts)
{
	for (size_t i = 0; i < pieces->count; i++)
		if (!pieces->list[i].previous)
			TRY(give_chain(texts, &pieces->list[i]));
	/* What is left goes in circles, which are cut anywhere. */
	for (size_t i = 0; i < pieces->count; i++)
		if (!pieces->list[i].is_given)
			TRY(give_chain(texts, &pieces->list[i]));
	return KIOKU_OK;
}

/* --- texts that are parts of one */

struct overlap {
	size_t common, differing;
};

static struct overlap overlap_of(const struct config_text *one, const struct config_text *two)
{
	struct overlap overlap = { 0 };

	for (size_t i = 0; i < one->distinct; i++) {
		const struct config_line *line = &one->lines[one->by_name[i]];
		const struct config_line *other = config_text_find(two, line->name);
		overlap.common += other != NULL;
		overlap.differing += other && !bytes_equal(line->value, other->value);
	}
	return overlap;
}

struct merging {
	const struct config_pieces *pieces;
	struct config_texts *texts;
	size_t first; /* texts from here on are of pages */
};

/*
 * Whether a line is right whichever configuration it is of: all that there are have the option, with the same
 * value.
 */
static bool is_agreed(const struct merging *merging, struct bytes name)
{
	const struct config_known *known = config_pieces_find(merging->pieces, name);

	return known && known->is_agreed && known->count >= merging->pieces->copies;
}

/* Takes the lines of another text, which has no option of this one. */
static enum kioku_status merge(struct merging *merging, const struct config_text *from,
			       struct config_text *to)
{
	for (size_t i = 0; i < from->count; i++) {
		struct config_line line = from->lines[i];
		line.is_doubtful = merging->pieces->copies > 1 && !is_agreed(merging, line.name);
		TRY(config_text_add(merging->texts, to, &line));
	}
	to->lost_lines += from->lost_lines;
	return config_text_sort(to);
}

static int compare_texts(const void *one, const void *two)
{
	const struct config_text *first = *(struct config_text *const *)one;
	const struct config_text *second = *(struct config_text *const *)two;

	if ((first->version.size > 0) != (second->version.size > 0))
		return first->version.size > 0 ? -1 : 1;
	return (first->count < second->count) - (first->count > second->count);
}

static bool is_copy(struct merging *merging, const struct config_text *text, size_t end)
{
	for (size_t i = 0; i < end; i++) {
		struct config_text *other = merging->texts->list[i];
		struct overlap overlap = overlap_of(text, other);
		if (overlap.differing > 0 || overlap.common * 20 < text->distinct * 19)
			continue;
		other->copies++;
		return true;
	}
	return false;
}

/* Puts a text of pages where it may belong; *is_taken: it did so somewhere. */
static enum kioku_status place(struct merging *merging, const struct config_text *text, size_t end,
			       bool *is_taken)
{
	*is_taken = false;
	for (size_t i = merging->first; i < end && text->is_cut && !text->version.size; i++) {
		struct config_text *other = merging->texts->list[i];
		if (config_text_is_whole(other) || overlap_of(text, other).common > 0)
			continue;
		*is_taken = true;
		TRY(merge(merging, text, other));
	}
	*is_taken = *is_taken || is_copy(merging, text, end);
	return KIOKU_OK;
}

static enum kioku_status merge_texts(struct merging *merging)
{
	struct config_texts *texts = merging->texts;
	size_t kept = merging->first, left = MERGE_LIMIT;
	bool is_taken;

	qsort(texts->list + kept, texts->count - kept, sizeof(*texts->list), compare_texts);
	for (size_t i = 0; i < texts->count; i++)
		TRY(config_text_sort(texts->list[i]));
	for (; kept < texts->count && left > 0; left--) {
		TRY(place(merging, texts->list[kept], kept, &is_taken));
		if (is_taken)
			config_texts_drop(texts, kept);
		else
			kept++;
	}
	texts->is_full |= kept < texts->count;
	while (texts->count > kept)
		config_texts_drop(texts, texts->count - 1);
	return KIOKU_OK;
}

enum kioku_status config_pages_join(struct kioku_source *source, const struct config_scan *scan,
				    struct config_texts *texts)
{
	CLEANUP(config_pieces_release) struct config_pieces pieces = { 0 };
	struct merging merging = { &pieces, texts, texts->count };

	TRY(config_pieces_cut(source, scan, texts, &pieces));
	if (pieces.count == 0)
		return KIOKU_OK;
	link_rows(&pieces, true);
	link_rows(&pieces, false);
	TRY(link_ends(&pieces));
	cut_chains(&pieces);
	TRY(give_chains(&pieces, texts));
	return merge_texts(&merging);
}
