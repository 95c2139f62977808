/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/pipeline.h"

#include "base/cleanup.h"
#include "capture/capture_options.h"

#define REPORT_INTERVAL 0.2 /* seconds */

/* Reading, writing memory, writing the image, segments, and two digests of both. */
enum { SINGLE_THREADS = 8 };

static enum kioku_status init_parts(struct pipeline *pipeline, const struct codec *codec,
				    struct kioku_error *error)
{
	const struct kioku_capture_options *options = pipeline->options;
	int level = codec && options->level == 0 ? codec->level_default : options->level;

	pipeline->threads =
		calloc(SINGLE_THREADS + 2 * options_threads(options), sizeof(*pipeline->threads));
	if (!pipeline->threads)
		return error_no_memory(error);
	pipeline->has_output = true;
	TRY(image_output_init(&pipeline->output, &pipeline->run, codec, level, options->digests,
			      error));
	pipeline->has_memory = true;
	return memory_init(&pipeline->memory, &pipeline->run, &pipeline->writer, options, error);
}

enum kioku_status pipeline_init(struct pipeline *pipeline, struct kioku_source *source,
				const struct kioku_capture_options *options,
				const struct writer_format *format, const struct codec *codec,
				const struct plan *plan, struct kioku_error *error)
{
	run_init(&pipeline->run);
	pipeline->has_run = true;
	pipeline->options = options;
	pipeline->writer = (struct image_writer){
		.format = format,
		.plan = plan,
		.source = source,
		.kernel = options->kernel,
		.page_codec = options->page_codec,
		.diagnostics = &pipeline->run.diagnostics,
		.output = &pipeline->output,
	};
	return init_parts(pipeline, codec, error);
}

void pipeline_release(struct pipeline *pipeline)
{
	if (pipeline->has_memory)
		memory_release(&pipeline->memory);
	if (pipeline->writer.format && pipeline->writer.format->release)
		pipeline->writer.format->release(&pipeline->writer);
	if (pipeline->has_output)
		image_output_release(&pipeline->output);
	destination_close(pipeline->destination);
	if (pipeline->has_run)
		run_release(&pipeline->run);
	free(pipeline->threads);
}

/* Every thread is one of these, which ends by saying so. */
#define THREAD(name, type, run_of, function)      \
	static void *name(void *argument)         \
	{                                         \
		type *object = argument;          \
		struct run *run = object->run_of; \
		function(object);                 \
		run_thread_ends(run);             \
		return NULL;                      \
	}

THREAD(thread_write, struct image_output, run, image_output_write)
THREAD(thread_segment, struct image_output, run, image_output_segment)
THREAD(thread_pack, struct image_output, run, image_output_pack)
THREAD(thread_digest, struct output_lane, output->run, image_output_digest)
THREAD(thread_memory_write, struct memory, run, memory_write)
THREAD(thread_memory_digest, struct memory_lane, memory->run, memory_digest)
THREAD(thread_prepare, struct memory, run, memory_prepare)
THREAD(thread_read, struct memory, run, memory_read)

static enum kioku_status start(struct pipeline *pipeline, void *(*function)(void *), void *argument,
			       struct kioku_error *error)
{
	TRY(run_thread_start(&pipeline->run, &pipeline->threads[pipeline->thread_count], function,
			     argument, error));
	pipeline->thread_count++;
	return KIOKU_OK;
}

/* From the end to the beginning, so that whoever is followed is there before those who follow. */
static enum kioku_status start_all(struct pipeline *pipeline, struct kioku_error *error)
{
	struct image_output *output = &pipeline->output;
	struct memory *memory = &pipeline->memory;
	unsigned workers = options_threads(pipeline->options);

	TRY(start(pipeline, thread_write, output, error));
	if (output->has_segments)
		TRY(start(pipeline, thread_segment, output, error));
	for (unsigned i = 0; i < output->lane_count; i++)
		TRY(start(pipeline, thread_digest, &output->lanes[i], error));
	for (unsigned i = 0; output->codec && i < workers; i++)
		TRY(start(pipeline, thread_pack, output, error));
	TRY(start(pipeline, thread_memory_write, memory, error));
	for (unsigned i = 0; i < memory->lane_count; i++)
		TRY(start(pipeline, thread_memory_digest, &memory->lanes[i], error));
	for (unsigned i = 0; pipeline->writer.format->prepare && i < workers; i++)
		TRY(start(pipeline, thread_prepare, memory, error));
	return start(pipeline, thread_read, memory, error);
}

bool pipeline_report(struct pipeline *pipeline)
{
	const struct kioku_capture_options *options = pipeline->options;
	const struct diagnostics caller = { options->diagnostic, options->diagnostic_user };
	struct run *run = &pipeline->run;
	const struct kioku_capture_progress progress = {
		.done = atomic_load(&run->done),
		.total = pipeline->writer.plan->size,
		.written = atomic_load(&run->written),
		.lost = atomic_load(&run->lost),
		.seconds = run_seconds(run),
	};

	findings_report(&run->findings, &caller);
	return !options->progress || options->progress(options->progress_user, &progress);
}

/* No more is read, and what was read has a little time to get away. */
static void stop(struct pipeline *pipeline)
{
	run_stop(&pipeline->run);
	destination_hurry(pipeline->destination);
}

static bool report(void *user)
{
	return pipeline_report(user);
}

enum kioku_status pipeline_run(struct pipeline *pipeline, struct kioku_error *error)
{
	struct run *run = &pipeline->run;
	struct image_output *output = &pipeline->output;
	struct kioku_error failure = { 0 };

	pipeline->writer.can_seek = output->can_seek && !output->codec;
	if (start_all(pipeline, &failure) != KIOKU_OK) {
		run_fail(run, &failure);
		memory_abort(&pipeline->memory);
		ring_abort(&output->ring);
	}
	while (!run_wait(run, REPORT_INTERVAL))
		if (!pipeline_report(pipeline))
			stop(pipeline);
	for (size_t i = 0; i < pipeline->thread_count; i++)
		pthread_join(pipeline->threads[i], NULL);
	pipeline_report(pipeline);
	enum kioku_status status = run_error(run, error);
	if (status != KIOKU_OK)
		pipeline->memory.complete = false;
	else
		status = image_output_finish(output, report, pipeline, error);
	return status;
}
