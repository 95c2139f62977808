/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "search/rules.h"

#include <stdio.h>
#include <string.h>
#include <yara.h>

#include "base/arena.h"

struct rules {
	YR_RULES *compiled;
	struct arena arena; /* of metas */
	const char **metas; /* by rule */
	size_t *meta_sizes;
};

struct compiling {
	const char *path;
	struct kioku_error *error;
};

static void note_error(int level, const char *file, int line, const YR_RULE *rule,
		       const char *message, void *user)
{
	struct compiling *compiling = user;
	struct kioku_error *error = compiling->error;

	if (level == YARA_ERROR_LEVEL_ERROR && error && error->status == KIOKU_OK)
		error_set(error, KIOKU_ERROR_ARGUMENT, "%s, line %d: %s",
			  file ? file : compiling->path, line, message);
}

/* The first error is said, if there is any. */
static enum kioku_status compile(YR_COMPILER *compiler, const char *path, YR_RULES **out,
				 struct kioku_error *error)
{
	struct kioku_error first = { 0 };
	struct compiling compiling = { path, &first };
	FILE *file = fopen(path, "re");

	if (!file)
		return error_os(error, "cannot read %s", path);
	yr_compiler_set_callback(compiler, note_error, &compiling);
	int errors = yr_compiler_add_file(compiler, file, NULL, path);
	fclose(file);
	if (errors > 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "%s",
				 first.status ? first.message : "these are no rules");
	return yr_compiler_get_rules(compiler, out) == ERROR_SUCCESS ? KIOKU_OK
								     : error_no_memory(error);
}

static char *meta_text(struct arena *arena, const YR_META *meta)
{
	switch (meta->type) {
	case META_TYPE_INTEGER:
		return arena_format(arena, "%s=%lld", meta->identifier, (long long)meta->integer);
	case META_TYPE_BOOLEAN:
		return arena_format(arena, "%s=%s", meta->identifier,
				    meta->integer ? "true" : "false");
	default: return arena_format(arena, "%s=%s", meta->identifier, meta->string);
	}
}

/* Made ahead, because several threads will want it. */
static bool write_meta(struct rules *rules, YR_RULE *rule, size_t index)
{
	size_t size = 0, used = 0, length;
	YR_META *meta;

	yr_rule_metas_foreach(rule, meta) size +=
		strlen(meta->identifier) + 32 +
		(meta->type == META_TYPE_STRING ? strlen(meta->string) : 0);
	char *out = arena_allocate(&rules->arena, size + 1);
	if (!out)
		return false;
	yr_rule_metas_foreach(rule, meta)
	{
		char *text = meta_text(&rules->arena, meta);
		if (!text)
			return false;
		length = strlen(text) + 1;
		if (used + length > size)
			break;
		memcpy(out + used, text, length);
		used += length;
	}
	rules->metas[index] = out;
	rules->meta_sizes[index] = used;
	return true;
}

static bool write_metas(struct rules *rules)
{
	size_t count = rules->compiled->num_rules;

	rules->metas = calloc(count + 1, sizeof(*rules->metas));
	rules->meta_sizes = calloc(count + 1, sizeof(*rules->meta_sizes));
	if (!rules->metas || !rules->meta_sizes)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!write_meta(rules, &rules->compiled->rules_table[i], i))
			return false;
	return true;
}

enum kioku_status rules_compile(const char *path, struct rules **out, struct kioku_error *error)
{
	AUTO_RULES struct rules *rules = calloc(1, sizeof(*rules));
	YR_COMPILER *compiler;

	if (!rules)
		return error_no_memory(error);
	if (yr_initialize() != ERROR_SUCCESS) {
		free(TAKE(rules));
		return error_no_memory(error);
	}
	if (yr_compiler_create(&compiler) != ERROR_SUCCESS)
		return error_no_memory(error);
	enum kioku_status status = compile(compiler, path, &rules->compiled, error);
	yr_compiler_destroy(compiler);
	if (status != KIOKU_OK)
		return status;
	if (!write_metas(rules))
		return error_no_memory(error);
	*out = TAKE(rules);
	return KIOKU_OK;
}

void rules_release(struct rules *rules)
{
	if (!rules)
		return;
	if (rules->compiled)
		yr_rules_destroy(rules->compiled);
	arena_release(&rules->arena);
	free(rules->metas);
	free(rules->meta_sizes);
	free(rules);
	yr_finalize();
}

