/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "format/s3_format.h"
#include "fuzz.h"

static void check_text(const char *text, size_t size)
{
	size_t used = strnlen(text, size);

	FUZZ_CHECK(used < size);
	for (size_t i = 0; i < used; i++)
		FUZZ_CHECK(text[i] >= ' ' && text[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct s3_answer answer;
	bool good = s3_answer_decode((struct bytes){ data, size }, &answer);

	FUZZ_CHECK(!good || answer.root[0]);
	check_text(answer.root, sizeof(answer.root));
	check_text(answer.upload_id, sizeof(answer.upload_id));
	check_text(answer.etag, sizeof(answer.etag));
	check_text(answer.code, sizeof(answer.code));
	check_text(answer.message, sizeof(answer.message));
	return 0;
}
