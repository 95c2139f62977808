/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "format/json_writer.h"
#include "format/manifest_json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FORM(members)                   \
	{                               \
		members, COUNT(members) \
	}

#define OF_MANIFEST(name, kind, field)                                    \
	{                                                                 \
		name, JSON_##kind, offsetof(struct manifest, field), NULL \
	}

const char *const page_state_names[PAGE_STATE_COUNT] = {
	"read", "zero", "offline", "poisoned", "faulted", "timed_out", "excluded", "missing",
};

static const struct json_member host_members[] = {
	OF_MANIFEST("name", TEXT, host_name),  OF_MANIFEST("release", TEXT, release),
	OF_MANIFEST("version", TEXT, version), OF_MANIFEST("machine", TEXT, machine),
	OF_MANIFEST("boot_id", TEXT, boot_id), OF_MANIFEST("cmdline", TEXT, cmdline),
};

/* A journal has the first three. */
static const struct json_member image_members[] = {
	OF_MANIFEST("name", TEXT, image_name),   OF_MANIFEST("format", TEXT, image_format),
	OF_MANIFEST("codec", TEXT, image_codec), OF_MANIFEST("size", NUMBER, image_size),
	OF_MANIFEST("md5", MD5, image_md5),      OF_MANIFEST("sha256", SHA256, image_sha256),
};

static const struct json_member footprint_members[] = {
	OF_MANIFEST("peak_memory", NUMBER, peak_memory),
	OF_MANIFEST("cpu_seconds", SECONDS, cpu_seconds),
};

static const struct json_member refusal_members[] = {
	{ "driver", JSON_TEXT, offsetof(struct manifest_refusal, driver), NULL },
	{ "reason", JSON_TEXT, offsetof(struct manifest_refusal, reason), NULL },
};

static const struct json_member file_members[] = {
	{ "name", JSON_TEXT, offsetof(struct manifest_file, name), NULL },
	{ "origin", JSON_OPTIONAL, offsetof(struct manifest_file, origin), NULL },
	{ "size", JSON_NUMBER, offsetof(struct manifest_file, size), NULL },
	{ "sha256", JSON_SHA256, offsetof(struct manifest_file, sha256), NULL },
};

static const struct json_member error_members[] = {
	{ "physical", JSON_ADDRESS, offsetof(struct manifest_error, physical), NULL },
	{ "size", JSON_NUMBER, offsetof(struct manifest_error, size), NULL },
	{ "reason", JSON_TEXT, offsetof(struct manifest_error, reason), NULL },
};

static const struct json_member segment_members[] = {
	{ "sha256", JSON_DIGEST, offsetof(struct manifest_segment, sha256), NULL },
	{ "begin", JSON_SECONDS, offsetof(struct manifest_segment, begin), NULL },
	{ "end", JSON_SECONDS, offsetof(struct manifest_segment, end), NULL },
};

const struct json_form json_host = FORM(host_members);
const struct json_form json_image = FORM(image_members);
const struct json_form json_journal_image = { image_members, 3 };
const struct json_form json_footprint = FORM(footprint_members);
const struct json_form json_refusal = FORM(refusal_members);
const struct json_form json_file = FORM(file_members);
const struct json_form json_error = FORM(error_members);
const struct json_form json_segment = FORM(segment_members);

/* null for NULL and "". */
static void put_text(FILE *out, const char *text)
{
	if (text && *text)
		json_write_string(out, (struct bytes){ (const uint8_t *)text, strlen(text) });
	else
		fputs("null", out);
}

/* To the microsecond, whatever the locale's decimal point. */
static void put_seconds(FILE *out, double seconds)
{
	uint64_t micros = seconds > 0 && seconds <= 1e9 ? (uint64_t)(seconds * 1e6 + 0.5) : 0;

	fprintf(out, "%" PRIu64 ".%06" PRIu64, micros / 1000000, micros % 1000000);
}

static void put_value(FILE *out, enum json_kind kind, const void *at)
{
	switch (kind) {
	case JSON_NESTED:
	case JSON_NESTED_ADDED: break;
	case JSON_DIGEST:
		putc('"', out);
		for (size_t i = 0; i < MANIFEST_HASH_SIZE; i++)
			fprintf(out, "%02x", ((const uint8_t *)at)[i]);
		putc('"', out);
		break;
	case JSON_NUMBER: fprintf(out, "%" PRIu64, *(const uint64_t *)at); break;
	case JSON_ADDRESS: fprintf(out, "\"0x%" PRIx64 "\"", *(const uint64_t *)at); break;
	case JSON_SECONDS: put_seconds(out, *(const double *)at); break;
	case JSON_FLAG: fputs(*(const bool *)at ? "true" : "false", out); break;
	default: put_text(out, *(char *const *)at); break;
	}
}

