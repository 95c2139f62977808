/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "source/manifest_facts.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What is not known is left out. */
static bool add(struct kioku_source *source, const char *name, const char *value)
{
	if (!value || value[0] == '\0')
		return true;
	char *copy = strdup(value);
	if (copy)
		source->manifest[source->manifest_count++] =
			(struct kioku_source_fact){ name, copy };
	return copy;
}

enum kioku_status manifest_facts_keep(const struct overlay *overlay, struct kioku_source *source,
				      struct kioku_error *error)
{
	const struct manifest *manifest = &overlay->manifest;
	char size[32], errors[32];
	const struct kioku_source_fact facts[] = {
		{ "state", manifest->complete ? "complete" : "incomplete" },
		{ "host", manifest->host_name },
		{ "machine_release", manifest->release },
		{ "boot_id", manifest->boot_id },
		{ "started", manifest->started },
		{ "ended", manifest->ended },
		{ "tool_version", manifest->tool_version },
		{ "taken_from", manifest->where },
		{ "by", manifest->driver },
		{ "image_name", manifest->image_name },
		{ "image_size", size },
		{ "image_sha256", manifest->image_sha256 },
		{ "image_md5", manifest->image_md5 },
		{ "memory_sha256", manifest->memory_sha256 },
		{ "memory_md5", manifest->memory_md5 },
		{ "segments_root", manifest->root },
		{ "converted_from", manifest->converted_from },
		{ "errors", errors },
	};

	if (!overlay->is_used)
		return KIOKU_OK;
	snprintf(size, sizeof(size), "%llu", (unsigned long long)manifest->image_size);
	snprintf(errors, sizeof(errors), "%zu", manifest->error_count);
	source->manifest = calloc(COUNT(facts), sizeof(*source->manifest));
	if (!source->manifest)
		return error_no_memory(error);
	for (size_t i = 0; i < COUNT(facts); i++)
		if (!add(source, facts[i].name, facts[i].value))
			return error_no_memory(error);
	return KIOKU_OK;
}

void manifest_facts_release(struct kioku_source *source)
{
	for (size_t i = 0; i < source->manifest_count; i++)
		free((char *)source->manifest[i].value);
	free(source->manifest);
}

const struct kioku_source_fact *kioku_source_manifest(const struct kioku_source *source,
						      size_t *count)
{
	*count = source->manifest_count;
	return source->manifest;
}
