/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "format/manifest_json.h"

#define SEGMENTS_MAX (1ull << 26) /* an image of 64 TiB */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A line of the journal. */
struct noted {
	uint64_t index;
	struct manifest_segment segment;
};

/* Of all ranges. */
struct tally {
	uint64_t size, pages[PAGE_STATE_COUNT];
};

struct decoding {
	struct manifest manifest;
	bool is_journal;
	uint64_t version, segment_size;
	struct tally said, found; /* found: in the ranges */
	struct noted *lines;
	size_t line_count;
};

#define MEMBER(name, kind, field)                                         \
	{                                                                 \
		name, JSON_##kind, offsetof(struct decoding, field), NULL \
	}
#define NESTED(name, decode)                   \
	{                                      \
		name, JSON_NESTED, 0, (decode) \
	}

const char *page_states_next(const char *states, enum page_state *state, uint64_t *count)
{
	static const char letters[] = PAGE_STATE_LETTERS;
	const char *letter = *states ? strchr(letters, *states) : NULL;
	uint64_t value = 0;

	*count = *states != '\0'; /* until it is known to be more than damage */
	if (!letter)
		return NULL;
	for (states++; *states >= '0' && *states <= '9'; states++) {
		if (value >> 56)
			return NULL;
		value = value * 10 + (uint64_t)(*states - '0');
	}
	if (value == 0)
		return NULL;
	*state = (enum page_state)(letter - letters);
	*count = value;
	return states;
}

/* A text of JSON whose line ends stand between its tokens; NULL: no memory. */
static char *copy_line(struct bytes text)
{
	char *line = strndup((const char *)text.data, text.size);

	for (char *at = line; at && (at = strpbrk(at, "\r\n"));)
		*at = ' ';
	return line;
}

enum kioku_status manifest_object_line(struct bytes text, char **out, struct kioku_error *error)
{
	struct json_reader reader;
	struct bytes object;
	enum kioku_status status = json_reader_open(&reader, text, error);

	*out = NULL;
	if (status == KIOKU_OK)
		status = json_take_object(&reader, &object);
	if (status == KIOKU_OK && !json_at_end(&reader))
		status = json_corrupt(&reader, "something follows it");
	json_reader_close(&reader);
	if (status != KIOKU_OK)
		return status;
	*out = copy_line(object);
	return *out ? KIOKU_OK : error_no_memory(error);
}

static enum kioku_status read_form(struct json_reader *reader, const struct json_form *form,
				   void *target)
{
	return json_read_object(reader, form->members, form->count, target);
}

static enum kioku_status decode_tool(struct json_reader *reader)
{
	static const struct json_member members[] = {
		MEMBER("version", TEXT, manifest.tool_version),
	};

	return json_read_object(reader, members, COUNT(members), reader->user);
}

static enum kioku_status decode_host(struct json_reader *reader)
{
	struct decoding *decoding = reader->user;

	if (json_take_null(reader))
		return KIOKU_OK;
	return read_form(reader, &json_host, &decoding->manifest);
}

static enum kioku_status decode_refusal(struct json_reader *reader)
{
	struct manifest *out = &((struct decoding *)reader->user)->manifest;
	struct manifest_refusal *refusal =
		json_grow(&out->refusals, &out->refusal_count, sizeof(*refusal));

	return refusal ? read_form(reader, &json_refusal, refusal) : error_no_memory(reader->error);
}

static enum kioku_status decode_refusals(struct json_reader *reader)
{
	return json_read_array(reader, decode_refusal);
}

static enum kioku_status decode_source(struct json_reader *reader)
{
	static const struct json_member members[] = {
		MEMBER("where", TEXT, manifest.where),
		MEMBER("driver", TEXT, manifest.driver),
		NESTED("refusals", decode_refusals),
		MEMBER("iomem_changed", FLAG, manifest.iomem_changed),
	};
	struct decoding *decoding = reader->user;

	/* The last one is not known before the end. */
	return json_read_object(reader, members, COUNT(members) - decoding->is_journal, decoding);
}

static enum kioku_status decode_image(struct json_reader *reader)
{
	struct decoding *decoding = reader->user;

	return read_form(reader, decoding->is_journal ? &json_journal_image : &json_image,
			 &decoding->manifest);
}

