/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* YARA's rules, by libyara. Compiled once; any number of threads may scan by them at a time. */
#ifndef SEARCH_RULES_H
#define SEARCH_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct rules;

/* Errors: OS, ARGUMENT (what is wrong in which line), UNSUPPORTED (this build has no libyara). */
enum kioku_status rules_compile(const char *path, struct rules **out, struct kioku_error *error);
void rules_release(struct rules *rules); /* NULL is fine */
DEFINE_CLEANUP(rules, struct rules, rules_release)
#define AUTO_RULES CLEANUP(cleanup_rules)

/* Memory in a row. */
struct rule_block {
	uint64_t address;
	const uint8_t *data;
	size_t size;
};

/* Pointers to names live as long as the rules, data until the call returns. */
struct rule_match {
	const char *rule, *namespace;
	const char *tags; /* size bytes, a NUL behind each */
	size_t tags_size;
	const char *meta; /* "NAME=VALUE", likewise */
	size_t meta_size;
	const char *string; /* "$a"; NULL: the rule is true without any */
	uint64_t address, size;
	const uint8_t *data; /* its first bytes */
	size_t data_size;
};

/* The next block, whose data stays until the one after it is asked for; false at the end. */
typedef bool rule_block_fn(void *user, struct rule_block *out);

/* Not OK: the scan stops with this status. */
typedef enum kioku_status rule_match_fn(void *user, const struct rule_match *match);

/*
 * Scans all blocks, ascending, as one thing: a rule is true of all of them. is_process: it is the memory of
 * a process, and no file. *too_many: a string was found so often that not all places are known.
 * Errors: NO_MEMORY, STOPPED, or receive's.
 */
struct rule_scan {
	rule_block_fn *next;
	rule_match_fn *receive;
	void *user;
	bool is_process;
	bool too_many; /* out */
};
enum kioku_status rules_scan(struct rules *rules, struct rule_scan *scan,
			     struct kioku_error *error);

#endif
