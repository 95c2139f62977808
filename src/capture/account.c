/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/account.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/cleanup.h"
#include "capture/origin.h"
#include "capture/sidecar.h"
#include "capture/signature.h"
#include "source/live.h"
#include "source/made_source.h"

/* Copies a text if there is one; false: no memory. */
static bool copy(char **out, const char *text)
{
	*out = text && *text ? strdup(text) : NULL;
	return *out || !text || !*text;
}

/* Now, in ISO 8601 UTC. */
static char *timestamp(void)
{
	struct timespec now;
	struct tm utc;
	char *text, seconds[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &utc);
	return asprintf(&text, "%s.%06ldZ", seconds, now.tv_nsec / 1000) < 0 ? NULL : text;
}

static bool note_machine(struct manifest *manifest, const struct live_machine *machine)
{
	manifest->refusals = calloc(machine->refusal_count + 1, sizeof(*manifest->refusals));
	bool noted = manifest->refusals && copy(&manifest->host_name, machine->host_name) &&
		     copy(&manifest->release, machine->release) &&
		     copy(&manifest->version, machine->version) &&
		     copy(&manifest->machine, machine->machine) &&
		     copy(&manifest->boot_id, machine->boot_id) &&
		     copy(&manifest->cmdline, machine->cmdline);

	for (size_t i = 0; noted && i < machine->refusal_count; i++) {
		struct manifest_refusal *refusal = &manifest->refusals[manifest->refusal_count++];
		noted = copy(&refusal->driver, machine->refusals[i].driver) &&
			copy(&refusal->reason, machine->refusals[i].reason);
	}
	return noted;
}

static bool note_origin(struct manifest *manifest, const struct kioku_source *source)
{
	const struct live_machine *machine = source_machine(source);

	if (machine)
		return note_machine(manifest, machine);
	return source_process(source) || origin_note(source, manifest);
}

static bool note_plan(struct manifest *manifest, const struct plan *plan)
{
	manifest->ranges = calloc(plan->count + 1, sizeof(*manifest->ranges));
	if (!manifest->ranges)
		return false;
	for (size_t i = 0; i < plan->count; i++)
		manifest->ranges[i] = (struct manifest_range){ .start = plan->ranges[i].start,
							       .size = plan->ranges[i].size };
	manifest->range_count = plan->count;
	return true;
}

enum kioku_status account_begin(struct account *account, struct kioku_source *source,
				const char *image, const struct writer_format *format,
				const struct codec *codec, const struct plan *plan,
				struct kioku_error *error)
{
	const struct source_process *process = source_process(source);
	struct manifest *manifest = &account->manifest;

	manifest->started = timestamp();
	if (!manifest->started || !copy(&manifest->tool_version, KIOKU_VERSION) ||
	    !copy(&manifest->where, source_where(source)) ||
	    !copy(&manifest->driver, kioku_source_format(source)) ||
	    !copy(&manifest->image_name, image ? naming_base(image) : NULL) ||
	    !copy(&manifest->image_format, format->public.name) ||
	    !copy(&manifest->image_codec, codec ? codec->name : NULL) ||
	    !copy(&manifest->process, process ? process->description : NULL) ||
	    !note_plan(manifest, plan) || !note_origin(manifest, source))
		return error_no_memory(error);
	return KIOKU_OK;
}

void account_release(struct account *account)
{
	manifest_release(&account->manifest);
	naming_release(&account->naming);
	destination_file_close(TAKE(account->journal));
}

enum kioku_status account_open_journal(struct account *account, struct destination *destination,
				       struct kioku_error *error)
{
	size_t written;

	if (!account->naming.journal)
		return KIOKU_OK;
	AUTO_FREE char *head = journal_head(&account->manifest);
	if (!head)
		return error_no_memory(error);
	TRY(destination_create(destination, account->naming.journal, false, &account->journal,
			       error));
	return destination_file_write(account->journal, 0, head, strlen(head), &written, error);
}

/* Pages that were never come to are missing. */
static bool note_states(struct manifest *manifest, const struct plan *plan, struct memory *memory)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_range *range = &plan->ranges[i];
		enum page_state rest = range->is_stored ? PAGE_MISSING : range->absent;
		struct page_map *map = &memory->maps[i];
		uint64_t left = plan_pages(range->start, range->size) - map->pages;
		if (left > 0 && !page_map_add(map, rest, left))
			return false;
		manifest->ranges[i].states = page_map_finish(map);
		if (!manifest->ranges[i].states)
			return false;
	}
	return true;
}

static bool note_root(struct manifest *manifest)
{
	uint8_t root[MANIFEST_HASH_SIZE];
	char hex[DIGEST_HEX_SIZE];

	if (manifest->segment_count == 0)
		return true;
	if (!manifest_root(manifest->segments, manifest->segment_count, root))
		return false;
	digest_hex(root, sizeof(root), hex);
	return copy(&manifest->root, hex);
}