/* Every page of the range has one state. */
static enum kioku_status check_states(struct json_reader *reader,
				      const struct manifest_range *range)
{
	struct decoding *decoding = reader->user;
	uint64_t last = range->start + range->size - 1, count;
	uint64_t left = last / CAPTURE_PAGE - range->start / CAPTURE_PAGE + 1;
	const char *rest = range->states;
	enum page_state state;

	while ((rest = page_states_next(rest, &state, &count))) {
		if (count > left)
			return json_corrupt(reader, "states are of more pages than the range has");
		left -= count;
		decoding->found.pages[state] += count;
	}
	if (count > 0)
		return json_corrupt(reader, "states are not runs such as \"r12z4000\"");
	if (left > 0)
		return json_corrupt(reader, "states are of fewer pages than the range has");
	return KIOKU_OK;
}

static enum kioku_status decode_range(struct json_reader *reader)
{
	/* size is the last address until that is known to make sense. */
	static const struct json_member members[] = {
		{ "start", JSON_ADDRESS, offsetof(struct manifest_range, start), NULL },
		{ "end", JSON_ADDRESS, offsetof(struct manifest_range, size), NULL },
		{ "states", JSON_STATES, offsetof(struct manifest_range, states), NULL },
	};
	struct decoding *decoding = reader->user;
	struct manifest *out = &decoding->manifest;
	struct manifest_range *range = json_grow(&out->ranges, &out->range_count, sizeof(*range));

	if (!range)
		return error_no_memory(reader->error);
	TRY(json_read_object(reader, members, COUNT(members) - decoding->is_journal, range));
	uint64_t last = range->size;
	if (last < range->start || last - range->start == UINT64_MAX)
		return json_corrupt(reader, "a range ends before it starts, or is everything");
	range->size = last - range->start + 1;
	if (range > out->ranges &&
	    (range->start < range[-1].start || range->start - range[-1].start < range[-1].size))
		return json_corrupt(reader, "ranges overlap or do not ascend");
	decoding->found.size += range->size;
	return decoding->is_journal ? KIOKU_OK : check_states(reader, range);
}

static enum kioku_status decode_ranges(struct json_reader *reader)
{
	return json_read_array(reader, decode_range);
}

static enum kioku_status decode_counts(struct json_reader *reader)
{
	struct json_member members[PAGE_STATE_COUNT];
	struct decoding *decoding = reader->user;

	for (size_t i = 0; i < PAGE_STATE_COUNT; i++)
		members[i] = (struct json_member){ page_state_names[i], JSON_NUMBER,
						   i * sizeof(uint64_t), NULL };
	return json_read_object(reader, members, PAGE_STATE_COUNT, decoding->said.pages);
}

static enum kioku_status decode_memory(struct json_reader *reader)
{
	static const struct json_member members[] = {
		NESTED("ranges", decode_ranges),
		MEMBER("size", NUMBER, said.size),
		MEMBER("md5", MD5, manifest.memory_md5),
		MEMBER("sha256", SHA256, manifest.memory_sha256),
		NESTED("counts", decode_counts),
	};
	struct decoding *decoding = reader->user;

	/* A journal has the plan's ranges, and no more. */
	return json_read_object(reader, members, decoding->is_journal ? 1 : COUNT(members),
				decoding);
}

static enum kioku_status decode_segment(struct json_reader *reader)
{
	struct manifest *out = &((struct decoding *)reader->user)->manifest;
	struct manifest_segment *segment =
		json_grow(&out->segments, &out->segment_count, sizeof(*segment));

	if (!segment)
		return error_no_memory(reader->error);
	segment->is_known = true;
	return read_form(reader, &json_segment, segment);
}

static enum kioku_status decode_segments(struct json_reader *reader)
{
	return json_read_array(reader, decode_segment);
}

static enum kioku_status decode_error(struct json_reader *reader)
{
	struct manifest *out = &((struct decoding *)reader->user)->manifest;
	struct manifest_error *error = json_grow(&out->errors, &out->error_count, sizeof(*error));

	return error ? read_form(reader, &json_error, error) : error_no_memory(reader->error);
}

static enum kioku_status decode_errors(struct json_reader *reader)
{
	return json_read_array(reader, decode_error);
}

