/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "kernel/kernel_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kernel_file file;

	if (kernel_file_parse((struct bytes){ data, size }, &file) != KIOKU_OK)
		return 0;
	for (size_t i = 0; i < file.count; i++) {
		const struct kernel_file_part *part = &file.parts[i];
		FUZZ_CHECK(kernel_file_at(&file, part->virtual, part->bytes.size + 1) !=
			   part->bytes.data);
		FUZZ_CHECK(part->bytes.data + part->bytes.size <= file.data + file.size);
	}
	kernel_file_close(&file);
	return 0;
}
