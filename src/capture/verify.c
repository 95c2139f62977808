/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "capture/digest_check.h"
#include "capture/segment_check.h"
#include "capture/signature.h"

#define MANIFEST_LIMIT  (1ull << 30) /* bytes: an image of some TiB */
#define SIGNATURE_LIMIT 4096u
/* What a killed capture may have handed to the kernel without having noted it down. */
#define UNDER_WAY (64ull << 20)

/* Releases what a struct bytes from verification_load() holds. */
static void free_bytes(struct bytes *bytes)
{
	free((void *)bytes->data);
}

static void release_manifest(struct manifest *manifest)
{
	manifest_release(manifest);
}

#define AUTO_BYTES    CLEANUP(free_bytes)
#define AUTO_MANIFEST CLEANUP(release_manifest)

enum kioku_status verification_report(struct verification *verification, uint64_t offset,
				      uint64_t size, const char *format, ...)
{
	char what[512];
	struct kioku_damage damage = { offset, size, offset / MANIFEST_SEGMENT_SIZE, what };
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	verification->is_damaged = true;
	if (verification->options.damage &&
	    !verification->options.damage(verification->options.damage_user, &damage))
		return error_set(verification->error, KIOKU_ERROR_STOPPED, "stopped");
	return KIOKU_OK;
}

bool is_absent(const struct kioku_error *error)
{
	return error->status == KIOKU_ERROR_OS &&
	       (error->os_errno == ENOENT || error->os_errno == ENOTDIR);
}

enum kioku_status verification_open(const char *path, int *out, bool *is_device,
				    struct kioku_error *error)
{
	struct stat status;
	AUTO_CLOSE int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (descriptor < 0 || fstat(descriptor, &status) != 0)
		return error_os(error, "cannot open %s", path);
	if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
		return error_set(error, KIOKU_ERROR_ARGUMENT, "%s is not a file", path);
	*is_device = S_ISBLK(status.st_mode);
	*out = descriptor;
	descriptor = -1;
	return KIOKU_OK;
}

enum kioku_status verification_load(const char *path, size_t limit, struct bytes *out,
				    struct kioku_error *error)
{
	AUTO_CLOSE int descriptor = -1;
	AUTO_FREE uint8_t *data = NULL;
	size_t size = 0, capacity = 0;
	bool is_device;

	TRY(verification_open(path, &descriptor, &is_device, error));
	for (;;) {
		if (size == capacity) {
			capacity = capacity ? 2 * capacity : 65536;
			uint8_t *grown = realloc(data, capacity);
			if (!grown)
				return error_no_memory(error);
			data = grown;
		}
		ssize_t got = read(descriptor, data + size, capacity - size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_os(error, "cannot read %s", path);
		if (got == 0)
			break;
		size += (size_t)got;
		if (size > limit)
			return error_set(error, KIOKU_ERROR_CORRUPT,
					 "%s is longer than such a file can be", path);
	}
	*out = (struct bytes){ TAKE(data), size };
	return KIOKU_OK;
}

uint64_t verification_size(const struct verification *verification)
{
	off_t end = lseek(verification->descriptor, 0, SEEK_END);

	return end > 0 ? (uint64_t)end : 0;
}

/* Of a manifest: with a key the signature has to be there and fit. */
static enum kioku_status check_signature(struct verification *verification, const char *path,
					 struct bytes text)
{
	const char *key = verification->options.key;
	AUTO_FREE char *beside = NULL;
	AUTO_BYTES struct bytes signature = { 0 };
	struct kioku_error error = { 0 };
	bool fits;

	if (asprintf(&beside, "%s.sig", path) < 0)
		return error_no_memory(verification->error);
	enum kioku_status status = verification_load(beside, SIGNATURE_LIMIT, &signature, &error);
	verification->result->is_signed = status == KIOKU_OK || !is_absent(&error);
	if (!key)
		return KIOKU_OK;
	TRY(signature_check(key, text, signature, &fits, verification->error));
	if (!verification->result->is_signed)
		return verification_report(verification, 0, 0, "the manifest is not signed");
	verification->result->signature_checked = true;
	if (status != KIOKU_OK)
		return verification_report(verification, 0, 0, "%s", error.message);
	if (!fits)
		return verification_report(
			verification, 0, 0,
			"the manifest's signature does not fit: the manifest was "
			"changed, or another key has signed it");
	return KIOKU_OK;
}

/* Where the file ends within segments, what is there of one cannot be compared. */
static enum kioku_status report_cut(struct verification *verification, uint64_t start, uint64_t end)
{
	uint64_t size = verification_size(verification);
	bool was_damaged = verification->is_damaged;

