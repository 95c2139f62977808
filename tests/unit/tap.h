/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unit tests, reported as TAP and then, alone on a line, "N passed, N failed, N skipped". Each test
 * runs in a process of its own: a crash, a leak or a hang is one failure. A check that fails ends
 * its test.
 *
 *	static void adds(void) { CHECK_EQUAL(1 + 1, 2); }
 *	TAP_MAIN(TEST(adds), ...)
 */
#ifndef TESTS_UNIT_TAP_H
#define TESTS_UNIT_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAP_SECONDS 280 /* after which a test hangs; within the 300 s of the whole program */

enum { TAP_PASSED, TAP_FAILED, TAP_SKIPPED = 77 };

#define TAP_REASON_SIZE 256

/* Shared with the test's process, which writes why it skips. */
static char *tap_reason;

struct tap_test {
	const char *name;
	void (*run)(void);
};

/* clang-format off */
#define TEST(function) { #function, function }
/* clang-format on */

/* Ends a test before it checks anything, with a reason. */
#define SKIP(...)                                                       \
	do {                                                            \
		snprintf(tap_reason, TAP_REASON_SIZE, " " __VA_ARGS__); \
		_exit(TAP_SKIPPED);                                     \
	} while (0)

#define CHECK(condition)                                                \
	do {                                                            \
		if (!(condition))                                       \
			tap_fail(__FILE__, __LINE__, "%s", #condition); \
	} while (0)

#define CHECK_EQUAL(is, expected)                                                             \
	do {                                                                                  \
		unsigned long long is_ = (unsigned long long)(is);                            \
		unsigned long long expected_ = (unsigned long long)(expected);                \
		if (is_ != expected_)                                                         \
			tap_fail(__FILE__, __LINE__, "%s is 0x%llx and not 0x%llx", #is, is_, \
				 expected_);                                                  \
	} while (0)

/* Whether a text holds another. */
#define CHECK_SAYS(text, part)                                                     \
	do {                                                                       \
		const char *text_ = (text);                                        \
		if (!text_ || !strstr(text_, (part)))                              \
			tap_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", \
				 text_ ? text_ : "(null)", (part));                \
	} while (0)

__attribute__((noreturn, format(printf, 3, 4))) static inline void
tap_fail(const char *file, int line, const char *format, ...)
{
	va_list arguments;

	printf("# %s:%d: ", file, line);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	fflush(stdout);
	_exit(TAP_FAILED); /* and not exit(): what was not freed yet is no leak */
}

static inline int tap_run_one(const struct tap_test *test)
{
	int status = 0;

	tap_reason[0] = '\0';
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		alarm(TAP_SECONDS);
		test->run();
		exit(TAP_PASSED); /* the leak sanitizer looks now */
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return TAP_FAILED;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	printf("# killed by signal %d: %s\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
	return TAP_FAILED;
}

static inline int tap_main(const struct tap_test *tests, size_t count)
{
	size_t passed = 0, skipped = 0;

	tap_reason = mmap(NULL, TAP_REASON_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	if (tap_reason == MAP_FAILED)
		return TAP_FAILED;
	printf("1..%zu\n", count);
	for (size_t i = 0; i < count; i++) {
		int result = tap_run_one(&tests[i]);
		passed += result == TAP_PASSED;
		skipped += result == TAP_SKIPPED;
		printf("%s %zu - %s%s%s\n",
		       result == TAP_PASSED || result == TAP_SKIPPED ? "ok" : "not ok", i + 1,
		       tests[i].name, result == TAP_SKIPPED ? " # SKIP" : "",
		       result == TAP_SKIPPED ? tap_reason : "");
	}
	printf("%zu passed, %zu failed, %zu skipped\n", passed, count - passed - skipped, skipped);
	if (passed + skipped != count)
		return TAP_FAILED;
	return skipped == count ? TAP_SKIPPED : TAP_PASSED;
}

#define TAP_MAIN(...)                                                   \
	int main(void)                                                  \
	{                                                               \
		static const struct tap_test tests[] = { __VA_ARGS__ }; \
		return tap_main(tests, sizeof(tests) / sizeof(*tests)); \
	}

#endif