/* "name": value, ... without braces. */
static void put_members(FILE *out, const struct json_form *form, const void *object)
{
	for (size_t i = 0; i < form->count; i++) {
		const struct json_member *member = &form->members[i];
		fprintf(out, "%s\"%s\": ", i > 0 ? ", " : "", member->name);
		put_value(out, member->kind, (const uint8_t *)object + member->offset);
	}
}

static void put_object(FILE *out, const struct json_form *form, const void *object)
{
	putc('{', out);
	put_members(out, form, object);
	putc('}', out);
}

/* An array of objects, each on a line of its own behind indent, or all on one if that is NULL. */
static void put_array(FILE *out, const char *indent, const struct json_form *form,
		      const void *array, size_t count, size_t size)
{
	putc('[', out);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			fputs(indent ? "," : ", ", out);
		if (indent)
			fprintf(out, "\n%s ", indent);
		put_object(out, form, (const uint8_t *)array + i * size);
	}
	if (indent && count > 0)
		fprintf(out, "\n%s", indent);
	putc(']', out);
}

static void put_tool(FILE *out, const struct manifest *manifest)
{
	fputs("\"tool\": {\"name\": \"kioku\", \"version\": ", out);
	put_text(out, manifest->tool_version);
	putc('}', out);
}

static void put_host(FILE *out, const struct manifest *manifest)
{
	const char *const texts[] = { manifest->host_name, manifest->release, manifest->version,
				      manifest->machine,   manifest->boot_id, manifest->cmdline };
	bool known = false;

	for (size_t i = 0; i < COUNT(texts); i++)
		known |= texts[i] && *texts[i];
	fputs("\"host\": ", out);
	if (known)
		put_object(out, &json_host, manifest);
	else
		fputs("null", out);
}

/* Without the brace at its end. */
static void put_source(FILE *out, const char *indent, const struct manifest *manifest)
{
	fputs("\"source\": {\"where\": ", out);
	put_text(out, manifest->where);
	fputs(", \"driver\": ", out);
	put_text(out, manifest->driver);
	fputs(", \"refusals\": ", out);
	put_array(out, indent, &json_refusal, manifest->refusals, manifest->refusal_count,
		  sizeof(*manifest->refusals));
}

/* As its maker says it. */
static void put_process(FILE *out, const struct manifest *manifest)
{
	fprintf(out, "\"process\": %s", manifest->process ? manifest->process : "null");
}

static void put_counts(FILE *out, const struct manifest *manifest)
{
	uint64_t counts[PAGE_STATE_COUNT] = { 0 }, size = 0, count;
	enum page_state state;

	for (size_t i = 0; i < manifest->range_count; i++) {
		const char *rest = manifest->ranges[i].states;
		size += manifest->ranges[i].size;
		while (rest && (rest = page_states_next(rest, &state, &count)))
			counts[state] += count;
	}
	fprintf(out, "  \"size\": %" PRIu64 ",\n  \"counts\": {", size);
	for (size_t i = 0; i < PAGE_STATE_COUNT; i++)
		fprintf(out, "%s\"%s\": %" PRIu64, i > 0 ? ", " : "", page_state_names[i],
			counts[i]);
	fputs("},\n", out);
}

static void put_range(FILE *out, const struct manifest_range *range, bool with_states)
{
	fprintf(out, "{\"start\": \"0x%" PRIx64 "\", \"end\": \"0x%" PRIx64 "\"", range->start,
		range->start + range->size - 1);
	if (with_states) {
		fputs(", \"states\": ", out);
		put_text(out, range->states);
	}
	putc('}', out);
}

static void put_memory(FILE *out, const struct manifest *manifest)
{
	fputs(" \"memory\": {\n", out);
	put_counts(out, manifest);
	fputs("  \"md5\": ", out);
	put_text(out, manifest->memory_md5);
	fputs(",\n  \"sha256\": ", out);
	put_text(out, manifest->memory_sha256);
	fputs(",\n  \"ranges\": [", out);
	for (size_t i = 0; i < manifest->range_count; i++) {
		fputs(i > 0 ? ",\n   " : "\n   ", out);
		put_range(out, &manifest->ranges[i], true);
	}
	fputs(manifest->range_count > 0 ? "\n  ]\n },\n" : "]\n },\n", out);
}