	if (size <= start || size >= end)
		size = start;
	if (size > start)
		TRY(verification_report(verification, start, size - start,
					"cannot be checked: the rest of the segment is cut off"));
	TRY(verification_report(verification, size, end - size, "cut off"));
	/* What is there may still be as it was. */
	verification->is_damaged = was_damaged;
	verification->is_prefix = true;
	return KIOKU_OK;
}

/* A run of segments in one state. */
static enum kioku_status report_run(struct verification *verification,
				    const struct segment_check *check, uint64_t first,
				    uint64_t count, enum segment_state state)
{
	uint64_t start = first * MANIFEST_SEGMENT_SIZE, last = first + count - 1;
	uint64_t end = last * MANIFEST_SEGMENT_SIZE + segment_length(check, last);

	if (state == SEGMENT_CUT_OFF)
		return report_cut(verification, start, end);
	if (state == SEGMENT_UNREADABLE)
		return verification_report(verification, start, end - start, "cannot be read");
	if (state == SEGMENT_DIFFERS)
		return verification_report(verification, start, end - start, "%s",
					   count == 1 ? "segment differs" : "segments differ");
	return KIOKU_OK;
}

static enum kioku_status report_states(struct verification *verification,
				       const struct segment_check *check, const uint8_t *states)
{
	struct kioku_verify_result *result = verification->result;
	uint64_t run = 0;

	for (uint64_t i = 0; i < check->count; i++) {
		bool compared = states[i] == SEGMENT_GOOD || states[i] == SEGMENT_DIFFERS;
		result->segments += compared || states[i] == SEGMENT_UNREADABLE;
		result->damaged += states[i] == SEGMENT_DIFFERS || states[i] == SEGMENT_UNREADABLE;
		result->checked += compared ? segment_length(check, check->first + i) : 0;
		verification->is_prefix |= states[i] == SEGMENT_UNCHECKED;
	}
	for (uint64_t i = 1; i <= check->count; i++) {
		if (i < check->count && states[i] == states[run])
			continue;
		TRY(report_run(verification, check, check->first + run, i - run, states[run]));
		run = i;
	}
	return KIOKU_OK;
}

/* All segments, or those that the range touches. size: what they cover. */
static enum kioku_status check_segments(struct verification *verification,
					const struct manifest *manifest, uint64_t size)
{
	const struct kioku_verify_options *options = &verification->options;
	struct segment_check check = {
		.descriptor = verification->descriptor,
		.manifest = manifest,
		.size = size,
		.count = manifest->segment_count,
		.threads = options->threads,
		.progress = options->progress,
		.progress_user = options->progress_user,
	};
	uint64_t last;

	if (options->range_size > 0) {
		if (__builtin_add_overflow(options->range_start, options->range_size - 1, &last) ||
		    last >= size)
			return error_set(verification->error, KIOKU_ERROR_ARGUMENT,
					 "the range ends beyond what %s covers: %" PRIu64 " bytes",
					 verification->result->proof_path, size);
		check.first = options->range_start / MANIFEST_SEGMENT_SIZE;
		check.count = last / MANIFEST_SEGMENT_SIZE - check.first + 1;
	}
	AUTO_FREE uint8_t *states = malloc(check.count ? check.count : 1);
	if (!states)
		return error_no_memory(verification->error);
	TRY(segment_check_run(&check, states, verification->error));
	return report_states(verification, &check, states);
}

/* What the image's own digests say where there are no segments. */
static enum kioku_status check_without_segments(struct verification *verification,
						const struct manifest *manifest)
{
	struct known_digest known[2];
	size_t count = 0;

	if (verification->options.range_size > 0)
		return error_set(verification->error, KIOKU_ERROR_ARGUMENT,
				 "a range cannot be checked alone: the manifest has no segments");
	count += known_digest_set(&known[count], "sha256", manifest->image_sha256);
	count += known_digest_set(&known[count], "md5", manifest->image_md5);
	if (count == 0 && manifest->image_size > 0)
		return error_set(
			verification->error, KIOKU_ERROR_NOT_FOUND,
			"there is nothing to check %s against: it was made without digests",
			verification->path);
	if (count == 0)
		return KIOKU_OK;
	return verify_digests(verification, known, count, "the manifest");
}

/* A file that the manifest names, which lies beside it. */
static enum kioku_status check_sidecar(struct verification *verification, const char *manifest_path,
				       const struct manifest_file *file)
{
	const char *slash = strrchr(manifest_path, '/');
	AUTO_FREE char *path = NULL;
	AUTO_CLOSE int descriptor = -1;
	struct kioku_error error = { 0 };
	struct known_digest known;
	bool is_device;
	uint64_t size;

	if (asprintf(&path, "%.*s%s", slash ? (int)(slash - manifest_path + 1) : 0, manifest_path,
		     file->name) < 0)
		return error_no_memory(verification->error);
	bool has_digest = known_digest_set(&known, "sha256", file->sha256);
	enum kioku_status status = verification_open(path, &descriptor, &is_device, &error);
	if (status != KIOKU_OK && is_absent(&error)) {
		diagnose(&verification->diagnostics, KIOKU_WARNING,
			 "%s, which the manifest names, is not there", path);
		return KIOKU_OK;
	}
	if (status == KIOKU_OK)
		status = digest_check(descriptor, &known, has_digest, &size, NULL, &error);
	if (status == KIOKU_ERROR_NO_MEMORY)
		return error_no_memory(verification->error);
	if (status != KIOKU_OK)
		return verification_report(verification, 0, 0, "%s: %s", path, error.message);
	if (size != file->size || (has_digest && !known.fits))
		return verification_report(verification, 0, 0, "%s is not as it was written", path);
	return KIOKU_OK;
}

static enum kioku_status check_sidecars(struct verification *verification, const char *path,
					const struct manifest *manifest)
{
	if (manifest->context)
		TRY(check_sidecar(verification, path, manifest->context));
	for (size_t i = 0; i < manifest->swap_count; i++)
		TRY(check_sidecar(verification, path, &manifest->swaps[i]));
	return KIOKU_OK;
}

static enum kioku_status check_end(struct verification *verification,
				   const struct manifest *manifest)
{
	uint64_t size = verification_size(verification);

	if (size > manifest->image_size && !verification->is_device)
		TRY(verification_report(verification, manifest->image_size,
					size - manifest->image_size,
					"more than was written: added after the end"));
	if (size < manifest->image_size && manifest->segment_count == 0)
		TRY(verification_report(verification, size, manifest->image_size - size,
					"cut off"));
	if (!manifest->complete) {
		verification->is_prefix = true;
		diagnose(&verification->diagnostics, KIOKU_NOTE,
			 "the capture was stopped before its end, and the manifest says so");
	}
	return KIOKU_OK;
}

static enum kioku_status verify_by_manifest(struct verification *verification, const char *path,
					    struct bytes text)
{
	AUTO_MANIFEST struct manifest manifest = { 0 };
	bool root_fits;

