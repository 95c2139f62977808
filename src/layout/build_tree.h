/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder in which a kernel's makefiles work, apart from its source, and the programs that are run there. */
#ifndef LAYOUT_BUILD_TREE_H
#define LAYOUT_BUILD_TREE_H

#include <kioku/layout.h>

#include "base/cleanup.h"
#include "base/diagnostic.h"
#include "base/error.h"

#define BUILD_PATH       512 /* make has no longer ones */
#define BUILD_LOG_LINES  12
#define BUILD_LINE       240
#define BUILD_WORD_LIMIT 320

/* What programs said: the last lines, and the first complaint of a compiler. */
struct build_log {
	char lines[BUILD_LOG_LINES][BUILD_LINE];
	size_t count; /* of lines, also of those that are no longer there */
	char partial[BUILD_LINE];
	size_t partial_size;
	char complaint[BUILD_LINE];
};

struct build_tree {
	const struct kioku_layout_options *options;
	struct diagnostics diagnostics;
	char source[BUILD_PATH];
	char folder[BUILD_PATH]; /* "": none was made */
	char output[BUILD_PATH]; /* below it: what make calls O */
	char units[BUILD_PATH];  /* likewise: what it calls M */
	char compiler[128];
	bool links_by_lld;
	struct build_log log;
};

/* Whether make can work with a path: it has no way of quoting. */
bool build_path_is_plain(const char *path);

/*
 * Checks the source, and makes the folder. build_tree_close() in any case.
 * Errors: OS, ARGUMENT, REFUSED (there is no kernel's source, or it was built in).
 */
enum kioku_status build_tree_open(struct build_tree *tree,
				  const struct kioku_layout_options *options,
				  struct kioku_error *error);
void build_tree_close(struct build_tree *tree);
#define AUTO_BUILD_TREE CLEANUP(build_tree_close)

/* The words of one command line. */
struct build_words {
	const char *list[BUILD_WORD_LIMIT + 1];
	size_t count;
};

/* One that is too many is left out, and so is what follows: the program will complain. */
void build_add(struct build_words *words, const char *word);

/*
 * Runs make for targets. is_thorough: it goes on with others where one fails, and *failed is for the caller to judge.
 * Errors: OS, STOPPED; UNSUPPORTED (it failed; its last lines were diagnosed), if not is_thorough.
 */
enum kioku_status build_tree_make(struct build_tree *tree, const char *doing,
				  const struct build_words *targets, bool is_thorough,
				  struct kioku_error *error);

/* Runs any program there. Errors: likewise. */
enum kioku_status build_tree_run(struct build_tree *tree, const char *doing,
				 const struct build_words *words, struct kioku_error *error);

/* Says the last lines of what was run last. */
void build_tree_say_log(const struct build_tree *tree);

#endif
