/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One capture from its options to its manifest. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "capture/context.h"
#include "capture/capture_options.h"
#include "capture/pipeline.h"
#include "capture/account.h"
#include "capture/swap_copies.h"
#include "capture/writers.h"
#include "source/live.h"
#include "source/made_source.h"

enum { RETRY_DEFAULT = 3600 };

struct capture {
	struct kioku_source *source;
	const char *where;
	struct destination_outline outline;
	struct destination *beside; /* of all files but the image: the pipeline's, or owned */
	struct kioku_capture_options options;
	const struct writer_format *format;
	const struct codec *codec;
	struct plan plan;
	struct account account;
	struct pipeline pipeline;
};

static void capture_release(struct capture *capture)
{
	account_release(&capture->account);
	if (capture->beside != capture->pipeline.destination)
		destination_close(capture->beside);
	pipeline_release(&capture->pipeline);
	plan_release(&capture->plan);
	free(capture->outline.name);
}

static struct diagnostics caller(const struct capture *capture)
{
	return (struct diagnostics){ capture->options.diagnostic,
				     capture->options.diagnostic_user };
}

/* What its files are called; NULL: a stream. */
static const char *image_of(const struct capture *capture)
{
	return capture->outline.is_stream ? NULL : capture->outline.name;
}

/* What can be refused whatever the source. */
static enum kioku_status check(struct capture *capture, struct kioku_error *error)
{
	const struct kioku_capture_options *options = &capture->options;
	const struct destination_outline *outline = &capture->outline;
	const char *image = image_of(capture);

	if (image && !outline->is_local && options->manifest)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "the manifest goes where the image goes, and not to %s",
				 options->manifest);
	TRY(naming_make(&capture->account.naming, image, options->manifest, error));
	TRY(options_check(options, capture->account.naming.manifest != NULL, capture->codec,
			  error));
	return !image || outline->is_local ? naming_check_new(&capture->account.naming, error)
					   : KIOKU_OK;
}

/* Everything that can be refused before anything is made. */
static enum kioku_status prepare(struct capture *capture, struct kioku_error *error)
{
	TRY(check(capture, error));
	TRY(plan_make(capture->source, capture->format, &capture->plan, error));
	return account_begin(&capture->account, capture->source, image_of(capture), capture->format,
			     capture->codec, &capture->plan, error);
}

/* Swap areas change less than memory does, and what makes an image readable less than those. */
static bool swap_goes_on(void *user, uint64_t done, uint64_t total)
{
	struct capture *capture = user;

	return pipeline_report(&capture->pipeline);
}

static enum kioku_status take_swap(struct capture *capture, struct kioku_capture_result *result,
				   struct kioku_error *error)
{
	struct manifest *manifest = &capture->account.manifest;
	struct diagnostics diagnostics = caller(capture);
	struct swap_copies copies = { 0 };

	if (!capture->options.swap || !source_live_machine(capture->source) ||
	    !capture->account.naming.swap || !manifest->complete)
		return KIOKU_OK;
	enum kioku_status status =
		swap_copy(capture->beside, capture->account.naming.swap, capture->options.rate,
			  swap_goes_on, capture, &diagnostics, &copies, error);
	manifest->swaps = TAKE(copies.files);
	manifest->swap_count = copies.count;
	copies.count = 0;
	if (status == KIOKU_OK)
		manifest->complete = result->complete = copies.complete;
	swap_copies_release(&copies);
	return status;
}

static enum kioku_status take_context(struct capture *capture, struct kioku_error *error)
{
	struct manifest *manifest = &capture->account.manifest;
	struct diagnostics diagnostics = caller(capture);
	const char *path = capture->account.naming.context;

	if (!capture->options.context || !source_live_machine(capture->source) || !path)
		return KIOKU_OK;
	manifest->context = calloc(1, sizeof(*manifest->context));
	if (!manifest->context)
		return error_no_memory(error);
	return context_write(capture->beside, path, capture->source, &diagnostics,
			     manifest->context, error);
}

/* What stands beside the image. The image itself is on the disk before its manifest is. */
static enum kioku_status take_rest(struct capture *capture, struct kioku_capture_result *result,
				   struct kioku_error *error)
{
	struct account *account = &capture->account;

	TRY(account_write_digests(account, capture->beside, error));
	TRY(take_swap(capture, result, error));
	TRY(take_context(capture, error));
	return KIOKU_OK;
}

static void copy_digest(char *out, size_t size, const char *hex)
{
	snprintf(out, size, "%s", hex ? hex : "");
}

static void fill_result(const struct capture *capture, struct kioku_capture_result *result)
{
	const struct manifest *manifest = &capture->account.manifest;
	const struct pipeline *pipeline = &capture->pipeline;

	result->lost_size = atomic_load(&pipeline->run.lost);
	result->image_size = manifest->image_size;
	result->complete = manifest->complete;
	copy_digest(result->image_md5, sizeof(result->image_md5), manifest->image_md5);
	copy_digest(result->image_sha256, sizeof(result->image_sha256), manifest->image_sha256);
	copy_digest(result->memory_md5, sizeof(result->memory_md5), manifest->memory_md5);
	copy_digest(result->memory_sha256, sizeof(result->memory_sha256), manifest->memory_sha256);
}

/*
 * Whatever happened to the image, a manifest says how far it goes; except that of an image in two
 * parts that broke off, no number says that, and the journal does.
 */
static enum kioku_status conclude(struct capture *capture, enum kioku_status status,
				  struct kioku_capture_result *result, struct kioku_error *error)
{
	struct pipeline *pipeline = &capture->pipeline;
	struct diagnostics diagnostics = caller(capture);
	struct kioku_error second = { 0 };

