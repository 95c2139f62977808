/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manifests and journals; what decodes must encode to what decodes to the same. */
#include <stdlib.h>
#include <string.h>

#include "format/manifest_format.h"
#include "fuzz.h"

static void there_and_back(const struct manifest *manifest)
{
	struct manifest again;
	char *text, *text_again;
	size_t size, size_again;
	bool fits;

	FUZZ_CHECK(manifest_check_root(manifest, &fits, NULL) == KIOKU_OK);
	FUZZ_CHECK(manifest_encode(manifest, &text, &size, NULL) == KIOKU_OK);
	FUZZ_CHECK(manifest_decode((struct bytes){ (uint8_t *)text, size }, &again, NULL) ==
		   KIOKU_OK);
	FUZZ_CHECK(manifest_encode(&again, &text_again, &size_again, NULL) == KIOKU_OK);
	FUZZ_CHECK(size == size_again && memcmp(text, text_again, size) == 0);
	manifest_release(&again);
	free(text);
	free(text_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = { data, size };
	struct kioku_error error;
	struct manifest manifest;

	if (manifest_decode(text, &manifest, &error) == KIOKU_OK)
		there_and_back(&manifest);
	manifest_release(&manifest);
	if (journal_decode(text, &manifest, &error) == KIOKU_OK) {
		for (size_t i = 0; i < manifest.segment_count && i < 64; i++)
			FUZZ_CHECK(manifest.segments[i].begin >= 0);
		free(journal_head(&manifest));
	}
	manifest_release(&manifest);
	return 0;
}
