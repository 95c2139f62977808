/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/isf_output.h"

#include <errno.h>

#include "base/error.h"
#ifdef HAVE_LZMA
#include <lzma.h>
#endif

enum {
	BUFFER_SIZE = 1 << 18,
	/* 15 MB of names that repeat: preset 0 packs them to 1.6 MB in 0.6 s, 1 to 1.5 MB in 1 s, 3 to 1.4 MB in 5 s. */
	PRESET = 0,
	THREAD_LIMIT = 4, /* each has some 6 MB */
};

struct isf_output {
	FILE *stream;
	kioku_isf_fn *function;
	void *user;
	int problem; /* errno of the first failure; 0: none */
	char *buffer;
#ifdef HAVE_LZMA
	bool compressed;
	lzma_stream lzma;
	uint8_t packed[1 << 16];
#endif
};

static bool give(struct isf_output *output, const void *data, size_t size)
{
	if (size == 0 || output->problem)
		return !output->problem;
	errno = 0;
	if (!output->function(output->user, data, size))
		output->problem = errno ? errno : EIO;
	return !output->problem;
}

#ifdef HAVE_LZMA
static bool begin_lzma(struct isf_output *output)
{
	lzma_mt options = { .preset = PRESET, .check = LZMA_CHECK_CRC64 };

	output->lzma = (lzma_stream)LZMA_STREAM_INIT;
	options.threads = lzma_cputhreads();
	if (options.threads > THREAD_LIMIT)
		options.threads = THREAD_LIMIT;
	/* Threads may be forbidden, or liblzma built without. */
	return (options.threads > 1 &&
		lzma_stream_encoder_mt(&output->lzma, &options) == LZMA_OK) ||
	       lzma_easy_encoder(&output->lzma, PRESET, LZMA_CHECK_CRC64) == LZMA_OK;
}

static bool compress(struct isf_output *output, const char *data, size_t size, lzma_action action)
{
	lzma_stream *lzma = &output->lzma;
	lzma_ret result = LZMA_OK;

	lzma->next_in = (const uint8_t *)data;
	lzma->avail_in = size;
	while (result == LZMA_OK && (lzma->avail_in > 0 || action == LZMA_FINISH)) {
		lzma->next_out = output->packed;
		lzma->avail_out = sizeof(output->packed);
		result = lzma_code(lzma, action);
		if (result != LZMA_OK && result != LZMA_STREAM_END)
			output->problem = ENOMEM;
		if (!give(output, output->packed, sizeof(output->packed) - lzma->avail_out))
			return false;
	}
	return true;
}
#endif

static ssize_t write_cookie(void *cookie, const char *data, size_t size)
{
	struct isf_output *output = cookie;

#ifdef HAVE_LZMA
	if (output->compressed)
		return compress(output, data, size, LZMA_RUN) ? (ssize_t)size : 0;
#endif
	return give(output, data, size) ? (ssize_t)size : 0;
}

enum kioku_status isf_output_open(bool compressed, kioku_isf_fn *function, void *user,
				  struct isf_output **out, struct kioku_error *error)
{
	AUTO_ISF_OUTPUT struct isf_output *output = calloc(1, sizeof(*output));

	if (!output)
		return error_no_memory(error);
	output->function = function;
	output->user = user;
	output->buffer = malloc(BUFFER_SIZE);
	output->stream = fopencookie(output, "w", (cookie_io_functions_t){ .write = write_cookie });
	if (!output->buffer || !output->stream)
		return error_no_memory(error);
	setvbuf(output->stream, output->buffer, _IOFBF, BUFFER_SIZE);
#ifdef HAVE_LZMA
	output->compressed = compressed;
	if (compressed && !begin_lzma(output))
		return error_no_memory(error);
#else
	if (compressed)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "this build cannot write .xz files: it has no liblzma");
#endif
	*out = TAKE(output);
	return KIOKU_OK;
}

FILE *isf_output_stream(struct isf_output *output)
{
	return output->stream;
}

enum kioku_status isf_output_finish(struct isf_output *output, struct kioku_error *error)
{
	bool good = fflush(output->stream) == 0 && !ferror(output->stream);

#ifdef HAVE_LZMA
	if (good && output->compressed)
		good = compress(output, NULL, 0, LZMA_FINISH);
#endif
	if (good)
		return KIOKU_OK;
	errno = output->problem ? output->problem : EIO;
	if (errno == ENOMEM)
		return error_no_memory(error);
	return error_os(error, "cannot write the symbol table");
}

void isf_output_close(struct isf_output *output)
{
	if (!output)
		return;
	if (output->stream)
		fclose(output->stream);
#ifdef HAVE_LZMA
	if (output->compressed)
		lzma_end(&output->lzma);
#endif
	free(output->buffer);
	free(output);
}
