/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/swap_copies.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/page_state.h"
#include "base/rate.h"
#include "base/thread.h"
#include "capture/sidecar.h"

enum { CHUNK = 1 << 20, AREA_LIMIT = 32, LIST_LIMIT = 64 << 10 }; /* MAX_SWAPFILES is below 32 */

struct copying {
	struct destination *destination;
	const char *path; /* of the area */
	int descriptor;
	uint64_t size, done;
	struct rate rate;
	uint8_t *chunk;
	swap_progress_fn *progress;
	void *progress_user;
	const struct diagnostics *diagnostics;
	struct swap_copies *out;
};

static void keep_rate(struct copying *copying, uint64_t size)
{
	double now = seconds_now(), early = rate_take(&copying->rate, now, size) - now;

	if (early <= 0)
		return;
	struct timespec pause = { .tv_sec = (time_t)early };
	pause.tv_nsec = (long)((early - (double)pause.tv_sec) * 1e9);
	nanosleep(&pause, NULL);
}

static bool read_at(const struct copying *copying, uint64_t offset, uint8_t *buffer, size_t size)
{
	while (size > 0) {
		ssize_t got = pread(copying->descriptor, buffer, size, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = ENODATA; /* a file that was made shorter */
		if (got <= 0)
			return false;
		buffer += got;
		offset += (uint64_t)got;
		size -= (size_t)got;
	}
	return true;
}

/* Page by page, so that a bad block costs its own page. */
static void read_pages(struct copying *copying, size_t size)
{
	uint64_t lost = 0, first = 0;
	int reason = 0;

	for (size_t offset = 0, step; offset < size; offset += step) {
		step = size - offset < CAPTURE_PAGE ? size - offset : CAPTURE_PAGE;
		if (read_at(copying, copying->done + offset, copying->chunk + offset, step))
			continue;
		reason = errno;
		memset(copying->chunk + offset, 0, step);
		first = lost == 0 ? copying->done + offset : first;
		lost += step;
	}
	copying->out->lost += lost;
	if (lost > 0)
		diagnose(copying->diagnostics, KIOKU_GAP,
			 "swap: %" PRIu64 " bytes of %s, from offset %" PRIu64
			 " on, cannot be read: %s",
			 lost, copying->path, first, strerror(reason));
}

static enum kioku_status copy_bytes(struct copying *copying, struct sidecar *sidecar,
				    struct kioku_error *error)
{
	struct swap_copies *out = copying->out;

	while (copying->done < copying->size && out->complete) {
		uint64_t left = copying->size - copying->done;
		size_t step = left < CHUNK ? (size_t)left : CHUNK;
		keep_rate(copying, step);
		if (!read_at(copying, copying->done, copying->chunk, step))
			read_pages(copying, step);
		posix_fadvise(copying->descriptor, (off_t)copying->done, (off_t)step,
			      POSIX_FADV_DONTNEED);
		TRY(sidecar_write(sidecar, copying->chunk, step, error));
		copying->done += step;
		if (copying->progress &&
		    !copying->progress(copying->progress_user, copying->done, copying->size))
			out->complete = false;
	}
	return KIOKU_OK;
}

/* Copies an area that is open, and adds what was made of it to the list. */
static enum kioku_status copy_area(struct copying *copying, const char *name,
				   struct kioku_error *error)
{
	AUTO_SIDECAR struct sidecar sidecar = { 0 };
	struct manifest_file *file = &copying->out->files[copying->out->count];

	TRY(sidecar_create(&sidecar, copying->destination, name, error));
	TRY(copy_bytes(copying, &sidecar, error));
	copying->out->count++; /* from here on it is released, whatever of it is there */
	file->origin = strdup(copying->path);
	if (!file->origin)
		return error_no_memory(error);
	return sidecar_finish(&sidecar, file, error);
}

static enum kioku_status open_and_copy(struct copying *copying, uint64_t listed_size,
				       const char *name, struct kioku_error *error)
{
	AUTO_CLOSE int descriptor = open(copying->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	off_t size = descriptor < 0 ? -1 : lseek(descriptor, 0, SEEK_END);

	if (size < 0) {
		copying->out->lost += listed_size;
		diagnose(copying->diagnostics, KIOKU_GAP, "swap: cannot open %s: %s", copying->path,
			 strerror(errno));
		return KIOKU_OK;
	}
	copying->descriptor = descriptor;
	copying->size = (uint64_t)size;
	copying->done = 0;
	return copy_area(copying, name, error);
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* seq_path() of the kernel writes blanks and backslashes of a path as \OOO. */
static void unescape(char *path)
{
	char *to = path;

	for (const char *from = path; *from;) {
		if (from[0] == '\\' && is_octal(from[1]) && is_octal(from[2]) &&
		    is_octal(from[3])) {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
				       (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

/* "PATH TYPE SIZE USED PRIORITY", size in KiB. False: not such a line. */
static bool parse_area(char *line, char **path, uint64_t *size)
{
	char *fields[3], *rest = line;
	size_t count = 0;

	for (char *field; count < 3 && (field = strsep(&rest, " \t"));)
		if (field[0])
			fields[count++] = field;
	if (count < 3)
		return false;
	*path = fields[0];
	unescape(*path);
	*size = strtoull(fields[2], NULL, 10) * 1024;
	return fields[0][0] == '/';
}

enum kioku_status swap_copy_listed(const char *swaps, struct destination *destination,
				   const char *image, uint64_t rate, swap_progress_fn *progress,
				   void *progress_user, const struct diagnostics *diagnostics,
				   struct swap_copies *out, struct kioku_error *error)
{
	AUTO_FREE char *text = strdup(swaps);
	AUTO_FREE uint8_t *chunk = malloc(CHUNK);
	struct copying copying = { .destination = destination,
				   .rate = { .limit = rate },
				   .chunk = chunk,
				   .progress = progress,
				   .progress_user = progress_user,
				   .diagnostics = diagnostics,
				   .out = out };
	char *rest = text, *area;
	uint64_t size;

	*out = (struct swap_copies){ .complete = true };
	out->files = calloc(AREA_LIMIT, sizeof(*out->files));
	if (!text || !chunk || !out->files)
		return error_no_memory(error);
	strsep(&rest, "\n"); /* the headings */
	for (unsigned i = 0; rest && out->complete && i < AREA_LIMIT;) {
		AUTO_FREE char *name = NULL;
		if (!parse_area(strsep(&rest, "\n"), &area, &size))
			continue;
		if (asprintf(&name, "%s.swap%u", image, i++) < 0)
			return error_no_memory(error);
		copying.path = area;
		TRY(open_and_copy(&copying, size, name, error));
	}
	return KIOKU_OK;
}

enum kioku_status swap_copy(struct destination *destination, const char *image, uint64_t rate,
			    swap_progress_fn *progress, void *progress_user,
			    const struct diagnostics *diagnostics, struct swap_copies *out,
			    struct kioku_error *error)
{
	AUTO_CLOSE int descriptor = open("/proc/swaps", O_RDONLY | O_CLOEXEC);
	AUTO_FREE char *text = calloc(1, LIST_LIMIT);
	size_t used = 0;
	ssize_t got = 0;

	*out = (struct swap_copies){ .complete = true };
	if (!text)
		return error_no_memory(error);
	while (descriptor >= 0 && used + 1 < LIST_LIMIT &&
	       (got = read(descriptor, text + used, LIST_LIMIT - 1 - used)) > 0)
		used += (size_t)got;
	/* A kernel without swap has no such file. */
	if ((descriptor < 0 && errno != ENOENT) || got < 0)
		diagnose(diagnostics, KIOKU_GAP, "swap: cannot read /proc/swaps: %s",
			 strerror(errno));
	return swap_copy_listed(text, destination, image, rate, progress, progress_user,
				diagnostics, out, error);
}

void swap_copies_release(struct swap_copies *copies)
{
	for (size_t i = 0; i < copies->count; i++) {
		free(copies->files[i].name);
		free(copies->files[i].origin);
		free(copies->files[i].sha256);
	}
	free(copies->files);
	*copies = (struct swap_copies){ 0 };
}