static enum kioku_status decode_process(struct json_reader *reader)
{
	struct manifest *out = &((struct decoding *)reader->user)->manifest;
	struct bytes text;

	if (json_take_null(reader))
		return KIOKU_OK;
	TRY(json_take_object(reader, &text));
	out->process = copy_line(text);
	return out->process ? KIOKU_OK : error_no_memory(reader->error);
}

/* A sidecar must not lead out of its folder. */
static enum kioku_status read_file(struct json_reader *reader, struct manifest_file *file)
{
	TRY(read_form(reader, &json_file, file));
	if (file->name[0] == '\0' || strchr(file->name, '/') || strcmp(file->name, ".") == 0 ||
	    strcmp(file->name, "..") == 0)
		return json_corrupt(reader, "not a plain file name: \"%.80s\"", file->name);
	return KIOKU_OK;
}

static enum kioku_status decode_context(struct json_reader *reader)
{
	struct manifest *out = &((struct decoding *)reader->user)->manifest;
	size_t count = 0;

	if (json_take_null(reader))
		return KIOKU_OK;
	if (!json_grow(&out->context, &count, sizeof(*out->context)))
		return error_no_memory(reader->error);
	return read_file(reader, out->context);
}

static enum kioku_status decode_swap(struct json_reader *reader)
{
	struct manifest *out = &((struct decoding *)reader->user)->manifest;
	struct manifest_file *swap = json_grow(&out->swaps, &out->swap_count, sizeof(*swap));

	return swap ? read_file(reader, swap) : error_no_memory(reader->error);
}

static enum kioku_status decode_swaps(struct json_reader *reader)
{
	return json_read_array(reader, decode_swap);
}

static enum kioku_status decode_footprint(struct json_reader *reader)
{
	struct decoding *decoding = reader->user;

	return read_form(reader, &json_footprint, &decoding->manifest);
}

static enum kioku_status check_version(const struct decoding *decoding, struct kioku_error *error)
{
	if (decoding->version != MANIFEST_VERSION)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "it is of version %llu, and this kioku reads version %d",
				 (unsigned long long)decoding->version, MANIFEST_VERSION);
	if (decoding->segment_size != MANIFEST_SEGMENT_SIZE)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "its segments have %llu bytes, and not %u",
				 (unsigned long long)decoding->segment_size, MANIFEST_SEGMENT_SIZE);
	return KIOKU_OK;
}

/* Whether its parts agree with each other; the root is left to manifest_root_fits(). */
static enum kioku_status check_manifest(const struct decoding *decoding, struct kioku_error *error)
{
	const struct manifest *manifest = &decoding->manifest;
	uint64_t full = manifest->image_size / MANIFEST_SEGMENT_SIZE;
	bool partial = manifest->image_size % MANIFEST_SEGMENT_SIZE != 0;

	TRY(check_version(decoding, error));
	if (memcmp(&decoding->said, &decoding->found, sizeof(decoding->said)) != 0)
		return error_set(error, KIOKU_ERROR_CORRUPT,
				 "memory's size and counts are not those of its ranges");
	if (manifest->segment_count == 0)
		return KIOKU_OK;
	if (manifest->segment_count != full + partial)
		return error_set(error, KIOKU_ERROR_CORRUPT,
				 "%zu segments are not those of an image of %llu bytes",
				 manifest->segment_count, (unsigned long long)manifest->image_size);
	if (!manifest->root[0])
		return error_set(error, KIOKU_ERROR_CORRUPT, "there are segments, but no root");
	return KIOKU_OK;
}

#define PROCESS                                                 \
	{                                                       \
		"process", JSON_NESTED_ADDED, 0, decode_process \
	}

static enum kioku_status decode_manifest(struct json_reader *reader)
{
	static const struct json_member members[] = {
		MEMBER("kioku_manifest", NUMBER, version),
		NESTED("tool", decode_tool),
		MEMBER("complete", FLAG, manifest.complete),
		MEMBER("started", TEXT, manifest.started),
		MEMBER("ended", TEXT, manifest.ended),
		NESTED("host", decode_host),
		NESTED("source", decode_source),
		PROCESS,
		NESTED("image", decode_image),
		MEMBER("converted_from", OPTIONAL_SHA256, manifest.converted_from),
		NESTED("memory", decode_memory),
		MEMBER("segment_size", NUMBER, segment_size),
		NESTED("segments", decode_segments),
		MEMBER("root", SHA256, manifest.root),
		NESTED("errors", decode_errors),
		NESTED("context", decode_context),
		NESTED("swap", decode_swaps),
		NESTED("footprint", decode_footprint),
	};
	struct decoding *decoding = reader->user;