static void note_footprint(struct manifest *manifest)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return;
	manifest->peak_memory = (uint64_t)usage.ru_maxrss * 1024;
	manifest->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
				(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Which of the two a digest in text is, its length says. */
static bool note_digest(char **md5, char **sha256, const char *hex)
{
	return copy(strlen(hex) == 32 ? md5 : sha256, hex);
}

static bool note_image_digest(struct manifest *manifest, const struct output_lane *lane)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(lane->hash, lane->kind == KIOKU_DIGEST_MD5 ? DIGEST_MD5_SIZE : DIGEST_SIZE, hex);
	return note_digest(&manifest->image_md5, &manifest->image_sha256, hex);
}

static bool note_digests(struct manifest *manifest, const struct memory *memory,
			 const struct image_output *output)
{
	for (unsigned i = 0; i < output->lane_count; i++)
		if (output->lanes[i].is_known && !note_image_digest(manifest, &output->lanes[i]))
			return false;
	for (unsigned i = 0; i < memory->lane_count; i++)
		if (memory->lanes[i].hex[0] &&
		    !note_digest(&manifest->memory_md5, &manifest->memory_sha256,
				 memory->lanes[i].hex))
			return false;
	return true;
}

enum kioku_status account_finish(struct account *account, struct kioku_source *source,
				 struct memory *memory, struct image_output *output,
				 struct kioku_error *error)
{
	struct manifest *manifest = &account->manifest;
	struct segments *segments = &output->segments;
	struct reader *reader = &memory->reader;

	manifest->complete = memory->complete;
	manifest->ended = timestamp();
	manifest->iomem_changed =
		source_live_machine(source) != NULL && source_iomem_changed(source);
	manifest->image_size = image_output_size(output);
	manifest->segments = TAKE(segments->segments);
	manifest->segment_count = segments->count;
	manifest->errors = TAKE(reader->errors);
	manifest->error_count = reader->error_count;
	reader->error_count = 0;
	note_footprint(manifest);
	if (!manifest->ended || !note_states(manifest, memory->writer->plan, memory) ||
	    !note_root(manifest) || !note_digests(manifest, memory, output))
		return error_no_memory(error);
	return KIOKU_OK;
}

/* A name as md5sum lists it: one with a backslash or a line's end is escaped. NULL: no memory. */
static char *escape_name(const char *name)
{
	char *escaped = malloc(2 * strlen(name) + 1), *out = escaped;

	if (!escaped)
		return NULL;
	for (; *name; name++) {
		char code = *name == '\\' ? '\\' : *name == '\n' ? 'n' : *name == '\r' ? 'r' : 0;
		if (code)
			*out++ = '\\';
		*out++ = code ? code : *name;
	}
	*out = '\0';
	return escaped;
}

static enum kioku_status write_file(struct destination *destination, const char *name,
				    const void *data, size_t size, struct kioku_error *error)
{
	AUTO_SIDECAR struct sidecar sidecar = { 0 };

	TRY(sidecar_create(&sidecar, destination, name, error));
	TRY(sidecar_write(&sidecar, data, size, error));
	return sidecar_finish(&sidecar, NULL, error);
}

static enum kioku_status write_digest(struct destination *destination, const char *name,
				      const char *hex, const char *image, struct kioku_error *error)
{
	AUTO_FREE char *line = NULL, *escaped = NULL;

	if (!name || !hex)
		return KIOKU_OK;
	escaped = escape_name(image);
	if (!escaped ||
	    asprintf(&line, "%s%s  %s\n", strcmp(image, escaped) ? "\\" : "", hex, escaped) < 0)
		return error_no_memory(error);
	return write_file(destination, name, line, strlen(line), error);
}

enum kioku_status account_write_digests(const struct account *account,
					struct destination *destination, struct kioku_error *error)
{
	const struct manifest *manifest = &account->manifest;
	const struct naming *naming = &account->naming;

	TRY(write_digest(destination, naming->md5, manifest->image_md5, manifest->image_name,
			 error));
	return write_digest(destination, naming->sha256, manifest->image_sha256,
			    manifest->image_name, error);
}

static enum kioku_status sign(const struct account *account, struct destination *destination,
			      const char *key, struct bytes text, struct kioku_error *error)
{
	uint8_t signature[SIGNATURE_SIZE];

	TRY(signature_make(key, text, signature, error));
	return write_file(destination, account->naming.signature, signature, sizeof(signature),
			  error);
}

enum kioku_status account_write_manifest(struct account *account, struct destination *destination,
					 const char *signing_key, struct kioku_error *error)
{
	const struct naming *naming = &account->naming;
	AUTO_FREE char *text = NULL;
	size_t size;

	if (!naming->manifest)
		return KIOKU_OK;
	TRY(manifest_encode(&account->manifest, &text, &size, error));
	if (signing_key)
		TRY(sign(account, destination, signing_key,
			 (struct bytes){ (const uint8_t *)text, size }, error));
	enum kioku_status status = write_file(destination, naming->unfinished, text, size, error);
	if (status == KIOKU_OK)
		status = destination_replace(destination, naming->unfinished, naming->manifest,
					     error);
	if (status != KIOKU_OK) {
		destination_remove(destination, naming->unfinished);
		return status;
	}
	destination_file_close(TAKE(account->journal));
	destination_remove(destination, naming->journal);
	return KIOKU_OK;
}
