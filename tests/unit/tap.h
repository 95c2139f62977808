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
extern char *tap_reason;

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

/* Whether a test is among the names, which end with NULL; without any, all are. */
static inline bool tap_is_wanted(const struct tap_test *test, char *const *names)
{
	bool is_named = !*names;

	for (; *names; names++)
		is_named |= strcmp(*names, test->name) == 0;
	return is_named;
}

static inline int tap_main(const struct tap_test *tests, size_t count, char *const *names)
{
	size_t number = 0, passed = 0, skipped = 0;

	tap_reason = mmap(NULL, TAP_REASON_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	if (tap_reason == MAP_FAILED)
		return TAP_FAILED;
	for (size_t i = 0; i < count; i++)
		number += tap_is_wanted(&tests[i], names);
	printf("1..%zu\n", number);
	number = 0;
	for (size_t i = 0; i < count; i++) {
		if (!tap_is_wanted(&tests[i], names))
			continue;
		int result = tap_run_one(&tests[i]);
		passed += result == TAP_PASSED;
		skipped += result == TAP_SKIPPED;
		printf("%s %zu - %s%s%s\n",
		       result == TAP_PASSED || result == TAP_SKIPPED ? "ok" : "not ok", ++number,
		       tests[i].name, result == TAP_SKIPPED ? " # SKIP" : "",
		       result == TAP_SKIPPED ? tap_reason : "");
	}
	printf("%zu passed, %zu failed, %zu skipped\n", passed, number - passed - skipped, skipped);
	if (passed + skipped != number || number == 0)
		return TAP_FAILED;
	return skipped == number ? TAP_SKIPPED : TAP_PASSED;
}

/* Arguments of the program: the names of the tests that are to run; none: all of them. */
#define TAP_MAIN(...)                                                             \
	char *tap_reason;                                                         \
                                                                                  \
	int main(int argc, char **argv)                                           \
	{                                                                         \
		static const struct tap_test tests[] = { __VA_ARGS__ };           \
		(void)argc;                                                       \
		return tap_main(tests, sizeof(tests) / sizeof(*tests), argv + 1); \
	}

#endif