/* --- scanning */

struct scanning {
	struct rules *rules;
	struct rule_scan *scan;
	struct rule_block block;
	YR_MEMORY_BLOCK memory;
	enum kioku_status status;
};

static const uint8_t *fetch(YR_MEMORY_BLOCK *memory)
{
	const struct scanning *scanning = memory->context;

	return scanning->block.data;
}

static YR_MEMORY_BLOCK *next_block(YR_MEMORY_BLOCK_ITERATOR *iterator)
{
	struct scanning *scanning = iterator->context;

	iterator->last_error = ERROR_SUCCESS;
	if (!scanning->scan->next(scanning->scan->user, &scanning->block))
		return NULL;
	scanning->memory = (YR_MEMORY_BLOCK){ .size = scanning->block.size,
					      .base = scanning->block.address,
					      .context = scanning,
					      .fetch_data = fetch };
	return &scanning->memory;
}

static size_t tags_size(const char *tags)
{
	size_t size = 0;

	while (tags && tags[size])
		size += strlen(tags + size) + 1;
	return size;
}

/* The base of a block is added modulo 2^64. */
static void place_match(struct rule_match *out, const YR_STRING *string, const YR_MATCH *match)
{
	out->string = string->identifier;
	out->address = (uint64_t)match->base + (uint64_t)match->offset;
	out->size = (uint64_t)match->match_length;
	out->data = match->data;
	out->data_size = (size_t)match->data_length;
}

static enum kioku_status give_rule(struct scanning *scanning, YR_SCAN_CONTEXT *context,
				   YR_RULE *rule)
{
	struct rule_scan *scan = scanning->scan;
	size_t index = (size_t)(rule - scanning->rules->compiled->rules_table), count = 0;
	struct rule_match found = {
		.rule = rule->identifier,
		.namespace = rule->ns->name,
		.tags = rule->tags,
		.tags_size = tags_size(rule->tags),
		.meta = scanning->rules->metas[index],
		.meta_size = scanning->rules->meta_sizes[index],
	};
	YR_STRING *string;
	YR_MATCH match;

	yr_rule_strings_foreach(rule, string)
	{
		/* libyara keeps them at any address, where the compiler may not expect one. */
		for (const YR_MATCH *at = context->matches[string->idx].head; at; at = match.next) {
			memcpy(&match, at, sizeof(match));
			if (match.is_private)
				continue;
			place_match(&found, string, &match);
			TRY(scan->receive(scan->user, &found));
			count++;
		}
	}
	return count > 0 ? KIOKU_OK : scan->receive(scan->user, &found);
}

static int take_message(YR_SCAN_CONTEXT *context, int message, void *data, void *user)
{
	struct scanning *scanning = user;

	if (message == CALLBACK_MSG_TOO_MANY_MATCHES)
		scanning->scan->too_many = true;
	if (message == CALLBACK_MSG_RULE_MATCHING)
		scanning->status = give_rule(scanning, context, data);
	return scanning->status == KIOKU_OK ? CALLBACK_CONTINUE : CALLBACK_ABORT;
}

enum kioku_status rules_scan(struct rules *rules, struct rule_scan *scan, struct kioku_error *error)
{
	struct scanning scanning = { .rules = rules, .scan = scan };
	YR_MEMORY_BLOCK_ITERATOR iterator = { .context = &scanning,
					      .first = next_block,
					      .next = next_block };
	YR_SCANNER *scanner;

	if (yr_scanner_create(rules->compiled, &scanner) != ERROR_SUCCESS)
		return error_no_memory(error);
	yr_scanner_set_callback(scanner, take_message, &scanning);
	/* A file that became shorter is noticed as all of kioku notices it: no handlers of its own. */
	yr_scanner_set_flags(scanner, SCAN_FLAGS_NO_TRYCATCH |
					      (scan->is_process ? SCAN_FLAGS_PROCESS_MEMORY : 0));
	int result = yr_scanner_scan_mem_blocks(scanner, &iterator);
	yr_scanner_destroy(scanner);
	if (scanning.status != KIOKU_OK)
		return scanning.status;
	if (result == ERROR_SUCCESS)
		return KIOKU_OK;
	return error_set(error, KIOKU_ERROR_LIMIT, "libyara gave up: its error %d", result);
}
