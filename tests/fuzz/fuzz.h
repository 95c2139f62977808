/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_NAME.c defines this for the parser NAME and gives it any bytes: it must not crash, hang or
 * leak. Configured with -Dfuzz=true (clang), libFuzzer drives it; otherwise replay_main.c does, with
 * the files of corpus/NAME and mutations of them.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Says that something always holds, whatever the input. */
#define FUZZ_CHECK(condition)     \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

#endif
