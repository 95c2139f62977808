/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/sidecar.h"

#include <string.h>

#include "capture/naming.h"

enum kioku_status sidecar_create(struct sidecar *sidecar, struct destination *destination,
				 const char *name, struct kioku_error *error)
{
	*sidecar = (struct sidecar){ 0 };
	TRY(digest_init(&sidecar->digest, KIOKU_DIGEST_SHA256, error));
	return destination_create(destination, name, true, &sidecar->file, error);
}

enum kioku_status sidecar_write(struct sidecar *sidecar, const void *data, size_t size,
				struct kioku_error *error)
{
	size_t written = 0;

	if (!digest_add(&sidecar->digest, data, size))
		return error_no_memory(error);
	enum kioku_status status =
		destination_file_write(sidecar->file, sidecar->size, data, size, &written, error);
	sidecar->size += written;
	return status;
}

enum kioku_status sidecar_finish(struct sidecar *sidecar, struct manifest_file *out,
				 struct kioku_error *error)
{
	uint8_t hash[DIGEST_SIZE];
	char hex[DIGEST_HEX_SIZE];

	if (!digest_finish(&sidecar->digest, hash))
		return error_no_memory(error);
	TRY(destination_file_finish(sidecar->file, hash, NULL, NULL, NULL, error));
	if (!out)
		return KIOKU_OK;
	digest_hex(hash, sizeof(hash), hex);
	out->size = sidecar->size;
	out->name = strdup(naming_base(destination_file_name(sidecar->file)));
	out->sha256 = strdup(hex);
	return out->name && out->sha256 ? KIOKU_OK : error_no_memory(error);
}

void sidecar_release(struct sidecar *sidecar)
{
	destination_file_close(TAKE(sidecar->file));
	digest_release(&sidecar->digest);
}