/* What was made when, by whom, of what. */
static void put_facts(FILE *out, const struct manifest *manifest)
{
	fprintf(out, "{\n \"kioku_manifest\": %d,\n ", MANIFEST_VERSION);
	put_tool(out, manifest);
	fprintf(out,
		",\n \"complete\": %s,\n \"started\": ", manifest->complete ? "true" : "false");
	put_text(out, manifest->started);
	fputs(",\n \"ended\": ", out);
	put_text(out, manifest->ended);
	fputs(",\n ", out);
	put_host(out, manifest);
	fputs(",\n ", out);
	put_source(out, " ", manifest);
	fprintf(out, ", \"iomem_changed\": %s},\n ", manifest->iomem_changed ? "true" : "false");
	put_process(out, manifest);
	fputs(",\n \"image\": ", out);
	put_object(out, &json_image, manifest);
	fputs(",\n \"converted_from\": ", out);
	put_text(out, manifest->converted_from);
	fputs(",\n", out);
}

static void put_segments(FILE *out, const struct manifest *manifest)
{
	fprintf(out, " \"segment_size\": %u,\n \"segments\": ", MANIFEST_SEGMENT_SIZE);
	put_array(out, " ", &json_segment, manifest->segments, manifest->segment_count,
		  sizeof(*manifest->segments));
	fputs(",\n \"root\": ", out);
	put_text(out, manifest->root);
	fputs(",\n", out);
}

static void put_rest(FILE *out, const struct manifest *manifest)
{
	fputs(" \"errors\": ", out);
	put_array(out, " ", &json_error, manifest->errors, manifest->error_count,
		  sizeof(*manifest->errors));
	fputs(",\n \"context\": ", out);
	if (manifest->context)
		put_object(out, &json_file, manifest->context);
	else
		fputs("null", out);
	fputs(",\n \"swap\": ", out);
	put_array(out, " ", &json_file, manifest->swaps, manifest->swap_count,
		  sizeof(*manifest->swaps));
	fputs(",\n \"footprint\": ", out);
	put_object(out, &json_footprint, manifest);
	fputs("\n}\n", out);
}

enum kioku_status manifest_encode(const struct manifest *manifest, char **out, size_t *size,
				  struct kioku_error *error)
{
	*out = NULL;
	FILE *file = open_memstream(out, size);
	if (!file)
		return error_no_memory(error);
	put_facts(file, manifest);
	put_memory(file, manifest);
	put_segments(file, manifest);
	put_rest(file, manifest);
	bool failed = ferror(file);
	if (fclose(file) == 0 && !failed)
		return KIOKU_OK;
	free(*out);
	*out = NULL;
	return error_no_memory(error);
}

static void put_head(FILE *out, const struct manifest *manifest)
{
	fprintf(out, "{\"kioku_journal\": %d, ", MANIFEST_VERSION);
	put_tool(out, manifest);
	fputs(", \"started\": ", out);
	put_text(out, manifest->started);
	fputs(", ", out);
	put_host(out, manifest);
	fputs(", ", out);
	put_source(out, NULL, manifest);
	fputs("}, ", out);
	put_process(out, manifest);
	fputs(", \"image\": ", out);
	put_object(out, &json_journal_image, manifest);
	fputs(", \"converted_from\": ", out);
	put_text(out, manifest->converted_from);
	fputs(", \"memory\": {\"ranges\": [", out);
	for (size_t i = 0; i < manifest->range_count; i++) {
		fputs(i > 0 ? ", " : "", out);
		put_range(out, &manifest->ranges[i], false);
	}
	fprintf(out, "]}, \"segment_size\": %u}\n", MANIFEST_SEGMENT_SIZE);
}

/* What head or segment, the other NULL, comes to in text. */
static char *encode_line(const struct manifest *head, uint64_t index,
			 const struct manifest_segment *segment)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	if (head) {
		put_head(file, head);
	} else {
		fprintf(file, "{\"segment\": %" PRIu64 ", ", index);
		put_members(file, &json_segment, segment);
		fputs("}\n", file);
	}
	bool failed = ferror(file);
	if (fclose(file) == 0 && !failed)
		return text;
	free(text);
	return NULL;
}

char *journal_head(const struct manifest *manifest)
{
	return encode_line(manifest, 0, NULL);
}

char *journal_line(uint64_t segment, const struct manifest_segment *content)
{
	return encode_line(NULL, segment, content);
}
