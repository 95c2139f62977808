/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads of a capture, from the source to the image, and the caller's thread that waits. */
#ifndef CAPTURE_PIPELINE_H
#define CAPTURE_PIPELINE_H

#include "capture/memory.h"

struct pipeline {
	struct run run;
	const struct kioku_capture_options *options;
	struct image_writer writer;
	struct destination *destination; /* owned; for the caller to open, as output's file */
	struct image_output output;
	struct memory memory;
	bool has_run, has_output, has_memory; /* initialised */
	pthread_t *threads;
	size_t thread_count;
};

/* pipeline_release() in any case. Errors: of image_output_init() and memory_init(). */
enum kioku_status pipeline_init(struct pipeline *pipeline, struct kioku_source *source,
				const struct kioku_capture_options *options,
				const struct writer_format *format, const struct codec *codec,
				const struct plan *plan, struct kioku_error *error);
void pipeline_release(struct pipeline *pipeline);

/*
 * Captures, until all threads have ended and the image is finished. Errors: the first that any of
 * them ran into.
 */
enum kioku_status pipeline_run(struct pipeline *pipeline, struct kioku_error *error);

/* Tells the caller how far it is, and what was found; false: it wants to stop. */
bool pipeline_report(struct pipeline *pipeline);

#endif