	TRY(json_read_object(reader, members, COUNT(members), decoding));
	if (!json_at_end(reader))
		return json_corrupt(reader, "something follows it");
	return check_manifest(decoding, reader->error);
}

static enum kioku_status decode_line(struct json_reader *reader)
{
	static const struct json_member members[] = {
		{ "segment", JSON_NUMBER, offsetof(struct noted, index), NULL },
		{ "sha256", JSON_DIGEST, offsetof(struct noted, segment.sha256), NULL },
		{ "begin", JSON_SECONDS, offsetof(struct noted, segment.begin), NULL },
		{ "end", JSON_SECONDS, offsetof(struct noted, segment.end), NULL },
	};
	struct decoding *decoding = reader->user;
	struct noted *line = json_grow(&decoding->lines, &decoding->line_count, sizeof(*line));

	if (!line)
		return error_no_memory(reader->error);
	TRY(json_read_object(reader, members, COUNT(members), line));
	line->segment.is_known = true;
	if (line->index >= SEGMENTS_MAX)
		return json_corrupt(reader, "no image has so many segments");
	return KIOKU_OK;
}

/* They need not ascend, and some may not have been written yet. */
static enum kioku_status place_segments(struct decoding *decoding, struct kioku_error *error)
{
	struct manifest *out = &decoding->manifest;

	for (size_t i = 0; i < decoding->line_count; i++)
		if (decoding->lines[i].index >= out->segment_count)
			out->segment_count = (size_t)decoding->lines[i].index + 1;
	if (out->segment_count == 0)
		return KIOKU_OK;
	out->segments = calloc(out->segment_count, sizeof(*out->segments));
	if (!out->segments) {
		out->segment_count = 0;
		return error_no_memory(error);
	}
	for (size_t i = 0; i < decoding->line_count; i++) {
		struct manifest_segment *segment = &out->segments[decoding->lines[i].index];
		if (segment->is_known)
			return error_set(error, KIOKU_ERROR_CORRUPT, "segment %llu is there twice",
					 (unsigned long long)decoding->lines[i].index);
		*segment = decoding->lines[i].segment;
	}
	return KIOKU_OK;
}

static enum kioku_status decode_journal(struct json_reader *reader)
{
	static const struct json_member members[] = {
		MEMBER("kioku_journal", NUMBER, version),
		NESTED("tool", decode_tool),
		MEMBER("started", TEXT, manifest.started),
		NESTED("host", decode_host),
		NESTED("source", decode_source),
		PROCESS,
		NESTED("image", decode_image),
		MEMBER("converted_from", OPTIONAL_SHA256, manifest.converted_from),
		NESTED("memory", decode_memory),
		MEMBER("segment_size", NUMBER, segment_size),
	};
	struct decoding *decoding = reader->user;

	TRY(json_read_object(reader, members, COUNT(members), decoding));
	TRY(check_version(decoding, reader->error));
	while (!json_at_end(reader))
		TRY(decode_line(reader));
	return place_segments(decoding, reader->error);
}

static enum kioku_status decode(struct bytes text, bool is_journal, struct manifest *out,
				struct kioku_error *error)
{
	struct decoding decoding = { .is_journal = is_journal };
	struct json_reader reader;
	enum kioku_status status = json_reader_open(&reader, text, error);

	reader.user = &decoding;
	if (status == KIOKU_OK)
		status = is_journal ? decode_journal(&reader) : decode_manifest(&reader);
	json_reader_close(&reader);
	free(decoding.lines);
	*out = decoding.manifest;
	return status;
}

enum kioku_status manifest_decode(struct bytes text, struct manifest *out,
				  struct kioku_error *error)
{
	return decode(text, false, out, error);
}

enum kioku_status journal_decode(struct bytes text, struct manifest *out, struct kioku_error *error)
{
	/* What was being written when the writer was killed has no end of line. */
	while (text.size > 0 && text.data[text.size - 1] != '\n')
		text.size--;
	return decode(text, true, out, error);
}