	if (account_finish(&capture->account, capture->source, &pipeline->memory, &pipeline->output,
			   &second) != KIOKU_OK) {
		diagnose(&diagnostics, KIOKU_WARNING, "there is no manifest: %s", second.message);
		return status;
	}
	fill_result(capture, result);
	if (status == KIOKU_OK)
		status = take_rest(capture, result, error);
	if (status != KIOKU_OK)
		capture->account.manifest.complete = result->complete = false;
	if (status != KIOKU_OK && pipeline->output.is_split)
		return status;
	if (account_write_manifest(&capture->account, capture->beside, capture->options.signing_key,
				   &second) == KIOKU_OK)
		return status;
	if (status != KIOKU_OK) {
		diagnose(&diagnostics, KIOKU_WARNING, "there is no manifest: %s", second.message);
		return status;
	}
	result->complete = false;
	if (error)
		*error = second;
	return second.status;
}

static bool goes_on(void *user)
{
	return pipeline_report(user);
}

/* Only now, because somebody may have to be waited for. */
static enum kioku_status open_destination(struct capture *capture, struct kioku_error *error)
{
	struct pipeline *pipeline = &capture->pipeline;
	const struct naming *naming = &capture->account.naming;
	const struct kioku_capture_options *options = &capture->options;
	const struct destination_options there = {
		.token_file = options->token_file,
		.retry = options->retry > 0 ? options->retry : RETRY_DEFAULT,
		.expected = capture->plan.size,
		.goes_on = goes_on,
		.user = pipeline,
		.diagnostics = &pipeline->run.diagnostics,
	};

	TRY(destination_open(capture->where, &there, &pipeline->destination, error));
	capture->beside = pipeline->destination;
	if (capture->outline.is_stream && naming->manifest)
		TRY(destination_open(naming->manifest, &there, &capture->beside, error));
	pipeline->output.can_seek = destination_can_seek(pipeline->destination);
	TRY(destination_create(pipeline->destination, capture->outline.name,
			       options->digests & KIOKU_DIGEST_SHA256, &pipeline->output.file,
			       error));
	TRY(account_open_journal(&capture->account, capture->beside, error));
	pipeline->output.segments.journal = capture->account.journal;
	return KIOKU_OK;
}

/* The far side has everything, or is told that there is no more. */
static enum kioku_status finish(struct capture *capture, enum kioku_status status,
				struct kioku_capture_result *result, struct kioku_error *error)
{
	struct destination *destination = capture->pipeline.destination;
	enum kioku_status last =
		destination_finish(destination, result->complete, result->lost_size,
				   status == KIOKU_OK ? error : NULL);
	const char *place = destination_place(destination);

	snprintf(result->place, sizeof(result->place), "%s", place ? place : "");
	if (status == KIOKU_OK && last != KIOKU_OK)
		result->complete = false;
	return status == KIOKU_OK ? last : status;
}

static enum kioku_status run_capture(struct capture *capture, struct kioku_capture_result *result,
				     struct kioku_error *error)
{
	struct pipeline *pipeline = &capture->pipeline;

	TRY(prepare(capture, error));
	result->memory_size = capture->plan.size;
	/* What can be refused is refused before there is a file. */
	TRY(pipeline_init(pipeline, capture->source, &capture->options, capture->format,
			  capture->codec, &capture->plan, error));
	TRY(open_destination(capture, error));
	enum kioku_status status = pipeline_run(pipeline, error);
	status = conclude(capture, status, result, error);
	status = finish(capture, status, result, error);
	pipeline_report(pipeline); /* what the end has brought */
	result->seconds = run_seconds(&pipeline->run);
	return status;
}

static enum kioku_status choose(struct capture *capture, bool is_process, struct kioku_error *error)
{
	TRY(destination_outline(capture->where, &capture->outline, error));
	return writers_choose(is_process, capture->outline.is_stream ? "-" : capture->outline.name,
			      capture->options.format, capture->options.codec, &capture->format,
			      &capture->codec, error);
}

static enum kioku_status check_process(struct capture *capture,
				       const struct kioku_capture_options *options,
				       struct kioku_error *error)
{
	TRY(options_complete(options, &capture->options, error));
	TRY(choose(capture, true, error));
	TRY(check(capture, error));
	const struct destination_options there = { .token_file = capture->options.token_file };
	return destination_check(capture->where, &there, error);
}

enum kioku_status kioku_capture_check_process(const char *destination,
					      const struct kioku_capture_options *options,
					      struct kioku_error *error)
{
	AUTO_FREE struct capture *capture = calloc(1, sizeof(*capture));

	if (!capture)
		return error_no_memory(error);
	capture->where = destination;
	enum kioku_status status = check_process(capture, options, error);
	capture_release(capture);
	return status;
}

enum kioku_status kioku_capture(struct kioku_source *source, const char *destination,
				const struct kioku_capture_options *options,
				struct kioku_capture_result *result, struct kioku_error *error)
{
	struct kioku_capture_result ignored;
	AUTO_FREE struct capture *capture = calloc(1, sizeof(*capture));

	result = result ? result : &ignored;
	*result = (struct kioku_capture_result){ 0 };
	if (!capture)
		return error_no_memory(error);
	capture->source = source;
	capture->where = destination;
	enum kioku_status status = options_complete(options, &capture->options, error);
	if (status == KIOKU_OK)
		status = choose(capture, source_process(capture->source) != NULL, error);
	if (status == KIOKU_OK)
		status = run_capture(capture, result, error);
	capture_release(capture);
	return status;
}