	verification->result->proof = KIOKU_PROOF_MANIFEST;
	TRY(check_signature(verification, path, text));
	enum kioku_status status = manifest_decode(text, &manifest, verification->error);
	if (status != KIOKU_OK) {
		error_prefix(verification->error, "the manifest %s cannot be understood", path);
		return status;
	}
	TRY(manifest_check_root(&manifest, &root_fits, verification->error));
	if (!root_fits)
		TRY(verification_report(verification, 0, 0,
					"the manifest is damaged: its root does not fit its "
					"segments"));
	bool is_whole = verification->options.range_size == 0;
	if (is_whole)
		TRY(check_sidecars(verification, path, &manifest));
	if (manifest.segment_count > 0)
		TRY(check_segments(verification, &manifest, manifest.image_size));
	else
		TRY(check_without_segments(verification, &manifest));
	return is_whole ? check_end(verification, &manifest) : KIOKU_OK;
}

/* What lies behind the last segment that was noted down. */
static enum kioku_status check_journal_end(struct verification *verification,
					   const struct manifest *journal, uint64_t end)
{
	uint64_t size = verification_size(verification);
	/* A kdump file is written in two parts, of which the second one starts far behind. */
	bool has_parts = strcmp(journal->image_format, "kdump") == 0;

	verification->is_prefix = true;
	if (size <= end || verification->is_device)
		return KIOKU_OK;
	if (size - end > UNDER_WAY && !has_parts)
		return verification_report(
			verification, end, size - end,
			"more than can have been written when the capture ended");
	diagnose(&verification->diagnostics, KIOKU_NOTE,
		 "the last %" PRIu64 " bytes were not noted down yet, and cannot be checked",
		 size - end);
	return KIOKU_OK;
}

static enum kioku_status verify_by_journal(struct verification *verification, const char *path,
					   struct bytes text)
{
	AUTO_MANIFEST struct manifest journal = { 0 };