static void release_file(struct manifest_file *file)
{
	free(file->name);
	free(file->origin);
	free(file->sha256);
}

void manifest_release(struct manifest *manifest)
{
	char *const texts[] = {
		manifest->tool_version,  manifest->started,        manifest->ended,
		manifest->host_name,     manifest->release,        manifest->version,
		manifest->machine,       manifest->boot_id,        manifest->cmdline,
		manifest->where,         manifest->driver,         manifest->image_name,
		manifest->image_format,  manifest->image_codec,    manifest->image_md5,
		manifest->image_sha256,  manifest->converted_from, manifest->memory_md5,
		manifest->memory_sha256, manifest->root,           manifest->process,
	};

	for (size_t i = 0; i < COUNT(texts); i++)
		free(texts[i]);
	for (size_t i = 0; i < manifest->refusal_count; i++) {
		free(manifest->refusals[i].driver);
		free(manifest->refusals[i].reason);
	}
	free(manifest->refusals);
	for (size_t i = 0; i < manifest->range_count; i++)
		free(manifest->ranges[i].states);
	free(manifest->ranges);
	free(manifest->segments);
	for (size_t i = 0; i < manifest->error_count; i++)
		free(manifest->errors[i].reason);
	free(manifest->errors);
	if (manifest->context)
		release_file(manifest->context);
	free(manifest->context);
	for (size_t i = 0; i < manifest->swap_count; i++)
		release_file(&manifest->swaps[i]);
	free(manifest->swaps);
	*manifest = (struct manifest){ 0 };
}

static void free_digest(EVP_MD_CTX **context)
{
	EVP_MD_CTX_free(*context);
}

/* SHA-256(prefix || left || right); right may be NULL. out may be left. */
static bool hash_node(EVP_MD_CTX *context, uint8_t prefix, const uint8_t *left,
		      const uint8_t *right, uint8_t *out)
{
	return EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
	       EVP_DigestUpdate(context, &prefix, 1) == 1 &&
	       EVP_DigestUpdate(context, left, MANIFEST_HASH_SIZE) == 1 &&
	       (!right || EVP_DigestUpdate(context, right, MANIFEST_HASH_SIZE) == 1) &&
	       EVP_DigestFinal_ex(context, out, NULL) == 1;
}

bool manifest_root(const struct manifest_segment *segments, size_t count,
		   uint8_t out[MANIFEST_HASH_SIZE])
{
	/* Roots of whole subtrees, from left to right: one for every bit that is set in the number
	 * of leaves so far. */
	uint8_t stack[64][MANIFEST_HASH_SIZE];
	size_t depth = 0;
	CLEANUP(free_digest) EVP_MD_CTX *context = EVP_MD_CTX_new();

	if (!context)
		return false;
	if (count == 0)
		return EVP_Digest(NULL, 0, out, NULL, EVP_sha256(), NULL) == 1;
	for (size_t i = 0; i < count; i++) {
		if (!hash_node(context, 0, segments[i].sha256, NULL, stack[depth++]))
			return false;
		for (size_t leaves = i + 1; leaves % 2 == 0; leaves /= 2, depth--)
			if (!hash_node(context, 1, stack[depth - 2], stack[depth - 1],
				       stack[depth - 2]))
				return false;
	}
	for (; depth > 1; depth--)
		if (!hash_node(context, 1, stack[depth - 2], stack[depth - 1], stack[depth - 2]))
			return false;
	memcpy(out, stack[0], MANIFEST_HASH_SIZE);
	return true;
}

enum kioku_status manifest_check_root(const struct manifest *manifest, bool *fits,
				      struct kioku_error *error)
{
	uint8_t root[MANIFEST_HASH_SIZE];
	char text[2 * MANIFEST_HASH_SIZE + 1];

	*fits = true;
	if (manifest->segment_count == 0)
		return KIOKU_OK;
	if (!manifest_root(manifest->segments, manifest->segment_count, root))
		return error_no_memory(error);
	for (size_t i = 0; i < sizeof(root); i++)
		snprintf(text + 2 * i, 3, "%02x", root[i]);
	*fits = strcmp(text, manifest->root) == 0;
	return KIOKU_OK;
}
