/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs of lines in single pages, and what all of them together know of options. */
#ifndef KCONFIG_CONFIG_PIECES_H
#define KCONFIG_CONFIG_PIECES_H

#include "kconfig/config_scan.h"
#include "kconfig/config_text.h"

/* Whether the line that lies across the border of two pages is one. */
enum config_fit {
	FIT_NOT,
	FIT_POSSIBLE, /* it may be; by chance one in six or so is */
	FIT_LIKELY, /* also, what is on both sides of the border makes up a word that is in other names */
	FIT_KNOWN, /* an option of another configuration */
};

/* A run of lines in one page. */
struct config_piece {
	uint64_t physical;
	struct bytes text;
	struct bytes
		head; /* up to its first line feed, if it begins with its page; the page before may have more */
	struct bytes tail; /* behind its last one, if it ends with its page */
	bool begins_page, ends_page;
	bool is_start; /* of a file */
	bool is_seen, is_given;
	struct config_piece *next, *previous;
	enum config_fit fit; /* of next */
};

/* An option that stands somewhere as a whole line. */
struct config_known {
	struct bytes name, value;
	uint32_t count; /* lines */
	bool is_agreed; /* all of them have the same value */
};

struct config_pieces {
	struct config_piece *list; /* ascending */
	size_t count, capacity;
	struct config_known *known; /* by name */
	size_t known_count, known_capacity;
	struct bytes *words; /* that names consist of */
	size_t word_count, word_capacity;
	uint32_t *heads, *following, head_count; /* see base/name_index.h */
	uint32_t copies; /* in how many configurations an option is, but for few of them */
};

/* Cuts the pages of a scan that are of no file into pieces, and learns from these, and from texts. Errors: NO_MEMORY. */
enum kioku_status config_pieces_cut(struct kioku_source *source, const struct config_scan *scan,
				    struct config_texts *texts, struct config_pieces *out);
void config_pieces_release(struct config_pieces *pieces);

/* What is known of an option; NULL: nothing. */
const struct config_known *config_pieces_find(const struct config_pieces *pieces,
					      struct bytes name);

/* Whether one goes on in two. */
enum config_fit config_pieces_fit(const struct config_pieces *pieces,
				  const struct config_piece *one, const struct config_piece *two);

#endif