	verification->result->proof = KIOKU_PROOF_JOURNAL;
	enum kioku_status status = journal_decode(text, &journal, verification->error);
	if (status != KIOKU_OK) {
		error_prefix(verification->error, "the journal %s cannot be understood", path);
		return status;
	}
	if (verification->options.key)
		TRY(verification_report(verification, 0, 0,
					"there is no signed manifest: the capture did not end"));
	uint64_t end = journal.segment_count * (uint64_t)MANIFEST_SEGMENT_SIZE;
	TRY(check_segments(verification, &journal, end));
	return verification->options.range_size == 0
		       ? check_journal_end(verification, &journal, end)
		       : KIOKU_OK;
}

/* JSON begins with a brace, and the first word of a journal says what it is. */
static enum kioku_status verify_by_file(struct verification *verification, const char *path,
					struct bytes text)
{
	struct bytes head = { text.data, text.size < 64 ? text.size : 64 };

	snprintf(verification->result->proof_path, sizeof(verification->result->proof_path), "%s",
		 path);
	if (memmem(head.data, head.size, "\"kioku_journal\"", 15))
		return verify_by_journal(verification, path, text);
	return verify_by_manifest(verification, path, text);
}

/* False in *found if there is no such file. */
static enum kioku_status try_file(struct verification *verification, const char *path, bool *found)
{
	AUTO_BYTES struct bytes text = { 0 };
	struct kioku_error error = { 0 };

	*found = false;
	enum kioku_status status = verification_load(path, MANIFEST_LIMIT, &text, &error);
	if (status != KIOKU_OK && is_absent(&error))
		return KIOKU_OK;
	*found = true;
	if (status == KIOKU_OK)
		return verify_by_file(verification, path, text);
	if (verification->error)
		*verification->error = error;
	return status;
}

static enum kioku_status verify_by_digest_files(struct verification *verification, const char *path)
{
	TRY(verify_by_digests(verification, path));
	if (verification->options.key)
		return verification_report(verification, 0, 0, "there is no signed manifest");
	return KIOKU_OK;
}

/* The best proof that there is. */
static enum kioku_status find_proof(struct verification *verification)
{
	static const char *const suffixes[] = { ".manifest.json", ".manifest.partial" };
	const char *given = verification->options.manifest;
	bool found = false;

	if (given) {
		if (is_digest_path(given))
			return verify_by_digest_files(verification, given);
		TRY(try_file(verification, given, &found));
		return found ? KIOKU_OK
			     : error_set(verification->error, KIOKU_ERROR_NOT_FOUND,
					 "there is no %s", given);
	}
	for (size_t i = 0; i < 2 && !found; i++) {
		AUTO_FREE char *path = NULL;
		if (asprintf(&path, "%s%s", verification->path, suffixes[i]) < 0)
			return error_no_memory(verification->error);
		TRY(try_file(verification, path, &found));
	}
	return found ? KIOKU_OK : verify_by_digest_files(verification, NULL);
}

enum kioku_status kioku_verify(const char *image, const struct kioku_verify_options *options,
			       struct kioku_verify_result *result, struct kioku_error *error)
{
	AUTO_CLOSE int descriptor = -1;
	struct verification verification = { .path = image, .result = result, .error = error };
	struct kioku_verify_options *own = &verification.options;

	*result = (struct kioku_verify_result){ 0 };
	if (options && options->size < sizeof(options->size))
		return error_set(error, KIOKU_ERROR_ARGUMENT, "options.size is not set");
	if (options)
		memcpy(own, options, options->size < sizeof(*own) ? options->size : sizeof(*own));
	verification.diagnostics = (struct diagnostics){ own->diagnostic, own->diagnostic_user };
	TRY(verification_open(image, &descriptor, &verification.is_device, error));
	verification.descriptor = descriptor;
	TRY(find_proof(&verification));
	result->verdict = verification.is_damaged  ? KIOKU_DAMAGED
			  : verification.is_prefix ? KIOKU_PREFIX
						   : KIOKU_INTACT;
	return KIOKU_OK;
}
