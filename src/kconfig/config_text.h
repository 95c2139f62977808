/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One configuration as it lay in memory: its lines in order, and what it says of the kernel that it is for. */
#ifndef KCONFIG_CONFIG_TEXT_H
#define KCONFIG_CONFIG_TEXT_H

#include "base/arena.h"
#include "base/error.h"
#include "format/kconfig_format.h"

#define CONFIG_LINE_LIMIT (1u << 20) /* of all texts together: a hundred times what a kernel has */
#define CONFIG_TEXT_LIMIT 1024u

enum config_origin {
	CONFIG_BUILT_IN, /* the running kernel's own copy */
	CONFIG_PACKED, /* such a copy elsewhere: of a file, a module, or a kernel that was not found */
	CONFIG_FILE,  /* the page cache of one file */
	CONFIG_PAGES, /* pages that nobody says the file of */
};

struct config_line {
	struct bytes name, value; /* in the arena, or static */
	uint64_t physical;        /* of its first byte */
	bool has_physical;        /* it lies in memory as it is, not packed */
	bool is_joined;   /* from two pages that are one after the other by what they say alone */
	bool is_doubtful; /* of a page that may be of another configuration as well */
};

struct config_text {
	enum config_origin origin;
	const char *path; /* of FILE, inside of its file system; NULL: it is not known */
	struct config_line *lines;
	size_t count, capacity;
	bool is_started;      /* its first lines are those of a file */
	bool is_cut;          /* of PAGES: something came before its first line */
	struct bytes version; /* of the kernel, from its title; size 0: not there, as below */
	struct bytes compiler, salt, local_version; /* without quotes */
	uint64_t lost_pages;                        /* that are not in memory */
	uint64_t lost_lines;                        /* of which a part is missing */
	uint64_t foreign;                           /* lines that are none of a configuration */
	uint64_t copies;   /* other places in memory that had the same lines */
	uint32_t *by_name; /* indexes of lines, see config_text_sort(); NULL: not yet */
	size_t distinct;   /* names in by_name */
};

struct config_texts {
	struct arena arena; /* of what lines consist of */
	struct config_text **list;
	size_t count, capacity;
	size_t line_count; /* of all */
	bool is_full;      /* a limit was met, and something left out */
};

/* A new one at the end. NULL: no memory, or too many, as is_full says then. */
struct config_text *config_texts_add(struct config_texts *texts, enum config_origin origin);
void config_texts_release(struct config_texts *texts);

/* Takes texts[index] out of the list, and releases it. */
void config_texts_drop(struct config_texts *texts, size_t index);

/* Appends a line, whose name and value are in the arena. Errors: NO_MEMORY; past the limit, it is left out. */
enum kioku_status config_text_add(struct config_texts *texts, struct config_text *text,
				  const struct config_line *line);

/* As memcmp(); the shorter one of two that begin alike comes first. */
int config_name_compare(struct bytes one, struct bytes two);

/* Orders the names; of a name that occurs more than once the last line counts, as it does for make. */
enum kioku_status config_text_sort(struct config_text *text);

/* A line by its name, NULL: there is none. After config_text_sort(). */
const struct config_line *config_text_find(const struct config_text *text, struct bytes name);

/* Whether nothing of it is missing. */
bool config_text_is_whole(const struct config_text *text);

/*
 * Makes lines of pieces of text. What a piece ends with and the next one begins with are one line, unless
 * config_reader_break() is called between them.
 */
struct config_reader {
	struct config_texts *texts;
	struct config_text
		*text; /* what goes on: another one where a file has two configurations in it */
	char partial[KCONFIG_LINE_LIMIT];
	size_t partial_size;
	uint64_t partial_physical;
	bool is_inside;   /* the beginning of this line is not known */
	bool is_joining;  /* whether the line that goes on is_joined */
	bool is_doubtful; /* of all lines that come */
	bool has_physical;
};

/* is_start: what comes first is the start of a line. */
void config_reader_begin(struct config_reader *reader, struct config_texts *texts,
			 struct config_text *text, bool is_start);

/* Errors: NO_MEMORY. */
enum kioku_status config_reader_feed(struct config_reader *reader, struct bytes piece,
				     uint64_t physical);

/* What follows does not go on with what was there. */
void config_reader_break(struct config_reader *reader);

/* Also a line without a line feed is one, where the text ends. */
enum kioku_status config_reader_end(struct config_reader *reader);

#endif
