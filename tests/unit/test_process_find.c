/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes by name and by descent: children of the test, with names of their own. */
#include "snapshot/process_find.h"
#include "test_child.h"

static char name[16];

static void run_named(int ready)
{
	prctl(PR_SET_NAME, name);
	say(ready, 1);
}

static void finds_all_of_a_name(void)
{
	AUTO_NUMBERS struct number_list found = { 0 };
	struct kioku_error error = { 0 };

	snprintf(name, sizeof(name), "kioku\xff%d", getpid());
	struct child first = start_child(run_named), second = start_child(run_named);
	await(&first);
	await(&second);
	CHECK_EQUAL(process_find_named(name, &found, &error), KIOKU_OK);
	CHECK_EQUAL(found.count, 2);
	CHECK(number_list_has(&found, first.pid) && number_list_has(&found, second.pid));

	/* Without its own name: by that of the program. Its parent runs the same. */
	CHECK_EQUAL(process_find_named("test_process_find", &found, &error), KIOKU_OK);
	CHECK(number_list_has(&found, first.pid) && number_list_has(&found, getppid()));
	CHECK(!number_list_has(&found, getpid()));

	end_child(&first);
	end_child(&second);
	CHECK_EQUAL(process_find_named(name, &found, &error), KIOKU_ERROR_NOT_FOUND);
	CHECK_SAYS(error.message, "no process has the name");
	CHECK_EQUAL(process_find_named("", &found, &error), KIOKU_ERROR_NOT_FOUND);
	/* A thread of the kernel. */
	CHECK_EQUAL(process_find_named("kthreadd", &found, &error), KIOKU_ERROR_NOT_FOUND);
}

static void run_grandchild(int ready)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		say(ready, getpid());
	}
}

static void finds_a_tree(void)
{
	AUTO_NUMBERS struct number_list found = { 0 };
	struct kioku_error error = { 0 };
	struct child child = start_child(run_grandchild), other = start_child(run_named);
	int32_t grandchild = await(&child);

	await(&other);
	CHECK_EQUAL(process_tree(child.pid, &found, &error), KIOKU_OK);
	CHECK_EQUAL(found.count, 2);
	CHECK(number_list_has(&found, child.pid) && number_list_has(&found, grandchild));
	CHECK_EQUAL(process_tree(getpid(), &found, &error), KIOKU_OK);
	CHECK_EQUAL(found.count, 4);
	CHECK_EQUAL(process_tree(INT32_MAX, &found, &error), KIOKU_ERROR_NOT_FOUND);
	end_child(&child);
	end_child(&other);
}

TAP_MAIN(TEST(finds_all_of_a_name), TEST(finds_a_tree))
