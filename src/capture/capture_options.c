/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/capture_options.h"

#include <sched.h>
#include <string.h>

#include "base/error.h"
#include "capture/signature.h"

/*
 * Each packing thread has about 1 MiB of its own, and what is acquired must not be pushed out by the
 * acquiring: many CPUs help only who asks for them.
 */
enum { DEFAULT_THREADS = 8, MOST_THREADS = 64 };

enum kioku_status options_complete(const struct kioku_capture_options *given,
				   struct kioku_capture_options *out, struct kioku_error *error)
{
	*out = (struct kioku_capture_options){ 0 };
	if (given && given->size < sizeof(given->size))
		return error_set(error, KIOKU_ERROR_ARGUMENT, "options.size is not set");
	if (given)
		memcpy(out, given, given->size < sizeof(*out) ? given->size : sizeof(*out));
	out->size = sizeof(*out);
	return KIOKU_OK;
}

static enum kioku_status check_page_codec(const char *name, struct kioku_error *error)
{
	static const char *const names[] = {
		"none",
		"zlib",
#ifdef HAVE_ZSTD
		"zstd",
#endif
#ifdef HAVE_SNAPPY
		"snappy",
#endif
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(names[i], name) == 0)
			return KIOKU_OK;
	return error_set(error, KIOKU_ERROR_ARGUMENT,
			 "there is no codec \"%s\" for pages in this build", name);
}

/* By signing something, so that a wrong key is known before hours of work. */
static enum kioku_status check_key(const char *path, struct kioku_error *error)
{
	uint8_t signature[SIGNATURE_SIZE];
	struct bytes text = { (const uint8_t *)"kioku", 5 };

	return signature_make(path, text, signature, error);
}

enum kioku_status options_check(const struct kioku_capture_options *options, bool has_manifest,
				const struct codec *codec, struct kioku_error *error)
{
	if (options->digests & ~(unsigned)(KIOKU_DIGEST_MD5 | KIOKU_DIGEST_SHA256))
		return error_set(error, KIOKU_ERROR_ARGUMENT, "unknown digests are asked for");
	if (codec && options->level != 0 &&
	    (options->level < codec->level_low || options->level > codec->level_high))
		return error_set(error, KIOKU_ERROR_ARGUMENT, "%s has levels from %d to %d",
				 codec->name, codec->level_low, codec->level_high);
	if (!codec && options->level != 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "there is a level of compression, but no codec");
	if (options->page_codec)
		TRY(check_page_codec(options->page_codec, error));
	if (options->signing_key && !has_manifest)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "a stream without a manifest has nothing to sign");
	return options->signing_key ? check_key(options->signing_key, error) : KIOKU_OK;
}

unsigned options_threads(const struct kioku_capture_options *options)
{
	unsigned count = options->threads;
	cpu_set_t cpus;

	if (count == 0) {
		count = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? (unsigned)CPU_COUNT(&cpus)
								       : 1;
		count = count < DEFAULT_THREADS ? count : DEFAULT_THREADS;
	}
	return count < MOST_THREADS ? count : MOST_THREADS;
}
