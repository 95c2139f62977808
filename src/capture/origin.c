/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/origin.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "source/driver.h"

/* A manifest has about 100 bytes a segment: enough for one of 10 TiB. */
#define TEXT_LIMIT      (1u << 30)

#define SHA256_HEX_SIZE 64u

/* The file that a source was opened on. */
static const char *image_path(const struct kioku_source *source)
{
	const char *where = source_where(source);
	const char *colon = strchr(where, ':');

	return colon && source_driver_named(where, (size_t)(colon - where)) ? colon + 1 : where;
}

/* The whole of a file beside an image; NULL if there is none that can be read. */
static char *read_beside(const char *image, const char *suffix, size_t *size)
{
	AUTO_FREE char *path = NULL;
	struct stat status;

	if (asprintf(&path, "%s%s", image, suffix) < 0)
		return NULL;
	AUTO_CLOSE int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (file < 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode) ||
	    status.st_size > (off_t)TEXT_LIMIT)
		return NULL;
	AUTO_FREE char *text = malloc((size_t)status.st_size + 1);
	if (!text)
		return NULL;
	for (*size = 0; *size < (size_t)status.st_size;) {
		ssize_t got = read(file, text + *size, (size_t)status.st_size - *size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return NULL;
		*size += (size_t)got;
	}
	text[*size] = '\0';
	return TAKE(text);
}

/* As sha256sum writes it, in lower case; NULL if it does not start so. */
static char *listed_sha256(const char *text)
{
	char *hex = strndup(text, SHA256_HEX_SIZE);

	for (size_t i = 0; hex && i < SHA256_HEX_SIZE; i++) {
		if (!isxdigit((unsigned char)hex[i])) {
			free(hex);
			return NULL;
		}
		hex[i] = (char)tolower((unsigned char)hex[i]);
	}
	return hex;
}

static void take(char **to, char **from)
{
	if (*to || !*from || !**from)
		return;
	*to = TAKE(*from);
}

static bool is_about(const struct manifest *manifest, const char *image)
{
	struct stat status;

	return stat(image, &status) == 0 && (uint64_t)status.st_size == manifest->image_size;
}

static bool note_manifest(const char *image, struct manifest *out)
{
	struct kioku_error error = { 0 };
	struct manifest manifest = { 0 };
	size_t size;
	AUTO_FREE char *text = read_beside(image, ".manifest.json", &size);

	if (!text)
		return true;
	enum kioku_status status =
		manifest_decode((struct bytes){ (const uint8_t *)text, size }, &manifest, &error);
	if (status == KIOKU_OK && is_about(&manifest, image)) {
		take(&out->host_name, &manifest.host_name);
		take(&out->release, &manifest.release);
		take(&out->version, &manifest.version);
		take(&out->machine, &manifest.machine);
		take(&out->boot_id, &manifest.boot_id);
		take(&out->cmdline, &manifest.cmdline);
		take(&out->converted_from, &manifest.image_sha256);
	}
	manifest_release(&manifest);
	return status != KIOKU_ERROR_NO_MEMORY;
}

bool origin_note(const struct kioku_source *source, struct manifest *manifest)
{
	const char *image = image_path(source);
	size_t size;

	if (!note_manifest(image, manifest))
		return false;
	AUTO_FREE char *listed = read_beside(image, ".sha256", &size);
	if (!manifest->converted_from && listed)
		manifest->converted_from = listed_sha256(listed);
	return true;
}
